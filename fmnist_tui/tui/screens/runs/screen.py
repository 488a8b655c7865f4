"""The Runs screen: list all runs, compare some of them, and act on the one under the cursor."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from textual import events, on
from textual.binding import Binding
from textual.content import Content
from textual.theme import Theme
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from fmnist_tui.protocol.events import ENSEMBLE, LRFIND, SWEEP
from fmnist_tui.protocol.validation import MARK_MEANING
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui.base.copying import ToCopy
from fmnist_tui.tui.base.dialog_flow import dialog_flow
from fmnist_tui.tui.base.table_screen import FilterInput, TableScreen, filter_items
from fmnist_tui.tui.screens.runs.actions import RunActions
from fmnist_tui.tui.screens.runs.compare import RunComparison, build_lines, build_page
from fmnist_tui.tui.screens.runs.compare_pane import NO_CURVE, ComparePane
from fmnist_tui.tui.screens.runs.export import export_run
from fmnist_tui.tui.screens.runs.history import CURVES, HistoryCache, RunHistory
from fmnist_tui.tui.screens.runs.table import (
    COLUMNS,
    MARK_COLOURS,
    MAX_MARKS,
    ORDERS,
    RunIndex,
    format_run,
    search_text,
)
from fmnist_tui.tui.screens.runs.to_copy import runs_to_copy
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.tui.widgets.columns import RowCache, fit_columns, format_head
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

# A run's events are read once the cursor has rested on it this long.
COMPARE_DELAY = 0.12
NO_RUNS = "no runs yet\npress 2, then space, to train the first"
EMPTY_CURVES = {
    LRFIND: "enter shows the curve of a search",
    ENSEMBLE: "its members have the curves",
    SWEEP: "enter shows the trials of a sweep",
}


class RunsScreen(TableScreen[RunSummary]):
    """The table is refreshed while the screen is shown; events are read for compared runs only."""

    NAME, KEY, TITLE = "runs", "6", "Runs"
    TABLE, REFRESH_SECONDS, ORDERS = "#table", 2.0, ORDERS
    HELP = (
        "Marked runs, or else the one under the cursor, are compared below the table. All other"
        f" keys act on the run under the cursor. {MARK_MEANING}."
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
        self._runs: list[RunSummary] = []
        self._marks: dict[Path, int] = {}
        self._rows: RowCache[tuple[RunSummary, int | None]] = RowCache()
        self._actions = RunActions(self, self.load)
        self._compare_timer: Timer | None = None

    def panes(self) -> Iterable[Widget]:
        self._index = RunIndex(self.app_state.runs_dir)
        self._histories = HistoryCache()
        table = LineTable(id="table", classes="pane")
        table.empty = "loading runs …"
        yield table
        yield ComparePane(self.app_state.settings.get("runs.curves"))
        yield FilterInput(table, "words of a name, state, dataset or model")

    def on_resize(self, event: events.Resize) -> None:
        narrow, low = event.size.width < 100, event.size.height < 30
        self.query_one(ComparePane).fold(narrow and low)

    def load(self) -> None:
        if not self._is_loading:
            self.load_in_thread(self._index.load, self._on_loaded)

    def _on_loaded(self, runs: list[RunSummary] | None) -> None:
        self._runs = runs or []
        if runs is not None:
            paths = {run.run.path for run in runs}
            self._marks = {path: mark for path, mark in self._marks.items() if path in paths}
        self.draw()
        self._compare()

    def _on_theme_changed(self, theme: Theme) -> None:
        super()._on_theme_changed(theme)
        self._compare()

    def draw(self) -> None:
        """Update the table."""
        table = self.table
        if not self._is_loaded or table.line_width <= 0:
            return
        columns, colours, now = fit_columns(COLUMNS, table.line_width), self.palette(), time.time()
        matching = filter_items(self._runs, self.words, search_text)
        runs = sorted(matching, key=ORDERS[self.order])
        self._visible = {str(run.run.path): run for run in runs}
        rows = self._rows.build(
            {key: (run, self._marks.get(run.run.path)) for key, run in self._visible.items()},
            (columns, colours.theme, time.localtime(now).tm_year),
            lambda item: format_run(*item, columns, colours, now),
        )
        table.set_rows(format_head(columns), rows, self._empty_text())
        title = f"Runs  {len(runs):,}" + (f" of {len(self._runs):,}" if self.words else "")
        marked = f"  {len(self._marks)} marked" if self._marks else ""
        set_border_titles(table, title, self.filter_and_order + marked)

    def _empty_text(self) -> str:
        if self._error:
            return self._error
        if self._runs:
            return f"no run matches {safe_text(self.words, 40)}\nescape clears the filter"
        return NO_RUNS

    @property
    def _marked(self) -> list[RunSummary]:
        """The marked runs, by their marks."""
        marked = [run for run in self._runs if run.run.path in self._marks]
        return sorted(marked, key=lambda run: self._marks[run.run.path])

    @on(LineTable.RowHighlighted)
    @on(Input.Changed, "#filter")
    def _compare_soon(self) -> None:
        if self._compare_timer is not None:
            self._compare_timer.stop()
        self._compare_timer = self.set_timer(COMPARE_DELAY, self._compare)

    def _compared_runs(self) -> list[RunSummary]:
        current = self._current
        return self._marked or ([current] if current is not None else [])

    def _compare(self) -> None:
        folders = [run.run for run in self._compared_runs()]
        if not folders:
            self.query_one(ComparePane).show({}, Content(""), "Settings")
        elif self.is_current:
            load = partial(self._histories.load, folders)
            self.run_in_thread(load, self._show_comparison, group="histories")

    def _show_comparison(self, histories: list[RunHistory]) -> None:
        by_folder = {history.folder: history for history in histories}
        colours = self.palette().lines
        runs = []
        for run in self._compared_runs():
            if run.run in by_folder:
                mark = self._marks.get(run.run.path)
                colour = colours[MARK_COLOURS[mark - 1]] if mark else ""
                runs.append(RunComparison(run, by_folder[run.run], mark, colour))
        title = "Differences" if len(runs) > 1 else "Settings"
        if len(runs) == 1:
            title += f" of {run_name(runs[0].summary)}"
        kinds = {run.summary.kind for run in runs}
        self.query_one(ComparePane).show(
            {curve: build_lines(runs, curve) for curve in CURVES},
            build_page(runs),
            title,
            wide=len(runs) > 1,
            live=any(run.summary.is_live for run in runs),
            empty=EMPTY_CURVES.get(kinds.pop(), NO_CURVE) if len(kinds) == 1 else NO_CURVE,
        )

    def to_copy(self) -> ToCopy:
        shown = self._visible.values()
        return runs_to_copy(self.app_state, shown, self._current, self._marked)

    def action_mark(self) -> None:
        run = self._current
        if run is None:
            self.notify_error(self._why_no_run())
            return
        if run.run.path in self._marks:
            del self._marks[run.run.path]
        else:
            free = set(range(1, MAX_MARKS + 1)) - set(self._marks.values())
            if not free:
                self.notify_error(f"at most {MAX_MARKS} runs can be marked")
                return
            self._marks[run.run.path] = min(free)
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
        if self._current is not None:
            self.context.open_listed_run(self._current)

    def action_curves(self) -> None:
        self.app_state.settings.save("runs.curves", self.query_one(ComparePane).next_view())

    @dialog_flow
    async def action_ensemble(self) -> None:
        """Make an ensemble of the marked runs."""
        await self._actions.ensemble(self._marked)

    @dialog_flow
    async def action_act(self, name: str) -> None:
        """Do something with the run under the cursor."""
        run = self._current
        if run is None:
            raise UserError(self._why_no_run())
        if name == "export":
            await export_run(self, run)
        else:
            await getattr(self._actions, name)(run)
