"""Training steps, eager and captured."""

from __future__ import annotations

from tests.engine.support import blobs, config, graph_sizes, make_learner


def test_a_step_on_a_cpu_runs_without_a_graph() -> None:
    learner = make_learner(config(cuda_graph=True), blobs(32))
    step = learner.make_step()
    rows = learner.order.epoch_indices(0)
    step.run(rows, learner.next_rates(len(rows)))
    loss, hits = step.read_totals()
    assert not graph_sizes(step) and not step.will_capture
    assert loss > 0 and 0 <= hits <= 32
    assert step.read_totals() == (0.0, 0.0), "reading starts a new sum"
