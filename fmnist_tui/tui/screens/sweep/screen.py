"""The Sweep screen: studies, their trials and plots, and the actions on them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from textual import events, on
from textual.binding import Binding
from textual.containers import Container
from textual.reactive import reactive
from textual.widget import Widget

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps.snapshot import TrialView
from fmnist_tui.tui.base.copying import ToCopy
from fmnist_tui.tui.base.dialog_flow import dialog_flow
from fmnist_tui.tui.base.table_screen import FilterInput, TableScreen, filter_items
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.screens.sweep.actions import SweepActions
from fmnist_tui.tui.screens.sweep.plots import Plots
from fmnist_tui.tui.screens.sweep.study_list import (
    StudyKey,
    StudyListing,
    StudyRequest,
    StudyWatcher,
    study_key,
)
from fmnist_tui.tui.screens.sweep.tables import (
    ORDERS,
    STUDY_COLUMNS,
    build_trial_rows,
    format_study,
    search_text,
    table_subtitle,
    table_title,
    trial_columns,
)
from fmnist_tui.tui.screens.sweep.to_copy import study_to_copy
from fmnist_tui.tui.widgets.columns import Column, RowCache, fit_columns, format_head
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.text import safe_text

# Ticks between two readings of the list of studies, and of a study in which nothing runs.
LIST_TICKS = 4
# The most rows of the list of studies where it is above the trials of a tall window.
MAX_STUDIES = 4
NO_SWEEPS = "no sweeps yet\npress {sweep.new} to start one"


class SweepScreen(TableScreen[TrialView]):
    """The storage is read in a thread, once a second while trials or jobs are running."""

    NAME, KEY, TITLE = "sweep", "7", "Sweep"
    TABLE, REFRESH_SECONDS, ORDERS = "#trials", 1.0, ORDERS
    HELP = (
        "A sweep searches for the settings with the best validation accuracy. Any number of"
        " workers, on any machine, can work on one study. ◆ is the best trial, ◉ the one under"
        " the cursor."
    )
    CSS_PATH = "screen.tcss"
    BINDINGS = [
        Binding("n", "new", "New", id="sweep.new"),
        Binding("w", "worker", "Worker", id="sweep.worker"),
        Binding("s", "stop", "Stop", id="sweep.stop"),
        Binding("x", "kill", "Kill", id="sweep.kill"),
        Binding("p", "promote", "Promote", id="sweep.promote"),
        Binding("v", "view", "View", id="sweep.view"),
        Binding("o", "order", "Order", id="sweep.order"),
        Binding("slash", "filter", "Filter", id="sweep.filter"),
        Binding("escape", "back", "Clear the filter", show=False, id="sweep.back"),
    ]

    # Whether there is a study to act on, and whether trials are running in it.
    _usable = reactive((False, False), repaint=False, bindings=True)

    def __init__(self) -> None:
        super().__init__()
        self._listing = StudyListing()
        self._selected: StudyKey | None = None
        # The row of the selected study, when the list was last drawn.
        self._drawn_row: str | None = None
        self._requested: StudyRequest = None
        # Whether the list is to be read with the next study: newer work replaces older.
        self._reload_list = False
        self._ticks = 0
        self._rows: RowCache[TrialView] = RowCache()
        self._columns: list[Column] = []
        # None until they are computed.
        self._importances: tuple[tuple[str, float], ...] | None = None
        # The study and the number of complete trials that these were computed from.
        self._importances_of: object = None

    def panes(self) -> Iterable[Widget]:
        self._watcher = StudyWatcher(self.app_state.runs_dir)
        self._actions = SweepActions(self, self._watcher.reader, self.load, self._request)
        yield LineTable(id="studies", classes="pane")
        with Container(id="right"):
            trials = LineTable(id="trials", classes="pane")
            trials.empty = "loading sweeps …"
            yield trials
            yield FilterInput(trials, "words of a state, a setting, a reason")
            yield Plots(self.app_state.settings.get("sweep.view"), id="plots")

    def on_resize(self, event: events.Resize) -> None:
        self.query_one(Plots).fold(event.size.width)

    def tick(self) -> None:
        self._ticks += 1
        reload_list = self._ticks % LIST_TICKS == 0
        if reload_list or self._listing.running or self.app_state.running_jobs:
            self._load(reload_list=reload_list)

    def load(self) -> None:
        if self.is_current:
            self._load(reload_list=True, force=True)

    def _request(self, name: str) -> None:
        """Select the study of this name as soon as it exists."""
        self._requested = name

    def _load(self, *, reload_list: bool, force: bool = False) -> None:
        self._reload_list = self._reload_list or reload_list
        # Do not pile up requests to a slow storage.
        if self._is_loading and not force:
            return
        self._requested = self.app_state.sweep or self._requested
        self.app_state.sweep = None
        work = partial(
            self._watcher.load,
            self._selected,
            reload_list=self._reload_list,
            requested=self._requested,
        )
        self.load_in_thread(work, self._on_loaded)

    def _on_loaded(self, listing: StudyListing | None) -> None:
        self._listing, self._reload_list = listing or StudyListing(), False
        if listing is None:
            self._requested = None
        elif listing.selected is not None:
            self._selected = study_key(listing.selected)
            if isinstance(self._requested, RunFolder) or listing.selected.name == self._requested:
                self._requested = None
        self.draw()
        self._update_importances()

    def _update_importances(self) -> None:
        """Compute the importance of each setting again if more trials are complete."""
        snapshot, study = self._listing.snapshot, self._listing.selected
        if snapshot is None or study is None:
            return
        key = study_key(study)
        if (key, snapshot.complete) != self._importances_of:
            self._importances_of = key, snapshot.complete
            work = partial(self._watcher.reader.importances, study.location, study.name)
            show = partial(self._show_importances, key)
            self.run_in_thread(
                work, show, lambda _: show(self._importances or ()), group="importances"
            )

    def _show_importances(self, key: StudyKey, importances: tuple[tuple[str, float], ...]) -> None:
        if key == self._selected:
            self._importances = importances
            self._draw_plots()

    def draw(self) -> None:
        """Update tables, plots and keys."""
        if self._is_loaded:
            self._draw_studies()
            self._draw_trials()
            self._draw_plots()
            self._usable = self._listing.snapshot is not None, self._listing.running > 0

    def _draw_studies(self) -> None:
        table, studies = self.query_one("#studies", LineTable), self._listing.studies
        if table.line_width <= 0:
            return
        if self.has_class("-wide"):
            table.styles.height = "100%"
        else:
            most = MAX_STUDIES if self.has_class("-tall") else 2
            table.styles.height = 3 + max(1, min(len(studies), most))
        columns, colours = fit_columns(STUDY_COLUMNS, table.line_width), self.palette()
        rows = {
            _row_key(study_key(study)): format_study(study, columns, colours) for study in studies
        }
        with self.prevent(LineTable.RowHighlighted):
            table.set_rows(format_head(columns), list(rows.items()), self._error or NO_SWEEPS)
            # The user may have scrolled the list since.
            row = _row_key(self._selected) if self._selected is not None else None
            if row is not None and row != self._drawn_row:
                table.go_to(row)
            self._drawn_row = row if row in rows else None
        set_border_titles(table, f"Sweeps  {sum(bool(study.name) for study in studies)}")

    def _draw_trials(self) -> None:
        table, study = self.table, self._listing.snapshot
        if table.line_width <= 0:
            return
        matching = filter_items(study.trials if study else (), self.words, search_text)
        trials = sorted(matching, key=ORDERS[self.order])
        self._visible = visible = {str(trial.number): trial for trial in trials}
        columns, colours = trial_columns(study, table.line_width), self.palette()
        self._columns = columns
        rows = build_trial_rows(self._rows, visible, study, columns, colours) if study else []
        table.set_rows(format_head(columns), rows, self._empty_text())
        set_border_titles(table, table_title(study))
        self._draw_subtitle()

    def _draw_subtitle(self) -> None:
        ending, width = self.filter_and_order, self.table.line_width
        subtitle = table_subtitle(self._current, ending, self._columns, width)
        set_border_titles(self.table, subtitle=subtitle)

    def _empty_text(self) -> str:
        if error := self._error or self._listing.error:
            return error
        if self._listing.snapshot is None:
            return NO_SWEEPS
        if self._listing.snapshot.trials:
            hint = key_name("sweep.back") + " clears the filter"
            return f"no trial matches {safe_text(self.words, 40)}\n{hint}"
        return "no trial has started yet\npress {sweep.worker} to start a worker"

    def _draw_plots(self) -> None:
        trial, listing = self._current, self._listing
        number = trial.number if trial is not None else None
        live = listing.running > 0
        self.query_one(Plots).show(listing.snapshot, self._importances, number, live=live)

    def to_copy(self) -> ToCopy:
        listing, trials = self._listing, self._visible.values()
        return study_to_copy(
            self.app_state, listing.selected, listing.snapshot, trials, self._current
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable keys that have nothing to act on."""
        has_study, is_running = self._usable
        if action in ("worker", "promote", "order", "filter", "view"):
            return has_study or None
        if action in ("kill", "stop"):
            return is_running or None
        return True

    @on(LineTable.RowHighlighted, "#studies")
    def _select_study(self, event: LineTable.RowHighlighted) -> None:
        for study in self._listing.studies:
            key = study_key(study)
            if _row_key(key) == event.key and study.name and key != self._selected:
                self._selected, self._importances, self._importances_of = key, None, None
                self._load(reload_list=False, force=True)
                return

    @on(LineTable.RowSelected, "#studies")
    def _focus_trials(self) -> None:
        self.table.focus()

    @on(LineTable.RowHighlighted, "#trials")
    def _on_trial_highlighted(self) -> None:
        self._draw_subtitle()
        self._draw_plots()

    @on(LineTable.RowSelected, "#trials")
    @dialog_flow
    async def _open_trial(self) -> None:
        if self._current is not None:
            await self._actions.open(self._current)

    @dialog_flow
    async def action_new(self) -> None:
        await self._actions.new()

    @dialog_flow
    async def action_worker(self) -> None:
        if self._listing.selected is not None:
            await self._actions.add_worker(self._listing.selected)

    @dialog_flow
    async def action_stop(self) -> None:
        if self._listing.selected is not None:
            await self._actions.stop(self._listing.selected)

    @dialog_flow
    async def action_kill(self) -> None:
        study, trial = self._listing.selected, self._current
        if study is not None and trial is not None:
            await self._actions.kill(study, trial)

    @dialog_flow
    async def action_promote(self) -> None:
        study, snapshot, trial = self._listing.selected, self._listing.snapshot, self._current
        if study is not None and snapshot is not None and trial is not None:
            await self._actions.promote(study, trial, snapshot)

    def action_view(self) -> None:
        self.app_state.settings.save("sweep.view", self.query_one(Plots).next_view())


def _row_key(key: StudyKey) -> str:
    return "\n".join(key)
