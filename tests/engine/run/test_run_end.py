from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.engine.run.run_end import emit_run_ended
from fmnist_tui.engine.run.training_handle import Cancelled
from fmnist_tui.protocol.events import FAILED, FINISHED, STOPPED, Event, RunEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (Cancelled("the program is closing"), STOPPED, "the program is closing"),
        (KeyboardInterrupt(), STOPPED, "interrupted"),
        (SystemExit(1), FAILED, "the program was terminated"),
        (UserError("the disk is full"), FAILED, "the disk is full"),
        (ValueError("a surprise"), FAILED, "ValueError: a surprise"),
    ],
)
def test_an_exception_ends_the_run_once_and_is_raised_again(
    error: BaseException, reason: str, message: str, tmp_path: Path
) -> None:
    events: list[Event] = []
    with pytest.raises(type(error)), emit_run_ended(RunFolder(tmp_path), events.append) as end:
        end.step, end.epoch = 7, 2
        raise error
    (ended,) = events
    assert isinstance(ended, RunEnded)
    assert (ended.reason, ended.message) == (reason, message)
    assert (ended.step, ended.epoch) == (7, 2)
    is_unexpected = isinstance(error, ValueError)
    assert (tmp_path / "traceback.txt").exists() == is_unexpected


def test_a_run_ends_with_the_outcome_of_its_block(tmp_path: Path) -> None:
    events: list[Event] = []
    with emit_run_ended(RunFolder(tmp_path), events.append) as end:
        end.reason, end.message = FINISHED, "stopped early"
    (ended,) = events
    assert isinstance(ended, RunEnded)
    assert (ended.reason, ended.message) == (FINISHED, "stopped early") and ended.seconds >= 0
