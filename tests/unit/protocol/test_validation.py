"""The validation figure of a run: its evaluation, or what the training measured so far."""

from __future__ import annotations

from fmnist_tui.protocol.events import Event
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.protocol.validation import Validation, find_validation
from tests.unit.support import epoch_ended, evaluated, started

TRAINED: list[Event] = [
    started(),
    epoch_ended(1, 0.85),
    epoch_ended(2, 0.91),
    epoch_ended(3, 0.90, best=False),
]


def validation_after(*events: Event) -> Validation | None:
    state = RunState()
    for event in events:
        state.apply(event)
    return find_validation(state)


def test_the_figure_is_the_evaluation_of_the_best_checkpoint() -> None:
    val = validation_after(*TRAINED, evaluated(0.92, 200, "val", "best"))
    assert val is not None
    assert (val.accuracy, val.loss, val.count, val.epoch) == (0.92, 0.3, 10_000, 2)
    assert (val.note, val.format(), val.format(1)) == ("", "92.00 %", "92.0 %")


def test_until_then_it_is_what_the_training_measured_and_says_so() -> None:
    val = validation_after(*TRAINED)
    assert val is not None and (val.accuracy, val.epoch) == (0.91, 2)
    assert (val.note, val.format()) == ("during training, float32", "~91.00 %")


def test_the_evaluation_of_a_checkpoint_before_the_best_is_not_the_figure() -> None:
    val = validation_after(*TRAINED[:2], evaluated(0.86, 100, "val", "best"), *TRAINED[2:])
    assert val is not None and (val.accuracy, bool(val.note)) == (0.91, True)


def test_an_ensemble_has_an_evaluation_and_no_epoch() -> None:
    val = validation_after(started(), evaluated(0.93, 0, "val", "best"))
    assert val is not None and (val.accuracy, val.epoch, val.note) == (0.93, 0, "")


def test_a_run_without_validation_has_no_figure() -> None:
    assert validation_after(started()) is None
    assert validation_after(started(), evaluated(0.9, 500, "test", "best")) is None
