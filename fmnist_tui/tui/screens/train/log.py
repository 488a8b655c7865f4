"""The log on Train: what a run and its libraries report, line by line."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rich.style import Style
from rich.text import Text
from textual.events import Resize
from textual.widgets import RichLog

from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.protocol.events import FAILED, LRFIND, EpochEnded, RunStarted
from fmnist_tui.protocol.lr_search import format_search_result
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text, strip_style

Item = TypeVar("Item")
# Epochs that follow each other faster than this are logged together, and more of them than
# MAX_ENTRIES in one line.
READABLE_SECONDS = 1.0
MAX_ENTRIES = 4
LINES = 1000


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the log; `level` is note, warning, error or printed."""

    message: str
    level: str = "note"
    t: float | None = None


class RunLog:
    """The new log entries of one feed at a time.

    What is in the log already is not repeated when a run is followed again."""

    def __init__(self) -> None:
        self._feed: RunFeed | None = None
        # What was logged last, by kind; and that of the runs that were followed before.
        self._last: dict[str, object] = {}
        self._last_of_runs: dict[RunFolder, dict[str, object]] = {}

    def new_entries(self, feed: RunFeed | None, printed: deque[str]) -> list[LogEntry]:
        """The entries since the last call, oldest first; `printed` is emptied."""
        entries: list[LogEntry] = []
        while printed:
            entries.append(LogEntry(strip_style(printed.popleft()), "printed"))
        if feed is None:
            return entries
        if feed is not self._feed:
            self._follow(feed)
        state = feed.state
        steps = self._new_items("steps", feed.load_steps)
        entries += [_load_entry(step) for step in steps if step.state != "progress"]
        if state.started is not None and self._is_new("started", state.started):
            entries.append(_start_entry(state.started))
        alerts = self._new_items("alerts", state.alerts)
        events = [LogEntry(alert.message, alert.level, alert.t) for alert in alerts]
        events += self._epoch_entries(feed)
        for marker in self._new_items("markers", state.markers):
            if marker.what in ("lr", "step"):
                label = "learning rate now" if marker.what == "lr" else "checkpoint kept:"
                events.append(LogEntry(f"{label} {marker.text}"))
        # By time; entries without one come last.
        entries += sorted(events, key=lambda entry: entry.t or float("inf"))
        search = state.search.end if state.search is not None else None
        if search is not None and self._is_new("search", search) and feed.kind != LRFIND:
            level = "warning" if search.lr is None else "note"
            message = f"learning rate: {format_search_result(search)}"
            entries.append(LogEntry(message, level, search.t))
        end = state.end
        if end is not None and self._is_new("end", end):
            level = "error" if end.reason == FAILED else "note"
            entries.append(LogEntry(end.outcome, level, end.t))
        if feed.error and self._is_new("error", feed.error):
            entries.append(LogEntry(feed.error, "error"))
        return entries

    def _follow(self, feed: RunFeed) -> None:
        """Continue after what was logged last about the run of another feed."""
        if self._feed is not None and self._feed.folder is not None:
            self._last_of_runs[self._feed.folder] = self._last
        self._feed, folder, state = feed, feed.folder, feed.state
        self._last = dict(self._last_of_runs.get(folder, {})) if folder is not None else {}
        # A run that is read again has equal items, not the same ones.
        kinds: dict[str, Sequence[object]] = {
            "alerts": state.alerts,
            "epochs": state.epochs,
            "markers": state.markers,
        }
        for kind, items in kinds.items():
            last = self._last.get(kind)
            self._last[kind] = next((item for item in reversed(items) if item == last), None)

    def _epoch_entries(self, feed: RunFeed) -> list[LogEntry]:
        """An entry for each epoch, or for several where they are too fast to read."""
        state = feed.state
        last = state.epochs[-1] if state.epochs else None
        previous: Any = self._last.get("epochs")
        if last is None or last is previous:
            return []
        if previous is not None and last.t - previous.t < READABLE_SECONDS and state.end is None:
            return []
        epochs = self._new_items("epochs", state.epochs)
        if len(epochs) > MAX_ENTRIES:
            return [_epoch_entry(last, f"epochs {epochs[0].epoch:,}–{last.epoch:,}")]
        return [_epoch_entry(epoch, f"epoch {epoch.epoch:,}") for epoch in epochs]

    def _is_new(self, kind: str, value: object) -> bool:
        before, self._last[kind] = self._last.get(kind), value
        return value != before

    def _new_items(self, kind: str, items: Sequence[Item]) -> list[Item]:
        """The items after the one that was last in the previous call."""
        last = self._last.get(kind)
        new: list[Item] = []
        for item in reversed(items):
            if item is last:
                break
            new.append(item)
        if items:
            self._last[kind] = items[-1]
        return new[::-1]


def _start_entry(started: RunStarted) -> LogEntry:
    synthetic = " (SYNTHETIC)" if started.synthetic else ""
    return LogEntry(
        f"{started.model}, {started.parameters:,} parameters, {started.dataset}{synthetic}: "
        f"{started.train_count:,} training and {started.val_count:,} validation images, "
        f"on {started.device} ({started.device_name})",
        t=started.t,
    )


def _epoch_entry(epoch: EpochEnded, label: str) -> LogEntry:
    message = f"{label}: train loss {epoch.train_loss:.4f}"
    if epoch.val_accuracy is not None:
        message += f", val {format_percent(epoch.val_accuracy)}"
    return LogEntry(message + (", best so far" if epoch.best else ""), t=epoch.t)


def _load_entry(step: LoadStep) -> LogEntry:
    state = {"trying": "trying", "failed": "failed:", "ok": "loaded:"}.get(step.state, "")
    message = " ".join(part for part in (step.dataset, step.source, state, step.message) if part)
    return LogEntry(message, "warning" if step.state == "failed" else "note")


class LogPane(RichLog, can_focus=True):
    """Log entries with the time of day, newest last; markup in them is not interpreted."""

    KEYS_TITLE = "Log"
    DEFAULT_CSS = "LogPane { height: 1fr; scrollbar-size-vertical: 1; background: $background; }"

    _width = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(max_lines=LINES, wrap=True, markup=False, min_width=20, **options)
        self._entries: deque[Text] = deque(maxlen=LINES)

    def on_resize(self, event: Resize) -> None:
        """Wrap the lines again: they may have come while the pane was hidden or narrower."""
        super().on_resize(event)
        width = self.scrollable_content_region.width
        if width and width != self._width:
            self._width = width
            self.clear()
            for line in self._entries:
                self.write(line)

    def on_hide(self) -> None:
        # Lines that come while the pane is hidden are wrapped again when it is shown.
        self._width = 0

    def add(self, entry: LogEntry) -> None:
        timestamp = time.strftime("%H:%M:%S", time.localtime(entry.t))
        style = {"warning": "yellow", "error": "bold red", "printed": "dim"}.get(entry.level, "")
        sign = {"warning": "! ", "error": "✗ "}.get(entry.level, "")
        line = Text.assemble(
            (f"{timestamp} ", Style(dim=True)), (sign + safe_text(entry.message, 600), style)
        )
        self._entries.append(line)
        self.write(line)
