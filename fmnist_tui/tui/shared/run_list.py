"""The list of runs: looked at cheaply, filtered, ordered, and told line by line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from fmnist_tui.protocol.events import DETACHED, FAILED, FINISHED, STOPPED
from fmnist_tui.runs.folder import RunFolder, run_folders
from fmnist_tui.runs.listing import BROKEN, CRASHED, PAUSED, RUNNING, RunSummary, summarise
from fmnist_tui.runs.lock import LockHolder, holder
from fmnist_tui.tui.widgets.columns import Column, laid_out, line, line_width
from fmnist_tui.tui.widgets.run_status import status_mark
from fmnist_tui.util import formatting
from fmnist_tui.util.text import safe_text

MARKS = 6
MANY = 2000
_OF_BROKEN = ("mark", "state", "name", "when")
MARK = "◆"
# The colours of the marks, by the names that charts have for them.
COLOURS = ("cyan", "orange", "green", "magenta", "blue", "red")

COLUMNS = (
    Column("mark", "", 2, 1),
    Column("state", "state", 10, 1),
    Column("name", "name", 18, 0),
    Column("dataset", "data", 9, 8),
    Column("model", "model", 11, 9),
    Column("epochs", "epochs", 7, 6, right=True),
    Column("val", "best val", 8, 1, right=True),
    Column("test", "test", 8, 2, right=True),
    Column("time", "time", 7, 7, right=True),
    Column("when", "started", 11, 3),
)

_STATES: tuple[str, ...] = (
    RUNNING,
    PAUSED,
    CRASHED,
    FAILED,
    BROKEN,
    STOPPED,
    DETACHED,
    FINISHED,
)

Order = Callable[[RunSummary], tuple[float, str]]
ORDERS: dict[str, Order] = {
    "newest": lambda run: (-run.started, run.run.name),
    "best val": lambda run: (-(run.best_val_accuracy or 0.0), run.run.name),
    "state": lambda run: (_STATES.index(run.state) if run.state in _STATES else 99, run.run.name),
    "name": lambda run: (0, name_of(run)),
}


class RunIndex:
    """The runs of a folder, looked at again and again. Used by one thread at a time.

    A run is summarised anew only if its record or who holds its lock has changed."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._known: dict[Path, tuple[object, RunSummary]] = {}
        self._lock = threading.Lock()

    def look(self) -> list[RunSummary]:
        """The runs there are; UserError where their folder cannot be read."""
        with self._lock:
            known: dict[Path, tuple[object, RunSummary]] = {}
            for run in run_folders(self._runs_dir):
                stamp = _stamp(run)
                before = self._known.get(run.path)
                if stamp is None or before is None or before[0] != stamp:
                    before = (stamp, summarise(run))
                known[run.path] = before
            self._known = known
            return [summary for _, summary in known.values()]


def _stamp(run: RunFolder) -> tuple[int, int, LockHolder | None] | None:
    try:
        found = run.events.stat()
        return found.st_size, found.st_mtime_ns, holder(run.path)
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class TableColours:
    """The colours of a theme, by what they are for: signs of states, marks."""

    theme: str
    names: Mapping[str, str]
    marks: Mapping[str, str]

    def of(self, name: str) -> str:
        """The colour behind `$success` and the like; none for one that is not plain."""
        colour = self.names.get(name.removeprefix("$"), "")[:7]
        return colour if colour.startswith("#") else ""


def name_of(summary: RunSummary) -> str:
    """What a run is called for short."""
    return safe_text(f"{summary.title} {summary.run.id}".strip())


def short_name(folder: RunFolder) -> str:
    """The same by the folder's name alone."""
    parts = folder.name.split("_")
    recipe = parts[2] if len(parts) == 5 and parts[4] == folder.id else ""
    return safe_text(f"{recipe} {folder.id}".strip(), 40)


def matching(runs: Sequence[RunSummary], text: str) -> list[RunSummary]:
    """The runs that every word of the text says something of."""
    words = text.lower().split()
    return [run for run in runs if all(word in _said(run) for word in words)]


def _said(run: RunSummary) -> str:
    return " ".join((run.run.name, run.title, run.dataset, run.model, run.state)).lower()


def ordered(runs: Sequence[RunSummary], order: str) -> list[RunSummary]:
    """The runs in one of `ORDERS`."""
    return sorted(runs, key=ORDERS[order])


def next_mark(taken: Mapping[Path, int]) -> int | None:
    """The smallest number that no run is marked with; None where all are given out."""
    free = set(range(1, MARKS + 1)) - set(taken.values())
    return min(free, default=None)


class RunRows:
    """The runs as lines of the table; those that would be what they were are not made anew."""

    def __init__(self) -> None:
        self._look: object = None
        self._kept: dict[Path, tuple[RunSummary, int | None, Text]] = {}

    def of(
        self,
        runs: Sequence[RunSummary],
        columns: Sequence[Column],
        marks: Mapping[Path, int],
        palette: TableColours,
        now: float,
    ) -> list[Text]:
        look = (tuple(columns), palette.theme, time.localtime(now).tm_year)
        if look != self._look:
            self._look, self._kept = look, {}
        kept: dict[Path, tuple[RunSummary, int | None, Text]] = {}
        for run in runs:
            path, mark = run.run.path, marks.get(run.run.path)
            before = self._kept.get(path)
            if before is None or before[0] is not run or before[1] != mark:
                before = run, mark, told(run, columns, mark, palette, now)
            kept[path] = before
        self._kept.update(kept)
        if len(self._kept) > 2 * len(kept) + MANY:
            self._kept = kept
        return [line for _, _, line in kept.values()]


def _epochs(run: RunSummary) -> str:
    return f"{run.epochs_done}/{run.epochs_total}" if run.epochs_total else formatting.NONE


def told(
    summary: RunSummary,
    columns: Sequence[Column],
    mark: int | None,
    palette: TableColours,
    now: float,
) -> Text:
    """A run as a line of the table."""
    # A run in pieces looks like one that broke down.
    sign, colour = status_mark(CRASHED if summary.state == BROKEN else summary.state)
    name = name_of(summary)
    if summary.state == BROKEN:
        # There is nothing else to say of it, so the reason may take all the room.
        name = f"{name}: {safe_text(summary.reason)}"
        width = line_width(columns)
        columns = laid_out([column for column in columns if column.key in _OF_BROKEN], width)
    cells = {
        "state": Text(f"{sign} {summary.state}", palette.of(colour)),
        "name": Text(name),
        "dataset": Text(safe_text(summary.dataset)),
        "model": Text(safe_text(summary.model)),
        "epochs": Text(_epochs(summary)),
        "val": Text(formatting.percent(summary.best_val_accuracy)),
        "test": Text(formatting.percent(summary.test_accuracy)),
        "time": Text(formatting.duration(summary.seconds)),
        "when": Text(formatting.when(summary.started, now)),
    }
    if mark is not None:
        cells["mark"] = Text(f"{MARK}{mark}", f"bold {palette.marks[COLOURS[mark - 1]]}")
        cells["name"].style = "bold"
    return line(columns, cells)
