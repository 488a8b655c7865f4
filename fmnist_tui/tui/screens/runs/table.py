"""The run table: list runs cheaply, filter and sort them, format them as rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.text import Text

from fmnist_tui.protocol.events import DETACHED, FAILED, FINISHED, STOPPED
from fmnist_tui.runs.folder import RunFolder, list_run_folders
from fmnist_tui.runs.listing import BROKEN, CRASHED, PAUSED, RUNNING, RunSummary, summarise_run
from fmnist_tui.runs.lock import LockHolder, find_holder
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.tui.theme import TableColours
from fmnist_tui.tui.widgets.columns import Column, fit_columns, format_row, total_width
from fmnist_tui.tui.widgets.run_status import status_mark
from fmnist_tui.util.formatting import NO_VALUE, format_duration, format_percent, format_short_time
from fmnist_tui.util.text import safe_text

MARK = "◆"
# Colour names of the line charts, by mark number.
MARK_COLOURS = ("cyan", "orange", "green", "magenta", "blue", "red")
MAX_MARKS = len(MARK_COLOURS)

COLUMNS = (
    Column("mark", "", 2, 1),
    Column("state", "state", 10, 1),
    Column("name", "name", 18, 0),
    Column("dataset", "data", 9, 8),
    Column("model", "model", 11, 9),
    Column("epochs", "epochs", 7, 6, right=True),
    Column("val", "best val", 9, 1, right=True),
    Column("test", "test", 8, 2, right=True),
    Column("time", "time", 7, 7, right=True),
    Column("when", "started", 11, 3),
)
_BROKEN_COLUMNS = ("mark", "state", "name", "when")

_STATE_ORDER = (RUNNING, PAUSED, CRASHED, FAILED, BROKEN, STOPPED, DETACHED, FINISHED)

ORDERS: dict[str, Callable[[RunSummary], tuple[float, str]]] = {
    "newest": lambda run: (-run.started, run.run.name),
    "best val": lambda run: (-(run.best_val_accuracy or 0.0), run.run.name),
    "state": lambda run: (_state_rank(run.state), run.run.name),
    "name": lambda run: (0, run_name(run)),
}


def _state_rank(state: str) -> int:
    return _STATE_ORDER.index(state) if state in _STATE_ORDER else len(_STATE_ORDER)


class RunIndex:
    """Summaries of all runs in a folder. A run is read again only when its events file or its
    lock has changed. Reads files: call it in a thread."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._cache: dict[Path, tuple[object, RunSummary]] = {}
        self._lock = threading.Lock()

    def load(self) -> list[RunSummary]:
        """All runs; UserError if the folder cannot be read."""
        with self._lock:
            cache: dict[Path, tuple[object, RunSummary]] = {}
            for run in list_run_folders(self._runs_dir):
                version = _version(run)
                entry = self._cache.get(run.path)
                if version is None or entry is None or entry[0] != version:
                    entry = (version, summarise_run(run))
                cache[run.path] = entry
            self._cache = cache
            return [summary for _, summary in cache.values()]


def _version(run: RunFolder) -> tuple[int, int, LockHolder | None] | None:
    try:
        stat = run.events.stat()
        return stat.st_size, stat.st_mtime_ns, find_holder(run.path)
    except OSError:
        return None


def search_text(run: RunSummary) -> str:
    """What the filter looks for words in."""
    return " ".join((run.run.name, run.title, run.dataset, run.model, run.state)).lower()


def format_run(
    run: RunSummary,
    mark: int | None,
    columns: Sequence[Column],
    colours: TableColours,
    now: float,
) -> Text:
    """A run as a table row."""
    sign, colour = status_mark(CRASHED if run.state == BROKEN else run.state)
    name = run_name(run)
    if run.state == BROKEN:
        # Nothing else is known, so the reason takes the remaining width.
        name = f"{name}: {safe_text(run.reason)}"
        known = [column for column in columns if column.key in _BROKEN_COLUMNS]
        columns = fit_columns(known, total_width(columns))
    epochs = f"{run.epochs_done}/{run.epochs_total}" if run.epochs_total else NO_VALUE
    cells = {
        "state": Text(f"{sign} {run.state}", colours.get(colour)),
        "name": Text(name),
        "dataset": Text(safe_text(run.dataset)),
        "model": Text(safe_text(run.model)),
        "epochs": Text(epochs),
        "val": Text(run.val_text),
        "test": Text(format_percent(run.test_accuracy)),
        "time": Text(format_duration(run.seconds)),
        "when": Text(format_short_time(run.started, now)),
    }
    if mark is not None:
        cells["mark"] = Text(f"{MARK}{mark}", f"bold {colours.lines[MARK_COLOURS[mark - 1]]}")
        cells["name"].style = "bold"
    return format_row(columns, cells)
