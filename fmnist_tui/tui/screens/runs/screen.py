"""The Runs screen: list all runs, compare some of them, and act on the one under the cursor."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from textual import events, on
from textual.binding import Binding
from textual.theme import Theme
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from fmnist_tui.protocol.validation import MARK_MEANING
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.runs.seed_groups import SeedGroup, group_seeds
from fmnist_tui.tui.base.copying import ToCopy
from fmnist_tui.tui.base.dialog_flow import dialog_flow
from fmnist_tui.tui.base.table_screen import FilterInput, TableScreen, filter_items
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.screens.runs.actions import RunActions
from fmnist_tui.tui.screens.runs.compare_pane import ComparePane
from fmnist_tui.tui.screens.runs.comparison import Comparison, ComparisonLoader
from fmnist_tui.tui.screens.runs.describe import describe_run
from fmnist_tui.tui.screens.runs.export import export_run
from fmnist_tui.tui.screens.runs.run_index import CurveCache, RunIndex, RunList
from fmnist_tui.tui.screens.runs.table import (
    MAX_MARKS,
    ORDER_OF_COLUMN,
    ORDERS,
    Listed,
    RunRow,
    RunTableFormatter,
    arrange,
    find_bests,
    members_of,
    row_key,
    search_text,
)
from fmnist_tui.tui.screens.runs.to_copy import runs_to_copy
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.tui.widgets.columns import column_at, format_head
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

# Events of runs are read once the cursor and the table have rested this long.
COMPARE_DELAY = 0.12
NO_RUNS = "no runs yet\npress {show.train}, then {train.go}, to train the first"


class RunsScreen(TableScreen[Listed]):
    """The table is refreshed while the screen is shown; events are read for compared runs only."""

    NAME, KEY, TITLE = "runs", "6", "Runs"
    TABLE, REFRESH_SECONDS, ORDERS = "#table", 2.0, ORDERS
    HELP = (
        "Marked runs, or else the one under the cursor, are compared below the table. All other"
        " keys act on the run under the cursor. Finished runs that differ only in their seed are"
        " one row, with mean and standard deviation; {table.open} opens it. To best: points below"
        " the best validation accuracy so far on the same images. The small curve is the"
        " validation accuracy by epoch; of a run of one epoch, the training accuracy."
        f" {MARK_MEANING}. Time: of a training the warm wall time, from its first step to usable"
        " weights, with validation and saving; of other runs, and of those of earlier versions,"
        " the wall time."
    )
    CSS = """
    RunsScreen {
        #panes { layout: vertical; }
        #table { height: 1fr; }
        ComparePane { height: 1fr; }
        &.-narrow ComparePane { layout: vertical; }
        &.-narrow LineChart, &.-narrow ComparePage { width: 1fr; height: 1fr; }
        &.-narrow.-tall ComparePane { height: 3fr; }
        &.-narrow.-tall #table { height: 2fr; }
        &.-wide #panes { layout: grid; grid-size: 2 2; grid-rows: 1fr auto;
            grid-columns: 3fr 2fr; }
        &.-wide #table { height: 100%; }
        &.-wide ComparePane { layout: vertical; height: 100%; row-span: 2; }
        &.-wide LineChart, &.-wide ComparePage { width: 1fr; height: 1fr; }
    }
    """
    BINDINGS = [
        Binding("space", "mark", "Mark", id="runs.mark"),
        Binding("v", "curves", "Curves", id="runs.curves"),
        Binding("u", "act('resume')", "Resume", id="runs.resume"),
        Binding("f", "act('fork')", "Fork", id="runs.fork"),
        Binding("s", "act('stop')", "Stop", id="runs.stop"),
        Binding("slash", "filter", "Filter", id="runs.filter"),
        Binding("o", "order", "Order", id="runs.order"),
        Binding("O", "reverse", "Reverse the order", show=False, id="runs.reverse"),
        Binding("n", "act('rename')", "Name", id="runs.rename"),
        Binding("T", "act('tag')", "Tags", id="runs.tag"),
        Binding("N", "act('note')", "Note", id="runs.note"),
        Binding("g", "group", "Group seeds", id="runs.group"),
        Binding("e", "act('export')", "Export", id="runs.export"),
        Binding("m", "ensemble", "Ensemble of the marked", id="runs.ensemble"),
        Binding("R", "act('report')", "Report", id="runs.report"),
        Binding("a", "act('archive')", "Archive", id="runs.archive"),
        Binding("x", "act('delete')", "Delete", id="runs.delete"),
        Binding("c", "clear", "Clear marks", id="runs.clear"),
        Binding("escape", "back", "Clear the filter", show=False, id="runs.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._list = RunList()
        self._groups: dict[str, SeedGroup] = {}
        self._bests: dict[Path, float | None] = {}
        # The small curves, each with the summary of the run that it was read for.
        self._curves: dict[Path, tuple[RunSummary, tuple[float, ...]]] = {}
        self._opened: set[str] = set()
        # The numbers of marked rows, by their keys.
        self._marks: dict[str, int] = {}
        self._formatter = RunTableFormatter()
        self._actions = RunActions(self, self.load)
        self._compare_timer: Timer | None = None

    def panes(self) -> Iterable[Widget]:
        self._index = RunIndex(self.app_state.runs_dir)
        self._curve_cache = CurveCache()
        self._comparisons = ComparisonLoader()
        table = LineTable(id="table", classes="pane")
        table.empty = "loading runs …"
        yield table
        yield ComparePane(self.app_state.settings)
        yield FilterInput(table, "words of a name, tag, note, state, dataset or model")

    def on_mount(self) -> None:
        super().on_mount()
        self.watch(self.table, "scroll_y", self._compare_soon, init=False)

    def on_resize(self, event: events.Resize) -> None:
        narrow, low = event.size.width < 100, event.size.height < 30
        self.query_one(ComparePane).fold(narrow and low)

    def load(self) -> None:
        if not self._is_loading:
            self.load_in_thread(self._index.load, self._on_loaded)

    def _on_loaded(self, listed: RunList | None) -> None:
        self._list = listed or RunList()
        runs, keys = self._list.runs, self._list.keys
        self._bests = find_bests(runs, keys)
        self._groups = group_seeds(runs, keys) if self._is_grouping else {}
        if listed is not None:
            present = self._all_items
            self._marks = {key: mark for key, mark in self._marks.items() if key in present}
        self.draw()
        self._compare()

    def _on_theme_changed(self, theme: Theme) -> None:
        super()._on_theme_changed(theme)
        self._compare()

    @property
    def _is_grouping(self) -> bool:
        return self.app_state.settings.get("runs.grouping") != "off"

    @property
    def _is_reversed(self) -> bool:
        return self.app_state.settings.get("runs.reversed") == "on"

    def draw(self) -> None:
        """Update the table."""
        table = self.table
        if not self._is_loaded or table.line_width <= 0:
            return
        runs = filter_items(self._list.runs, self.words, search_text)
        groups = group_seeds(runs, self._list.keys) if self._is_grouping else {}
        arranged = arrange(runs, groups, self._opened, self.order, reverse=self._is_reversed)
        self._visible = {row_key(item): item for item, _ in arranged}
        lines = self._formatter.format(
            {row_key(item): self._row(item, depth) for item, depth in arranged},
            table.line_width,
            self.palette(),
            time.time(),
        )
        columns = self._formatter.columns
        ordered_by = next((key for key, name in ORDER_OF_COLUMN.items() if name == self.order), "")
        table.set_rows(format_head(columns, ordered_by), lines, self._empty_text())
        title = f"Runs  {len(runs):,}" + (f" of {len(self._list.runs):,}" if self.words else "")
        marked = f"  {len(self._marks)} marked" if self._marks else ""
        backwards = ", reversed" if self._is_reversed else ""
        set_border_titles(table, title, self.filter_and_order + backwards + marked)
        self._load_curves()

    def _row(self, item: Listed, depth: int) -> RunRow:
        _, curve = self._curves.get(item.run.path, (None, ()))
        return RunRow(
            item,
            self._marks.get(row_key(item)),
            curve,
            self._bests.get(item.run.path),
            depth,
            isinstance(item, SeedGroup) and item.key in self._opened,
        )

    def _load_curves(self) -> None:
        """Read the small curves of the rows on the screen that have changed since."""
        if all(column.key != "curve" for column in self._formatter.columns):
            return
        items = [self._visible[key] for key in self.table.visible_keys if key in self._visible]
        # Of a group that of its newest run: the mean of all would take several times as long.
        runs = [item.newest if isinstance(item, SeedGroup) else item for item in items]
        runs = [run for run in runs if self._curves.get(run.run.path, (None,))[0] is not run]
        if runs:
            load = partial(self._curve_cache.load, [run.run for run in runs])
            self.run_in_thread(load, partial(self._show_curves, runs), group="curves")

    def _show_curves(
        self, runs: Sequence[RunSummary], curves: dict[Path, tuple[float, ...]]
    ) -> None:
        self._curves |= {run.run.path: (run, curves[run.run.path]) for run in runs}
        self.draw()

    def _empty_text(self) -> str:
        if self._error:
            return self._error
        if self._list.runs:
            hint = key_name("runs.back") + " clears the filter"
            return f"no run matches {safe_text(self.words, 40)}\n{hint}"
        return NO_RUNS

    @property
    def _marked(self) -> list[Listed]:
        """The marked runs and groups, by their marks."""
        items = self._all_items
        return [items[key] for key in sorted(self._marks, key=self._marks.__getitem__)]

    @property
    def _all_items(self) -> dict[str, Listed]:
        """All runs and groups by their keys, also those that the filter hides."""
        items: list[Listed] = [*self._list.runs, *self._groups.values()]
        return {row_key(item): item for item in items}

    @on(LineTable.RowHighlighted)
    @on(Input.Changed, "#filter")
    def _compare_soon(self) -> None:
        if self._compare_timer is not None:
            self._compare_timer.stop()
        self._compare_timer = self.set_timer(COMPARE_DELAY, self._show_details)

    def _show_details(self) -> None:
        self._load_curves()
        self._compare()

    def _compare(self) -> None:
        current = self._current
        items = self._marked or ([current] if current is not None else [])
        if not items:
            self._show_comparison(Comparison())
        elif self.is_current:
            marked = [(item, self._marks.get(row_key(item))) for item in items]
            load = partial(self._comparisons.load, marked)
            self.run_in_thread(load, self._show_comparison, group="histories")

    def _show_comparison(self, comparison: Comparison) -> None:
        self.query_one(ComparePane).show(comparison, self.palette().lines)

    def to_copy(self) -> ToCopy:
        current = self._current
        shown = {run.run: run for item in self._visible.values() for run in members_of(item)}
        marked = [run for item in self._marked for run in members_of(item)]
        if isinstance(current, SeedGroup):
            marked, current = marked or list(current.counted), current.newest
        return runs_to_copy(self.app_state, shown.values(), current, marked)

    def action_mark(self) -> None:
        item = self._current
        if item is None:
            self.notify_error(self._why_no_run())
            return
        key = row_key(item)
        if key in self._marks:
            del self._marks[key]
        else:
            free = set(range(1, MAX_MARKS + 1)) - set(self._marks.values())
            if not free:
                self.notify_error(f"at most {MAX_MARKS} runs can be marked")
                return
            self._marks[key] = min(free)
        self.draw()
        self._compare()

    def action_clear(self) -> None:
        self._marks.clear()
        self.draw()
        self._compare()

    def _why_no_run(self) -> str:
        return "no run selected" if self._is_loaded else "the runs are still being listed"

    @on(LineTable.RowSelected)
    def _open(self) -> None:
        item = self._current
        if isinstance(item, SeedGroup):
            self._opened ^= {item.key}
            self.draw()
        elif item is not None:
            self.context.open_listed_run(item)

    @on(LineTable.HeaderClicked)
    def _order_by_column(self, event: LineTable.HeaderClicked) -> None:
        column = column_at(self._formatter.columns, event.x)
        order = ORDER_OF_COLUMN.get(column.key if column is not None else "")
        if order == self.order:
            self.action_reverse()
        elif order is not None:
            self._save("order", order)

    def action_reverse(self) -> None:
        self._save("reversed", "off" if self._is_reversed else "on")

    def action_group(self) -> None:
        """Show runs that differ in their seed as one row, or each on its own."""
        self._save("grouping", "off" if self._is_grouping else "on")
        self._on_loaded(self._list)

    def _save(self, choice: str, value: str) -> None:
        self.app_state.settings.save(f"runs.{choice}", value)
        self.draw()

    def action_curves(self) -> None:
        self.app_state.settings.save("runs.curves", self.query_one(ComparePane).next_view())

    @dialog_flow
    async def action_ensemble(self) -> None:
        """Make an ensemble of the marked runs."""
        await self._actions.ensemble([run for item in self._marked for run in members_of(item)])

    @dialog_flow
    async def action_act(self, name: str) -> None:
        """Do something with the run under the cursor."""
        run = self._current
        if run is None:
            raise UserError(self._why_no_run())
        if isinstance(run, SeedGroup):
            raise UserError(f"these are {len(run.members)} runs: open them with enter, choose one")
        try:
            await self._act(name, run)
        except UserError as error:
            # What is refused without a look at the disk is no reason to look there.
            if error.__context__ is None or await self.in_thread(run.run.path.is_dir):
                raise
            self.load()
            why = f"{run_name(run)} is gone: deleted, archived or moved by another program"
            raise UserError(why) from None

    async def _act(self, name: str, run: RunSummary) -> None:
        if name in ("rename", "tag", "note"):
            await describe_run(self, run, name)
            self.load()
        elif name == "export":
            await export_run(self, run)
        else:
            await getattr(self._actions, name)(run)
