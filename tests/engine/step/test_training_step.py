"""Training steps, eager and captured."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.engine.step.training_step import TrainingStep
from fmnist_tui.protocol.events import EpochEnded
from tests.engine.support import RICH, Harness, blobs, config, digest, graph_sizes, make_learner


def test_a_step_on_a_cpu_runs_without_a_graph() -> None:
    learner = make_learner(config(cuda_graph=True), blobs(32))
    step = learner.make_step()
    rows = learner.order.epoch_indices(0)
    step.run(rows, learner.next_rates(len(rows)))
    loss, hits = step.read_totals()
    assert not graph_sizes(step) and not step.will_capture
    assert loss > 0 and 0 <= hits <= 32
    assert step.read_totals() == (0.0, 0.0), "reading starts a new sum"


def test_several_steps_in_one_call_end_with_the_weights_of_single_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for at_once in (1, 4):
        monkeypatch.setattr(
            TrainingStep, "choose_count", lambda _, left, most=at_once: min(left, most)
        )
        harness = Harness(tmp_path / str(at_once), blobs(96), **RICH)
        harness.trainer.run()
        payload, manifest, _ = harness.store.load("last")
        epochs = [event.step for event in harness.of(EpochEnded)]
        ends.append((digest(payload["model"]), digest(payload["weights"]), manifest.step, epochs))
    assert ends[0] == ends[1] and ends[0][3] == [6, 12, 18]
