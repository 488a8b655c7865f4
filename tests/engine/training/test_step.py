"""Training steps, eager and captured."""

from __future__ import annotations

import pytest
import torch

from tests.engine.support import blobs, config, make_learner


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_captured_graph_learns_the_same_as_eager_steps() -> None:
    dataset = blobs(512)
    losses = []
    for graph in (False, True):
        settings = config(
            device="cuda", precision="fp32", cuda_graph=graph, model="custom-cnn", lr=1e-3
        )
        learner = make_learner(settings, dataset)
        step = learner.make_step()
        for epoch in range(2):
            for row in learner.order.epoch_indices(epoch):
                learner.apply_lr()
                step(row)
                learner.step += 1
        losses.append(step.read_totals()[0])
        assert step.is_captured == graph
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_step_on_a_cpu_runs_without_a_graph() -> None:
    learner = make_learner(config(cuda_graph=True), blobs(32))
    step = learner.make_step()
    for row in learner.order.epoch_indices(0):
        step(row)
    loss, hits = step.read_totals()
    assert not step.is_captured
    assert loss > 0 and 0 <= hits <= 32
    assert step.read_totals() == (0.0, 0.0), "reading starts a new sum"
