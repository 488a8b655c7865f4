"""When the test split is read, and by which training of a plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fmnist_tui.config.plans import Plan, TrainStep
from fmnist_tui.config.recipes import Recipe, Stage
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.engine.session import run_training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FINISHED, Evaluated
from tests.engine.support import blobs, config, wait_for_end

STAGES = (
    Stage("choose", {"test": False}),
    Stage("retrain", {"start": "none", "val_fraction": 0.0}),
)


def load(settings: RunConfig, *_: object, **__: object) -> Dataset:
    data = blobs(64)
    if settings.val_fraction:
        return data
    val = data.val
    return replace(data, val=Split("val", val.images[:0], val.labels[:0], val.indices[:0]))


def test_a_plan_that_trains_again_without_validation_reads_test_once_with_its_last_weights(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_training, "load_dataset_for", load)
    values = config(epochs=2, ema=0.9).model_dump(exclude_none=True)
    plan = Plan.from_recipe(Recipe("both", "", values, stages=STAGES))
    evaluated, notes = [], []
    while isinstance(step := plan.next, TrainStep):
        folder, listener = wait_for_end(session, session.train(step.config))
        notes.append(listener.notes)
        evaluated.append([event for event in listener.events if isinstance(event, Evaluated)])
        plan = plan.advance(FINISHED, folder.path)
    assert [[event.split for event in each] for each in evaluated] == [["val"], ["test"]]
    assert "the test split is not read: test is off" in notes[0]
    (last,) = evaluated[1]
    assert last.checkpoint == "last" and last.epoch == 2
