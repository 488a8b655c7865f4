"""How long a run has taken: wall time and time in training steps, of all its sessions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fmnist_tui.protocol.events import Event
from fmnist_tui.protocol.run_state import RunState
from tests.unit.support import changed, ended, epoch_ended, evaluated, note, progress, started


def state_after(*events: Event) -> RunState:
    state = RunState()
    for event in events:
        state.apply(event)
    return state


def times(state: RunState) -> tuple[float, float]:
    return state.seconds, state.train_seconds


def test_both_times_are_those_that_the_events_carry() -> None:
    first = replace(started(), run_seconds=0.5, train_seconds=0.0)
    step = replace(progress(50), run_seconds=6.0, train_seconds=3.0)
    assert times(state_after(first)) == (0.5, 0.0)
    assert times(state_after(first, step)) == (6.0, 3.0)
    later = changed("phase", "validating", t=step.t + 2)
    assert times(state_after(first, step, later)) == pytest.approx((8.0, 3.0))
    end = replace(ended(), seconds=9.0, run_seconds=9.0)
    assert times(state_after(first, step, later, end)) == (9.0, 3.0)


def test_a_resumed_run_sums_its_sessions_without_the_time_between_them() -> None:
    first = replace(started(), run_seconds=0.5, train_seconds=0.0)
    step = replace(progress(50), run_seconds=6.0, train_seconds=3.0)
    # The first session crashed; its checkpoint was from 2.5 seconds of training.
    again = replace(started(t=9000.0, step=40), run_seconds=6.25, train_seconds=2.5)
    assert times(state_after(first, step, again)) == (6.25, 2.5)
    more = replace(progress(60, t=9004.0), run_seconds=10.5, train_seconds=4.0)
    assert times(state_after(first, step, again, more)) == (10.5, 4.0)
    # The list of runs may read only the first event and the last ones.
    assert times(state_after(first, more)) == (10.5, 4.0)
    end = replace(ended(t=9007.0), seconds=7.0, run_seconds=13.25)
    assert times(state_after(first, step, again, more, end)) == (13.25, 4.0)


def test_warm_wall_time_is_that_of_the_last_event_that_tells_it() -> None:
    first = replace(started(), warm_seconds=0.0)
    step = replace(progress(50), warm_seconds=4.0)
    epoch = replace(epoch_ended(1), warm_seconds=5.0)
    assert state_after(first).warm_seconds == 0.0
    assert state_after(first, step).warm_seconds == 4.0
    assert state_after(first, step, epoch).warm_seconds == 5.0
    later = changed("phase", "evaluating", t=epoch.t + 2)
    end = replace(ended(), warm_seconds=5.5)
    assert state_after(first, step, epoch, later, end).warm_seconds == 5.5
    # A record of an earlier version does not tell it, whatever its later sessions could.
    assert state_after(started(), progress(100), ended()).warm_seconds is None


def test_the_sessions_of_earlier_versions_are_added_up() -> None:
    state = state_after(started(), progress(100), ended())
    assert times(state) == pytest.approx((60.0, 10.0))
    state.apply(started(t=5000.0, step=100))
    state.apply(progress(200, t=5015.0))
    assert times(state) == pytest.approx((75.0, 20.0))
    state.apply(replace(ended(t=5020.0), seconds=21.0))
    assert times(state) == pytest.approx((81.0, 20.0))


def test_a_session_without_an_end_lasts_until_its_last_event_not_until_a_later_evaluation() -> None:
    crashed: list[Event] = [started(), progress(100, t=1010.0)]
    later: list[Event] = [replace(evaluated(0.9), t=8000.0), replace(note("exported"), t=9000.0)]
    assert state_after(*crashed, *later).seconds == pytest.approx(10.0)
    assert state_after(*crashed, *later, started(t=9500.0, step=100)).seconds == pytest.approx(10)
