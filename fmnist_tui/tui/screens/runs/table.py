"""The run table: which rows it has, in which order, and their cells."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.cells import cell_len
from rich.text import Text

from fmnist_tui.protocol.events import DETACHED, FAILED, FINISHED, STOPPED
from fmnist_tui.render.sparkline import draw_sparkline
from fmnist_tui.runs.listing import BROKEN, CRASHED, PAUSED, RUNNING, RunSummary
from fmnist_tui.runs.notes import format_tags
from fmnist_tui.runs.seed_groups import SeedGroup, SeedScore, SettingsKeys
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.tui.theme import TableColours
from fmnist_tui.tui.widgets.columns import (
    Column,
    fit_columns,
    format_row,
    size_columns,
    total_width,
)
from fmnist_tui.tui.widgets.run_status import status_mark
from fmnist_tui.util.formatting import (
    NO_VALUE,
    format_count,
    format_duration,
    format_percent,
    format_short_time,
)
from fmnist_tui.util.text import safe_text

MARK = "◆"
# Colour names of the line charts, by mark number.
MARK_COLOURS = ("cyan", "orange", "green", "magenta", "blue", "red")
MAX_MARKS = len(MARK_COLOURS)
BEST = "best"

_CURVE_WIDTH = 20

# A run, or the runs of one config with several seeds.
Listed = RunSummary | SeedGroup

COLUMNS = (
    Column("mark", "", 2, 1),
    Column("state", "state", 10, 1),
    Column("name", "name", 18, 0, most=46),
    Column("tags", "tags", 10, 6, most=30),
    Column("dataset", "data", 9, 8, most=20),
    Column("model", "model", 11, 10, most=24),
    Column("curve", "curve", 8, 7, most=_CURVE_WIDTH),
    Column("epochs", "epochs", 7, 9, right=True),
    Column("val", "best val", 14, 1, right=True),
    Column("behind", "to best", 7, 4, right=True),
    Column("test", "test", 14, 2, right=True),
    Column("time", "time", 8, 11, right=True),
    Column("when", "started", 11, 3),
    Column("note", "note", 12, 12, most=80),
)
# Kept also while all their cells are empty, so that the others stay where they are.
STEADY = ("mark", "curve")
_BROKEN_COLUMNS = ("mark", "state", "name", "when")

_STATE_ORDER = (RUNNING, PAUSED, CRASHED, FAILED, BROKEN, STOPPED, DETACHED, FINISHED)

# Sort keys by the name of an order, which is that of a column (or `newest`).
ORDERS: dict[str, Callable[[Listed], tuple[float | str, str]]] = {
    "newest": lambda run: (-run.started, run.run.name),
    "best val": lambda run: (-(run.best_val_accuracy or 0.0), run.run.name),
    "state": lambda run: (_state_rank(run.state), run.run.name),
    "name": lambda run: (f"{run.title} {run.run.id}".lower(), ""),
    "test": lambda run: (-(run.test_accuracy or 0.0), run.run.name),
    "time": lambda run: (-run.shown_seconds, run.run.name),
    "data": lambda run: (run.dataset, run.run.name),
    "model": lambda run: (run.model, run.run.name),
}

# The order that a click on the head of a column chooses.
ORDER_OF_COLUMN = {
    "when": "newest",
    "val": "best val",
    "behind": "best val",
    "test": "test",
    "time": "time",
    "state": "state",
    "name": "name",
    "dataset": "data",
    "model": "model",
}


def _state_rank(state: str) -> int:
    return _STATE_ORDER.index(state) if state in _STATE_ORDER else len(_STATE_ORDER)


@dataclass(frozen=True, slots=True)
class RunRow:
    """What a row shows of a run or a group. `best` is the best validation accuracy on the same
    images, `depth` 1 for a member of an open group."""

    item: Listed
    mark: int | None = None
    curve: tuple[float, ...] = ()
    best: float | None = None
    depth: int = 0
    is_open: bool = False


def row_key(item: Listed) -> str:
    """The key of a row: it stays the same while the figures of the run or group change."""
    return f"seeds {item.key}" if isinstance(item, SeedGroup) else str(item.run.path)


def members_of(item: Listed) -> tuple[RunSummary, ...]:
    """The runs of a group that count, or the run itself."""
    return item.counted if isinstance(item, SeedGroup) else (item,)


def arrange(
    runs: Sequence[RunSummary],
    groups: Mapping[str, SeedGroup],
    opened: set[str],
    order: str,
    *,
    reverse: bool = False,
) -> list[tuple[Listed, int]]:
    """The rows in this order, members below their opened group, each with its depth."""
    grouped = {run.run.path for group in groups.values() for run in group.members}
    alone: list[Listed] = [run for run in runs if run.run.path not in grouped]
    rows: list[tuple[Listed, int]] = []
    for item in sorted([*alone, *groups.values()], key=ORDERS[order], reverse=reverse):
        rows.append((item, 0))
        if isinstance(item, SeedGroup) and item.key in opened:
            members = sorted(item.members, key=ORDERS[order], reverse=reverse)
            rows += [(run, 1) for run in members]
    return rows


def find_bests(
    runs: Iterable[RunSummary], keys: Mapping[Path, SettingsKeys]
) -> dict[Path, float | None]:
    """For each run the best validation accuracy so far on the same images."""
    unknown = SettingsKeys()
    splits = {run.run.path: (run.dataset, keys.get(run.run.path, unknown).split) for run in runs}
    bests: dict[tuple[str, str], float] = {}
    for run in runs:
        if run.best_val_accuracy is not None:
            split = splits[run.run.path]
            bests[split] = max(bests.get(split, 0.0), run.best_val_accuracy)
    return {path: bests.get(split) for path, split in splits.items()}


def search_text(run: RunSummary) -> str:
    """What the filter looks for words in."""
    notes = run.notes
    words = (run.run.name, run.title, run.dataset, run.model, run.state)
    return " ".join((*words, format_tags(notes), notes.note)).lower()


def format_cells(row: RunRow, colours: TableColours, now: float) -> dict[str, Text]:
    """The cells of a row, by column."""
    item = row.item
    cells = {
        "dataset": Text(safe_text(item.dataset)),
        "model": Text(safe_text(item.model)),
        # Only as wide: it is drawn for the width that its column gets.
        "curve": Text("▁" * len(row.curve[:_CURVE_WIDTH]), colours.get("$primary")),
        "behind": Text(_format_behind(item.best_val_accuracy, row.best)),
        "time": Text(format_duration(item.shown_seconds)),
        "when": Text(format_short_time(item.started, now)),
    }
    if isinstance(item, SeedGroup):
        sign = "▾" if row.is_open else "▸"
        seeds = format_count(len(item.counted), "seed")
        cells |= {
            "state": Text(f"{sign} {seeds}", colours.get("$accent")),
            "name": Text(safe_text(item.title)),
            "val": Text(format_score(item.val)),
            "test": Text(format_score(item.test)),
        }
    else:
        sign, colour = status_mark(CRASHED if item.state == BROKEN else item.state)
        epochs = f"{item.epochs_done}/{item.epochs_total}" if item.epochs_total else NO_VALUE
        cells |= {
            "state": Text(f"{sign} {item.state}", colours.get(colour)),
            "name": Text("  " * row.depth + run_name(item)),
            "tags": Text(format_tags(item.notes), colours.get("$secondary")),
            "epochs": Text(epochs),
            "val": Text(item.val_text),
            "test": Text(format_percent(item.test_accuracy)),
            "note": Text(item.notes.note),
        }
        if item.state == BROKEN:
            # Nothing else is known, so the reason takes the width of the rest.
            name = f"{cells['name'].plain}: {safe_text(item.reason)}"
            cells = {key: cells[key] for key in _BROKEN_COLUMNS if key in cells}
            cells["name"] = Text(name)
    if row.mark is not None:
        colour = colours.lines[MARK_COLOURS[row.mark - 1]]
        cells["mark"] = Text(f"{MARK}{row.mark}", f"bold {colour}")
        cells["name"].style = "bold"
    return cells


def format_line(row: RunRow, cells: Mapping[str, Text], columns: Sequence[Column]) -> Text:
    """The cells of a row as a line of the table."""
    if row.item.state == BROKEN:
        known = [column for column in columns if column.key in _BROKEN_COLUMNS]
        flexible = [replace(c, most=0) if c.key == "name" else c for c in known]
        columns = fit_columns(flexible, total_width(columns))
    widths = {column.key: column.width for column in columns}
    if isinstance(row.item, RunSummary) and len(row.item.notes.tags) > 1:
        tags = _fit_tags(cells["tags"], widths.get("tags", 0))
        cells = {**cells, "tags": tags}
    width = widths.get("curve", 0)
    if not width or not row.curve:
        return format_row(columns, cells)
    # The highest block is not drawn, so that curves on neighbouring lines do not touch.
    low, high = min(row.curve), max(row.curve)
    curve = draw_sparkline(row.curve, width, low, high + 0.3 * (high - low))
    return format_row(columns, {**cells, "curve": Text(curve, cells["curve"].style)})


class RunTableFormatter:
    """Formats rows again only where they have changed, or the layout of the table has."""

    def __init__(self) -> None:
        self._cells: dict[str, tuple[RunRow, dict[str, Text], tuple[int, ...]]] = {}
        self._lines: dict[str, tuple[dict[str, Text], Text]] = {}
        self._look: object = None
        self.columns: list[Column] = []

    def format(
        self, rows: Mapping[str, RunRow], width: int, colours: TableColours, now: float
    ) -> list[tuple[str, Text]]:
        """A line for each row, by its key; sets `columns`."""
        look = colours.theme, time.localtime(now).tm_year
        if look != self._look:
            self._look, self._cells, self._lines = look, {}, {}
        for key, row in rows.items():
            if key not in self._cells or self._cells[key][0] != row:
                cells = format_cells(row, colours, now)
                # A reason is as long as it is: it does not widen the names of the others.
                widest = {} if row.item.state == BROKEN else cells
                widths = (_width(widest.get(column.key)) for column in COLUMNS)
                self._cells[key] = row, cells, tuple(widths)
        widest_of = map(max, zip(*(self._cells[key][2] for key in rows), strict=True))
        keys = (column.key for column in COLUMNS)
        sized = size_columns(COLUMNS, dict(zip(keys, widest_of, strict=False)), STEADY)
        columns = fit_columns(sized, width)
        if columns != self.columns:
            self.columns, self._lines = columns, {}
        for key in rows:
            row, cells, _ = self._cells[key]
            if key not in self._lines or self._lines[key][0] is not cells:
                self._lines[key] = cells, format_line(row, cells, columns)
        return [(key, self._lines[key][1]) for key in rows]


def _width(cell: Text | None) -> int:
    return cell_len(cell.plain) if cell is not None else 0


def format_score(score: SeedScore | None) -> str:
    """Mean and standard deviation as `91.87 ±0.21 %`."""
    return NO_VALUE if score is None else f"{score.mean * 100:.2f} ±{score.sd * 100:.2f} %"


def _fit_tags(tags: Text, width: int) -> Text:
    """As many whole tags as fit; `…` says that there are more."""
    text = tags.plain
    while cell_len(text) > width and " " in text:
        text = text.rstrip(" …").rpartition(" ")[0] + " …"
    return Text(text, tags.style)


def _format_behind(accuracy: float | None, best: float | None) -> str:
    """How many points an accuracy is below the best."""
    if accuracy is None or best is None:
        return NO_VALUE
    return f"−{(best - accuracy) * 100:.2f}" if accuracy < best else BEST
