"""Helpers for tests of the Runs screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from fmnist_tui.protocol.events import EVENTS, STOPPED, RunEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from fmnist_tui.tui.widgets.line_table import LineTable
from tests.tui.support import wait_until


def table(dashboard: Dashboard) -> LineTable:
    return dashboard.screen.query_one("#table", LineTable)


def rows(dashboard: Dashboard) -> list[str]:
    """The text of the rows."""
    shown = table(dashboard)
    return [line.plain for line in shown.rows.values()]


def page(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one("#figures", Static).content)


def curve(dashboard: Dashboard) -> LineChart:
    return next(chart for chart in dashboard.screen.query(LineChart) if chart.display)


def curve_lines(dashboard: Dashboard) -> int:
    """How many lines the displayed chart has; 0 while none is displayed."""
    charts = dashboard.screen.query(LineChart)
    return max((len(chart._lines) for chart in charts if chart.display), default=0)


def is_displayed(dashboard: Dashboard, selector: str) -> bool:
    return bool(dashboard.screen.query_one(selector).display)


async def wait_for_rows(dashboard: Dashboard, pilot: Pilot[int], count: int) -> None:
    await wait_until(pilot, lambda: len(table(dashboard).rows) == count)
    await pilot.pause()


def record_calls(dashboard: Dashboard, name: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace a method of the dashboard by one that records its arguments."""
    calls: list[Any] = []

    def call(*arguments: Any) -> bool:
        calls.append(arguments)
        return False

    monkeypatch.setattr(dashboard, name, call)
    return calls


def append_events(folder: RunFolder, *events: Any) -> None:
    with folder.events.open("a") as file:
        for event in events:
            file.write(EVENTS.encode(event) + "\n")


def mark_stopped(folder: RunFolder) -> None:
    append_events(folder, RunEnded(1_700_000_100.0, 40, 2, STOPPED, 9.0))


def add_checkpoint(folder: RunFolder, name: str, step: int, epoch: int) -> None:
    (folder.checkpoints / f"{name}.pt").write_bytes(b"weights")
    (folder.checkpoints / f"{name}.json").write_text(
        json.dumps({"step": step, "epoch": epoch, "size": 7, "sha256": "0" * 64})
    )


@contextmanager
def hold_lock(folder: RunFolder) -> Iterator[None]:
    """Make the run look live."""
    with RunLock.acquire(folder.path):
        yield


class RecordedJobs:
    """Records the jobs that the dashboard starts, instead of starting them."""

    def __init__(self, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
        self.titles: list[str] = []
        self.words: list[list[str]] = []
        self.on_done: list[Any] = []
        monkeypatch.setattr(dashboard, "start_job", self)

    def __call__(self, title: str, words: list[str], on_done: Any = None) -> None:
        self.titles.append(title)
        self.words.append(words)
        self.on_done.append(on_done)
