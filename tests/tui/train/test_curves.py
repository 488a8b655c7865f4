"""The curves of a run by step, epoch and time."""

from __future__ import annotations

import pytest

from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.tui.screens.train.curves import EPOCH, STEP, TIME, RunCurves
from tests.tui.support import STEPS, events


@pytest.fixture(scope="module")
def state() -> RunState:
    state = RunState()
    for event in events(epochs=3, ended=False):
        state.apply(event)
    return state


@pytest.mark.parametrize(("x_axis", "last"), [(STEP, 3 * STEPS), (EPOCH, 3), (TIME, 6.0)])
def test_all_curves_end_at_the_same_x(state: RunState, x_axis: str, last: float) -> None:
    curves = RunCurves(state, x_axis)
    for line in (*curves.loss(0.01), *curves.accuracy(0.01)):
        assert line.xs[-1] == pytest.approx(last, rel=1e-4)
    assert curves.epoch_ends() == pytest.approx([last / 3, 2 * last / 3], rel=1e-4)
    assert [mark.letter for mark in curves.marks()] == ["B"]
    assert curves.marks()[0].x == pytest.approx(last, rel=1e-4)


def test_a_smoothed_curve_is_within_its_raw_values_and_does_not_lag(state: RunState) -> None:
    train, val = RunCurves(state, STEP).loss(0.04)
    assert min(train.low) <= min(train.ys) and max(train.ys) <= max(train.high)
    assert not val.low
    raw, smoothed = train.low[20], train.ys[20]
    # On a slope a one-sided average would be above all values near it.
    assert min(train.low[18:24]) < smoothed < max(train.low[16:20]) and raw != smoothed
