"""What the terminal does when the followed run ends or stalls."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest
from textual.signal import Signal

from fmnist_tui.config.notifications import Notifications
from fmnist_tui.protocol.events import DETACHED, FINISHED, RunEnded
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.followed_run import FollowedRun
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed


class Driver:
    """Records what is written to the terminal."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, data: str) -> None:
        self.written.append(data)


class LiveFeed(RunFeed):
    """A run that another process trains."""

    is_live = has_started = True
    name = "two-conv 7f3a"
    is_new = True

    def drain(self) -> bool:
        self.is_new, was_new = False, self.is_new
        return was_new


def follow(app_state: AppState, terminal: str) -> tuple[FollowedRun, LiveFeed, list[str]]:
    app_state.notifications = Notifications(terminal=terminal, stall_seconds=60.0)
    dashboard, driver = Dashboard(app_state), Driver()
    dashboard._driver = cast("Any", driver)
    feed, followed = LiveFeed(), FollowedRun(dashboard)
    followed.show(feed)
    followed.poll()
    return followed, feed, driver.written


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signal, "publish", lambda *_: None)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("TMUX", raising=False)


def test_a_stall_and_an_end_ring_once_each_and_a_handover_does_not(
    app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed, feed, written = follow(app_state, "bell")
    now = time.monotonic()
    for later, count in ((30, 0), (61, 1), (90, 1)):
        monkeypatch.setattr(time, "monotonic", lambda later=later: now + later)
        followed.poll()
        assert written == ["\a"] * count
    feed.is_new, feed.state.end = True, RunEnded(1.0, 1, 1, DETACHED, 1.0)
    followed.poll()
    assert written == ["\a"]
    feed.is_new, feed.state.end = True, RunEnded(1.0, 1, 1, FINISHED, 1.0)
    followed.poll()
    assert written == ["\a"] * 2


@pytest.mark.parametrize(
    ("terminal", "expected"),
    [("off", []), ("notification", ["\x1b]9;fmnist-tui: two-conv 7f3a finished\a"])],
)
def test_the_setting_chooses_what_the_terminal_does(
    app_state: AppState, terminal: str, expected: list[str]
) -> None:
    followed, feed, written = follow(app_state, terminal)
    feed.is_new, feed.state.end = True, RunEnded(1.0, 1, 1, FINISHED, 1.0)
    followed.poll()
    assert written == expected
