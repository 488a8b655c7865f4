"""Runs: all there are, live ones ticking, a few of them compared, and what to do with them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from textual import events, on
from textual.binding import Binding
from textual.content import Content
from textual.theme import Theme
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import DataTable, Input

from fmnist_tui.protocol.events import ENSEMBLE, LRFIND, SWEEP
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui.base.table_screen import TableScreen
from fmnist_tui.tui.screens.runs import compare
from fmnist_tui.tui.screens.runs.actions import RunActions
from fmnist_tui.tui.screens.runs.compare import RunComparison, compared
from fmnist_tui.tui.screens.runs.compare_pane import NO_FIGURES, ComparePane
from fmnist_tui.tui.screens.runs.ensemble import unite
from fmnist_tui.tui.screens.runs.export import export_run
from fmnist_tui.tui.screens.runs.history import CURVES, HistoryCache, RunHistory
from fmnist_tui.tui.screens.runs.table import (
    COLUMNS,
    MARK_COLOURS,
    MAX_MARKS,
    ORDERS,
    RunIndex,
    RunRows,
    filter_runs,
    next_free_mark,
    sort_runs,
)
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.tui.widgets.columns import head, laid_out
from fmnist_tui.tui.widgets.filter_input import FilterInput
from fmnist_tui.tui.widgets.incremental import entitle
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.text import safe_text

# The cursor may pass over a run for so long before its record is read.
REST_SECONDS = 0.12
NO_RUNS = "no runs yet\npress 2, then space, to train the first"


class RunsScreen(TableScreen):
    """The table is refreshed while the screen is shown; records are read for what is compared."""

    NAME, KEY, TITLE = "runs", "6", "Runs"
    TABLE, LOOK_SECONDS, ORDERS = "#table", 2.0, ORDERS
    HELP = (
        "Marked runs (or else the one under the cursor) are compared below the table. The"
        " other keys are about the run under the cursor."
    )
    CSS = """
    RunsScreen {
        #panes { layout: vertical; }
        #table { height: 1fr; }
        ComparePane { height: 1fr; }
        &.-narrow ComparePane { layout: vertical; }
        &.-narrow LineChart, &.-narrow Page { width: 1fr; height: 1fr; }
        &.-narrow.-tall ComparePane { height: 3fr; }
        &.-narrow.-tall #table { height: 2fr; }
        &.-wide #panes { layout: grid; grid-size: 2 2; grid-rows: 1fr auto;
            grid-columns: 3fr 2fr; }
        &.-wide #table { height: 100%; }
        &.-wide ComparePane { layout: vertical; height: 100%; row-span: 2; }
        &.-wide LineChart, &.-wide Page { width: 1fr; height: 1fr; }
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
        Binding("m", "unite", "Ensemble of the marked", id="runs.ensemble"),
        Binding("R", "act('report')", "Report", id="runs.report"),
        Binding("a", "act('archive')", "Archive", id="runs.archive"),
        Binding("x", "act('delete')", "Delete", id="runs.delete"),
        Binding("c", "clear", "Clear marks", id="runs.clear"),
        Binding("escape", "back", "Clear the filter", show=False, id="runs.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._runs: list[RunSummary] = []
        self._shown: dict[str, RunSummary] = {}
        self._marks: dict[Path, int] = {}
        self._trouble = ""
        self._looking = False
        self._known = False
        self._lines = RunRows()
        self._steering = RunActions(self, self.look)
        self._rest: Timer | None = None

    def panes(self) -> Iterable[Widget]:
        self._index = RunIndex(self.app_state.runs_dir)
        self._records = HistoryCache()
        table = LineTable(id="table", classes="pane")
        table.empty = "looking for runs …"
        yield table
        yield ComparePane(self.app_state.settings.get("runs.curves"))
        yield FilterInput(table, "words of a name, state, data set or model")

    def on_resize(self, event: events.Resize) -> None:
        narrow, low = event.size.width < 100, event.size.height < 30
        self.query_one(ComparePane).fold(narrow and low)

    # -- what there is --------------------------------------------------------------------

    def look(self) -> None:
        if not self._looking:
            self._looking = True
            self.later(self._index.load, self._listed, self._unlisted, group="look")

    def _listed(self, runs: list[RunSummary]) -> None:
        self._looking, self._known, self._trouble = False, True, ""
        self._runs = runs
        there = {run.run.path for run in runs}
        self._marks = {path: mark for path, mark in self._marks.items() if path in there}
        self.draw()
        self._compare()

    def _unlisted(self, why: str) -> None:
        self._looking, self._known, self._trouble = False, True, why
        self._runs = []
        self.draw()

    def _recoloured(self, theme: Theme) -> None:
        super()._recoloured(theme)
        self._compare()

    @on(LineTable.Resized)
    def draw(self) -> None:
        """Bring the table up to date."""
        table = self.table
        if not self._known or table.room <= 0:
            return
        columns = laid_out(COLUMNS, table.room)
        runs = sort_runs(filter_runs(self._runs, self.words), self.order)
        self._shown = {str(run.run.path): run for run in runs}
        lines = self._lines.build(runs, columns, self._marks, self.palette(), time.time())
        table.show(head(columns), list(zip(self._shown, lines, strict=True)), self._empty())
        words = f"Runs  {len(runs):,}" + (f" of {len(self._runs):,}" if self.words else "")
        about = f"order: {self.order}"
        if self.words:
            about = f"filter: {safe_text(self.words, 24)}  {about}"
        if self._marks:
            about += f"  {len(self._marks)} marked"
        entitle(table, words, about)

    def _empty(self) -> str:
        if self._trouble:
            return self._trouble
        if self._runs:
            return f"no run matches {safe_text(self.words, 40)}\nescape clears the filter"
        return NO_RUNS

    @property
    def _current(self) -> RunSummary | None:
        return self._shown.get(self.table.current or "")

    # -- comparing ------------------------------------------------------------------------

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST_SECONDS, self._compare)

    def _compared(self) -> list[RunSummary]:
        """The marked runs by their numbers, or else the one under the cursor."""
        marked = [run for run in self._runs if run.run.path in self._marks]
        if marked:
            return sorted(marked, key=lambda run: self._marks[run.run.path])
        return [self._current] if self._current is not None else []

    def _compare(self) -> None:
        runs = self._compared()
        if not self.is_current or not runs:
            if not runs:
                self.query_one(ComparePane).show({}, Content(""), "Settings")
            return
        folders = [run.run for run in runs]
        self.later(lambda: self._records.look(folders), self._beside, group="records")

    def _beside(self, courses: list[RunHistory]) -> None:
        by_folder = {course.folder: course for course in courses}
        marks = self.palette().lines
        runs = []
        for run in self._compared():
            course = by_folder.get(run.run)
            if course is not None:
                number = self._marks.get(run.run.path)
                colour = marks[MARK_COLOURS[number - 1]] if number else ""
                runs.append(RunComparison(run, course, number, colour))
        title = "Differences" if len(runs) > 1 else "Settings"
        if len(runs) == 1:
            title += f" of {run_name(runs[0].summary)}"
        self.query_one(ComparePane).show(
            {curve: compare.lines(runs, curve) for curve in CURVES},
            compared(runs),
            title,
            wide=len(runs) > 1,
            live=any(run.summary.is_live for run in runs),
            empty=_no_curve({run.summary.kind for run in runs}),
        )

    # -- keys -----------------------------------------------------------------------------

    def action_mark(self) -> None:
        run = self._current
        if run is None:
            return
        if run.run.path in self._marks:
            del self._marks[run.run.path]
        else:
            number = next_free_mark(self._marks)
            if number is None:
                self.notify_error(f"{MAX_MARKS} runs are marked, and no more can be told apart")
                return
            self._marks[run.run.path] = number
        self.draw()
        self._compare()

    def action_clear(self) -> None:
        self._marks.clear()
        self.draw()
        self._compare()

    @on(DataTable.RowSelected)
    def _open(self) -> None:
        if self._current is not None:
            self.context.open_listed_run(self._current)

    def action_curves(self) -> None:
        self.app_state.settings.keep("runs.curves", self.query_one(ComparePane).turn())

    @on(Input.Changed, "#filter")
    def _filtered(self) -> None:
        self.draw()
        self._moved()

    def action_unite(self) -> None:
        """Make an ensemble of the marked runs."""
        marked = [run for run in self._runs if run.run.path in self._marks]
        marked.sort(key=lambda run: self._marks[run.run.path])
        unite(self, marked, self.look)

    def action_act(self, what: str) -> None:
        """Do something with the run under the cursor."""
        run = self._current
        if run is None:
            self.notify_error("no run is under the cursor")
            return
        acts = {
            "resume": self._steering.resume,
            "fork": self._steering.fork,
            "stop": self._steering.stop,
            "export": lambda run: export_run(self, run),
            "report": self._steering.report,
            "archive": self._steering.archive,
            "delete": self._steering.delete,
        }
        acts[what](run)


def _no_curve(kinds: set[str]) -> str:
    """What is said in place of curves where runs of these kinds have none."""
    if kinds == {LRFIND}:
        return "enter shows the curve of a search"
    if kinds == {ENSEMBLE}:
        return "its members have the curves"
    return "enter shows the trials of a sweep" if kinds == {SWEEP} else NO_FIGURES
