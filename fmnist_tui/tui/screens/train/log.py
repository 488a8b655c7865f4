"""The log on Train: what a run and its libraries report, line by line."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rich.style import Style
from rich.text import Text
from textual.events import Resize
from textual.widgets import RichLog

from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.protocol.events import FAILED, LRFIND, Alert, EpochEnded, RunStarted
from fmnist_tui.protocol.lr_search import format_search_result
from fmnist_tui.protocol.run_state import Marker
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.theme import text_colour
from fmnist_tui.util.formatting import format_clock, format_percent
from fmnist_tui.util.text import safe_text, strip_style

Item = TypeVar("Item", LoadStep, Alert, EpochEnded, Marker)
# Epochs of as many seconds are logged together, and more of them than MAX_ENTRIES in one line.
READABLE_SECONDS = 1.0
MAX_ENTRIES = 4
LINES = 1000
# The colours of the theme by level.
_COLOURS = {"warning": "warning", "error": "error", "printed": "foreground-muted"}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the log at time `t`, by default now; `level` is note, warning, error or printed."""

    message: str
    level: str = "note"
    t: float | None = None


class RunLog:
    """The log entries of the followed run that are new, with the times of its events."""

    def __init__(self) -> None:
        self._feed: RunFeed | None = None
        # What was logged last, by kind.
        self._last: dict[str, Any] = {}

    def follow(self, feed: RunFeed | None) -> bool:
        """Turn to this feed; whether another run was followed before, whose log ends.

        A run that is resumed or read again is the same one: its log goes on."""
        before, self._feed = self._feed, feed
        if feed is before or before is None:
            return False
        is_same = feed is not None and before.folder is not None and before.folder == feed.folder
        if not is_same:
            self._last = {}
        return not is_same

    def new_entries(self, printed: deque[str]) -> list[LogEntry]:
        """The entries since the last call, oldest first; `printed` is emptied."""
        entries: list[LogEntry] = []
        while printed:
            entries.append(LogEntry(strip_style(printed.popleft()), "printed"))
        feed = self._feed
        if feed is None:
            return entries
        entries += sorted(self._event_entries(feed), key=lambda entry: entry.t or 0.0)
        if feed.error and self._is_new("error", feed.error):
            entries.append(LogEntry(feed.error, "error"))
        return entries

    def _event_entries(self, feed: RunFeed) -> Iterator[LogEntry]:
        state = feed.state
        for step in self._new_items("steps", feed.load_steps):
            if step.state != "progress":
                yield _load_entry(step)
        if state.started is not None and self._is_new("started", state.started):
            yield _start_entry(state.started)
        for alert in self._new_items("alerts", state.alerts):
            yield LogEntry(alert.message, alert.level, alert.t)
        yield from self._epoch_entries(feed)
        for marker in self._new_items("markers", state.markers):
            if marker.what in ("lr", "step"):
                is_rate = marker.what == "lr"
                said = _rate_change(marker) if is_rate else f"checkpoint kept: {marker.text}"
                yield LogEntry(said, t=marker.t)
        search = state.search.end if state.search is not None else None
        if search is not None and self._is_new("search", search) and feed.kind != LRFIND:
            level = "warning" if search.lr is None else "note"
            yield LogEntry(f"learning rate: {format_search_result(search)}", level, search.t)
        end = state.end
        if end is not None and self._is_new("end", end):
            yield LogEntry(end.outcome, "error" if end.reason == FAILED else "note", end.t)

    def _epoch_entries(self, feed: RunFeed) -> Iterator[LogEntry]:
        """An entry for each epoch, or for several where they are too fast to read."""
        state = feed.state
        last = state.epochs[-1] if state.epochs else None
        previous = self._last.get("epochs")
        if last is None or last is previous:
            return
        if previous is not None and last.t - previous.t < READABLE_SECONDS and state.end is None:
            return
        group: list[EpochEnded] = []
        for epoch in self._new_items("epochs", state.epochs):
            group.append(epoch)
            if epoch is last or epoch.t - group[0].t >= READABLE_SECONDS:
                if len(group) > MAX_ENTRIES:
                    yield _epoch_entry(epoch, f"epochs {group[0].epoch:,}–{epoch.epoch:,}")
                else:
                    yield from (_epoch_entry(one, f"epoch {one.epoch:,}") for one in group)
                group = []

    def _is_new(self, kind: str, value: object) -> bool:
        before, self._last[kind] = self._last.get(kind), value
        return value != before

    def _new_items(self, kind: str, items: Sequence[Item]) -> list[Item]:
        """The items after the one that was last in the previous call."""
        last: Item | None = self._last.get(kind)
        new: list[Item] = []
        for item in reversed(items):
            if item is last:
                last = None
                break
            new.append(item)
        if items:
            self._last[kind] = items[-1]
        # It may be gone, as an epoch that a resumed run repeats, or have been read again.
        return [item for item in reversed(new) if last is None or item.t > last.t]


