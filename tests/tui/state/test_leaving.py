"""Closing the screen has a time limit."""

from __future__ import annotations

import threading

import pytest

from fmnist_tui.tui.state import leaving
from fmnist_tui.tui.state.leaving import Leaving


def test_an_app_that_closes_in_time_is_not_forced() -> None:
    forced = threading.Event()
    limit = Leaving()
    with limit.limited(forced.set):
        limit.begin()
    with Leaving().limited(forced.set):
        pass
    assert not forced.is_set()


def test_the_end_is_forced_on_an_app_that_does_not_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "LIMIT_SECONDS", 0.05)
    forced = threading.Event()
    limit = Leaving()
    with limit.limited(forced.set):
        limit.begin()
        assert forced.wait(10)


def test_a_second_ctrl_c_does_not_wait_for_the_limit() -> None:
    forced = threading.Event()
    limit = Leaving()
    with limit.limited(forced.set):
        limit.begin()
        limit.begin()
        limit.hurry()
        assert forced.wait(10)
