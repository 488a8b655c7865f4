"""Training steps, eager and captured."""

from __future__ import annotations

from tests.engine.support import blobs, config, make_learner


def test_a_step_on_a_cpu_runs_without_a_graph() -> None:
    learner = make_learner(config(cuda_graph=True), blobs(32))
    step = learner.make_step()
    for row in learner.order.epoch_indices(0):
        step(row)
    loss, hits = step.read_totals()
    assert not step.is_captured
    assert loss > 0 and 0 <= hits <= 32
    assert step.read_totals() == (0.0, 0.0), "reading starts a new sum"