def _start_entry(started: RunStarted) -> LogEntry:
    synthetic = " (SYNTHETIC)" if started.synthetic else ""
    return LogEntry(
        f"{started.model}, {started.parameters:,} parameters, {started.dataset}{synthetic}: "
        f"{started.train_count:,} training and {started.val_count:,} validation images, "
        f"on {started.device} ({started.device_details})"
        + (f", from step {started.step:,}" if started.step else ""),
        t=started.t,
    )


def _rate_change(marker: Marker) -> str:
    """`learning rate 0.0099 → 0.0049`; runs of older versions have only the new one."""
    before = f"{float(marker.before):.4g} " if marker.before else ""
    return f"learning rate {before}→ {float(marker.text):.4g}"


def _epoch_entry(epoch: EpochEnded, label: str) -> LogEntry:
    message = f"{label}: train loss {epoch.train_loss:.4f}"
    if epoch.val_accuracy is not None:
        message += f", val {format_percent(epoch.val_accuracy)}"
    return LogEntry(message + (", best so far" if epoch.best else ""), t=epoch.t)


def _load_entry(step: LoadStep) -> LogEntry:
    state = {"trying": "trying", "failed": "failed:", "ok": "loaded:"}.get(step.state, "")
    message = " ".join(part for part in (step.dataset, step.source, state, step.message) if part)
    return LogEntry(message, "warning" if step.state == "failed" else "note", step.t)


class LogPane(RichLog, can_focus=True):
    """Log entries with the time of day, newest last; markup in them is not interpreted."""

    KEYS_TITLE = "Log"
    DEFAULT_CSS = "LogPane { height: 1fr; scrollbar-size-vertical: 1; background: $background; }"

    _width = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(max_lines=LINES, wrap=True, markup=False, min_width=20, **options)
        self._entries: deque[LogEntry] = deque(maxlen=LINES)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._write_again())

    def on_resize(self, event: Resize) -> None:
        """Wrap the lines again: they may have come while the pane was hidden or narrower."""
        super().on_resize(event)
        width = self.scrollable_content_region.width
        if width and width != self._width:
            self._width = width
            self._write_again()

    def on_hide(self) -> None:
        # Lines that come while the pane is hidden are wrapped again when it is shown.
        self._width = 0

    def start_over(self) -> None:
        """Remove all lines: another run is shown."""
        self._entries.clear()
        self.clear()

    def add(self, entry: LogEntry) -> None:
        if entry.t is None:
            entry = replace(entry, t=time.time())
        self._entries.append(entry)
        self.write(self._line(entry))

    def _write_again(self) -> None:
        self.clear()
        for entry in self._entries:
            self.write(self._line(entry))

    def _line(self, entry: LogEntry) -> Text:
        """The entry in the colours of the theme."""
        style, colours = Style(bold=entry.level == "error"), self.app.theme_variables
        if name := _COLOURS.get(entry.level):
            style += Style(color=text_colour(colours[name]))
        sign = {"warning": "! ", "error": "✗ "}.get(entry.level, "")
        message = sign + safe_text(entry.message, 600)
        return Text.assemble(f"{format_clock(entry.t or 0.0)} ", (message, style))
