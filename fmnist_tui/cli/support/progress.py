"""The progress of a long command on standard error: a bar, plain lines, or JSON lines."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fmnist_tui.cli.support.console import console, is_terminal, note
from fmnist_tui.util.formatting import format_duration
from fmnist_tui.util.progress import FORMAT_VARIABLE, OnProgress
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

# What is done of a part, from 0 to 1, and what it does.
Part = tuple[float, str]
# Called with the amount done, the total, and each part.
OnParts = Callable[[float, float, Sequence[Part]], None]

LINE_SECONDS = 3.0
JSON_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ProgressPart:
    """Part `index` (from 0) of `count` equally long parts of a job."""

    index: int = 0
    count: int = 1

    def split(self, index: int, count: int) -> ProgressPart:
        """Part `index` of `count` of this part."""
        return ProgressPart(self.index * count + index, self.count * count)

    def scale(self, on_progress: OnProgress) -> OnProgress:
        """A callback for the progress of this part, which reports that of the whole job."""
        if self.count == 1:
            return on_progress

        def report(done: float, total: float, what: str) -> None:
            done = self.index + (done / total if total else 0.0)
            on_progress(done, self.count, f"{self.index + 1} of {self.count}: {what}")

        return report


WHOLE = ProgressPart()


def wants_json() -> bool:
    return os.environ.get(FORMAT_VARIABLE) == "json"


def has_live_terminal() -> bool:
    """Whether standard error is a terminal that can redraw a bar in place."""
    return is_terminal(sys.stderr) and not console(stderr=True).is_dumb_terminal


@contextlib.contextmanager
def show_progress(title: str, part: ProgressPart = WHOLE) -> Iterator[OnProgress]:
    """Show the progress reported to the yielded callback. JSON lines report the whole job
    that `part` belongs to; bars and plain lines show this part alone."""
    if wants_json():
        yield part.scale(json_progress())
    elif has_live_terminal():
        with _show_bar(title) as on_progress:
            yield on_progress
    else:
        yield _line_progress(title)


@contextlib.contextmanager
def show_parts(title: str, names: Sequence[str]) -> Iterator[OnParts]:
    """As `show_progress`, of a job whose parts, of these names, run at the same time."""
    if has_live_terminal() and not wants_json():
        with _show_bars(title, names) as on_parts:
            yield on_parts
        return
    last_time = 0.0
    with show_progress(title) as on_progress:

        def report(done: float, total: float, parts: Sequence[Part]) -> None:
            nonlocal last_time
            now = time.monotonic()
            # Of several parts one or the other is always new.
            if wants_json() or now - last_time >= LINE_SECONDS:
                last_time = now
                on_progress(done, total, " · ".join(what for _, what in parts))

        yield report


def json_progress() -> OnProgress:
    """Report progress as JSON lines: ten a second at most, but a new text at once."""
    last_time, last_text = 0.0, ""

    def report(done: float, total: float, what: str) -> None:
        nonlocal last_time, last_text
        now = time.monotonic()
        if what == last_text and done < total and now - last_time < JSON_SECONDS:
            return
        last_time, last_text = now, what
        note(json.dumps({"done": done, "total": total, "what": what}))

    return report


def create_bars(*columns: ProgressColumn) -> Progress:
    """Bars on standard error with these columns after the bar."""
    from rich import progress

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=None),
        progress.TaskProgressColumn(),
        *columns,
        console=console(stderr=True),
        transient=True,
        expand=True,
        refresh_per_second=8,
    )


@contextlib.contextmanager
def _show_bar(title: str) -> Iterator[OnProgress]:
    from rich.progress import TimeRemainingColumn

    with create_bars(TimeRemainingColumn()) as bars:
        task = bars.add_task(safe_text(title), total=None)

        def report(done: float, total: float, what: str) -> None:
            text = safe_text(f"{title}: {what}" if what else title, 60)
            bars.update(task, completed=done, total=total or None, description=text)

        yield report


@contextlib.contextmanager
def _show_bars(title: str, names: Sequence[str]) -> Iterator[OnParts]:
    """A bar for the whole job, and one for each part."""
    from rich.progress import TimeRemainingColumn

    with create_bars(TimeRemainingColumn()) as bars:
        whole = bars.add_task(safe_text(title, 60), total=None)
        tasks = [bars.add_task(name, total=1.0) for name in names]

        def report(done: float, total: float, parts: Sequence[Part]) -> None:
            bars.update(whole, completed=done, total=total or None)
            for task, name, (share, what) in zip(tasks, names, parts, strict=True):
                text = safe_text(f"{name}: {what}", 60)
                bars.update(task, completed=share, description=text)

        yield report


def _line_progress(title: str) -> OnProgress:
    started = time.monotonic()
    last_time, last_text = 0.0, ""

    def report(done: float, total: float, what: str) -> None:
        nonlocal last_time, last_text
        now = time.monotonic()
        elapsed = now - last_time
        if elapsed < LINE_SECONDS and (what == last_text or elapsed < JSON_SECONDS):
            return
        last_time, last_text = now, what
        remaining = (now - started) / done * (total - done) if done and total else None
        share = f" {done / total:.0%}" if total else ""
        left = f", {format_duration(remaining)} left" if remaining is not None else ""
        note(f"{title}:{share} {what}{left}")

    return report
