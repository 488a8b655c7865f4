"""A run and the libraries it uses, told line by line for the log pane."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.style import Style
from rich.text import Text
from textual.events import Resize
from textual.widgets import RichLog

from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.protocol.events import LRFIND, EpochEnded
from fmnist_tui.protocol.lr_search import format_search_result
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.text import safe_text, strip_style

Told = TypeVar("Told")
# Epochs shorter than so many seconds are gathered; more than so many become one line.
FASTEST = 1.0
SEVERAL = 4
LINES = 1000


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the log; `level` is note, warning, error or printed."""

    message: str
    level: str = "note"
    t: float | None = None


class RunLog:
    """What is new since the last time, of one feed at a time."""

    def __init__(self) -> None:
        self._feed: RunFeed | None = None
        self._last: dict[str, object] = {}

    def news(self, feed: RunFeed | None, printed: deque[str]) -> list[LogEntry]:
        """The lines to add, oldest first; `printed` is emptied."""
        entries: list[LogEntry] = []
        while printed:
            entries.append(LogEntry(strip_style(printed.popleft()), "printed"))
        if feed is None:
            return entries
        if feed is not self._feed:
            self._feed, self._last = feed, {}
        state = feed.state
        entries += [
            _step(step) for step in self._new("steps", feed.load_steps) if step.state != "progress"
        ]
        if state.started is not None and state.started is not self._last.get("started"):
            self._last["started"] = state.started
            about = state.started
            entries.append(
                LogEntry(
                    f"{about.model}, {about.parameters:,} parameters, {about.dataset}"
                    f"{' (SYNTHETIC)' if about.synthetic else ''}: {about.train_count:,} to train, "
                    f"{about.val_count:,} to validate, on {about.device} ({about.device_name})",
                    t=about.t,
                )
            )
        found = [
            LogEntry(alert.message, alert.level, alert.t)
            for alert in self._new("alerts", state.alerts)
        ]
        found += self._epochs(feed)
        for marker in self._new("markers", state.markers):
            if marker.what in ("lr", "step"):
                what = "learning rate now" if marker.what == "lr" else "checkpoint kept:"
                found.append(LogEntry(f"{what} {marker.text}"))
        # By time; what has none stays after what came before it.
        entries += sorted(found, key=lambda entry: entry.t or float("inf"))
        searched = state.search.end if state.search is not None else None
        if searched is not None and searched is not self._last.get("searched"):
            self._last["searched"] = searched
            if feed.kind != LRFIND:
                level = "warning" if searched.lr is None else "note"
                entries.append(
                    LogEntry(f"learning rate: {format_search_result(searched)}", level, searched.t)
                )
        if state.end is not None and state.end is not self._last.get("end"):
            end = state.end
            self._last["end"] = end
            level = "error" if end.reason == "failed" else "note"
            entries.append(
                LogEntry(f"{end.reason}{': ' + end.message if end.message else ''}", level, end.t)
            )
        if feed.error and feed.error != self._last.get("error"):
            self._last["error"] = feed.error
            entries.append(LogEntry(feed.error, "error"))
        return entries

    def _epochs(self, feed: RunFeed) -> list[LogEntry]:
        """A line for each epoch, or for several where they come faster than one could read."""
        state = feed.state
        last = state.epochs[-1] if state.epochs else None
        told = self._last.get("epochs")
        if last is None or last is told:
            return []
        if isinstance(told, EpochEnded) and last.t - told.t < FASTEST and state.end is None:
            return []
        new = self._new("epochs", state.epochs)
        if len(new) > SEVERAL:
            return [_epoch(last, f"epochs {new[0].epoch:,}–{last.epoch:,}")]
        return [_epoch(epoch, f"epoch {epoch.epoch:,}") for epoch in new]

    def _new(self, name: str, told: Sequence[Told]) -> list[Told]:
        """Those after the one that was the last when this was asked before."""
        before = self._last.get(name)
        found: list[Told] = []
        for one in reversed(told):
            if one is before:
                break
            found.append(one)
        if told:
            self._last[name] = told[-1]
        return found[::-1]


def _epoch(epoch: EpochEnded, name: str) -> LogEntry:
    words = f"{name}: train loss {epoch.train_loss:.4f}"
    if epoch.val_accuracy is not None:
        words += f", val {100 * epoch.val_accuracy:.2f} %"
    return LogEntry(words + (", the best so far" if epoch.best else ""), t=epoch.t)


def _step(step: LoadStep) -> LogEntry:
    sign = {"trying": "trying", "failed": "failed:", "ok": "got it:"}.get(step.state, "")
    words = " ".join(part for part in (step.dataset, step.source, sign, step.message) if part)
    return LogEntry(words, "warning" if step.state == "failed" else "note")


class LogPane(RichLog, can_focus=True):
    """Lines with the time of day. Whatever they hold is shown as it is."""

    KEYS_TITLE = "Log"
    DEFAULT_CSS = "LogPane { height: 1fr; scrollbar-size-vertical: 1; background: $background; }"

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(
            max_lines=LINES, wrap=True, markup=False, min_width=20, id=id, classes=classes
        )
        self._said: deque[Text] = deque(maxlen=LINES)
        self._wide = 0

    def on_resize(self, event: Resize) -> None:
        """Break the lines anew: they may have come while the pane was folded or narrower."""
        super().on_resize(event)
        wide = self.scrollable_content_region.width
        if wide and wide != self._wide:
            self._wide = wide
            self.clear()
            for line in self._said:
                self.write(line)

    def add(self, message: str, level: str = "note", t: float | None = None) -> None:
        """One line; `level` is note, warning, error or printed."""
        stamp = time.strftime("%H:%M:%S", time.localtime(t))
        style = {"warning": "yellow", "error": "bold red", "printed": "dim"}.get(level, "")
        sign = {"warning": "! ", "error": "✗ "}.get(level, "")
        line = Text.assemble(
            (f"{stamp} ", Style(dim=True)), (sign + safe_text(message, 600), style)
        )
        self._said.append(line)
        self.write(line)
