"""How far a long command is, on standard error: a bar, a plain line now and then, or JSON.

JSON lines are for a program that started the command and shows its progress in its own
way, as the dashboard does; it asks for them by the environment variable below.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fmnist_tui.cli.support.console import console, duration, note
from fmnist_tui.util.progress import Tell
from fmnist_tui.util.text import safe_text

AS_JSON = "FMNIST_TUI_STEPS"
PLAIN_SECONDS = 3.0
JSON_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ProgressPart:
    """One of several long things that are one together: the one after `at` others, `of` so many."""

    at: int = 0
    of: int = 1

    def split(self, at: int, of: int) -> ProgressPart:
        """A part of this part."""
        return ProgressPart(self.at * of + at, self.of * of)

    def tell(self, tell: Tell) -> Tell:
        """How far the whole is, told by how far this part is."""
        if self.of == 1:
            return tell

        def told(done: float, total: float, what: str) -> None:
            done = self.at + (done / total if total else 0.0)
            tell(done, self.of, f"{self.at + 1} of {self.of}: {what}")

        return told


WHOLE = ProgressPart()


def as_json() -> bool:
    """Whether whoever started this command wants to be told in JSON."""
    return os.environ.get(AS_JSON) == "json"


@contextlib.contextmanager
def steps(what: str, part: ProgressPart = WHOLE) -> Iterator[Tell]:
    """Something to tell the progress of `what` to, shown as standard error can. Of several
    parts the whole is told in JSON alone: people see one after the other."""
    if as_json():
        yield part.tell(json_steps())
    elif sys.stderr.isatty() and not console(stderr=True).is_dumb_terminal:
        with _bar(what) as tell:
            yield tell
    else:
        yield _lines(what)


def json_steps() -> Tell:
    """Tells by JSON lines, not too many of them; another text is told at once."""
    last, said = 0.0, ""

    def tell(done: float, total: float, what: str) -> None:
        nonlocal last, said
        now = time.monotonic()
        if what == said and done < total and now - last < JSON_SECONDS:
            return
        last, said = now, what
        line = json.dumps({"done": done, "total": total, "what": what})
        print(line, file=sys.stderr, flush=True)

    return tell


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Tell]:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        Left(),
    )
    with Progress(*columns, console=console(stderr=True), transient=True, expand=True) as bars:
        task = bars.add_task(safe_text(title), total=None)

        def tell(done: float, total: float, what: str) -> None:
            words = safe_text(f"{title}: {what}" if what else title, 60)
            bars.update(task, completed=done, total=total or None, description=words)

        yield tell


def _lines(title: str) -> Tell:
    began = time.monotonic()
    last, said = 0.0, ""

    def tell(done: float, total: float, what: str) -> None:
        nonlocal last, said
        now = time.monotonic()
        if now - last < PLAIN_SECONDS and (what == said or now - last < JSON_SECONDS):
            return
        last, said = now, what
        left = (now - began) / done * (total - done) if done and total else None
        share = f" {done / total:.0%}" if total else ""
        note(f"{title}:{share} {what}" + (f", {duration(left)} left" if left is not None else ""))

    return tell
