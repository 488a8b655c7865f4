"""Sweep: studies, their trials as they go, which settings matter, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from textual import events, on
from textual.binding import Binding
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import DataTable, Input

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps.snapshot import TrialView
from fmnist_tui.sweeps.trial_states import COMPLETE
from fmnist_tui.tui.base.table_screen import TableScreen
from fmnist_tui.tui.screens.sweep.actions import SweepActions
from fmnist_tui.tui.screens.sweep.plots import Plots
from fmnist_tui.tui.screens.sweep.study_list import Key, StudyListing, StudyWatcher, Wanted, key_of
from fmnist_tui.tui.screens.sweep.tables import (
    ORDERS,
    TrialRows,
    about,
    matching,
    ordered,
    study_columns,
    study_line,
    title,
    trial_columns,
)
from fmnist_tui.tui.widgets.columns import head
from fmnist_tui.tui.widgets.filter_input import FilterInput
from fmnist_tui.tui.widgets.incremental import entitle
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.text import safe_text

# Where nothing goes on, and for the list of studies, a look now and then is enough.
EVERY = 4
NO_SWEEPS = "no sweeps yet\npress n to begin one"


class SweepScreen(TableScreen):
    """The storage is read in a thread, about once a second while something goes on in it."""

    NAME, KEY, TITLE = "sweep", "7", "Sweep"
    TABLE, REFRESH_SECONDS, ORDERS = "#trials", 1.0, ORDERS
    HELP = (
        "A sweep tries settings and is judged on validation alone. Any number of workers, here or"
        " on other machines, may work on one study. ◆ is the best trial, ◉ the one under the"
        " cursor."
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

    def __init__(self) -> None:
        super().__init__()
        self._look_at = StudyListing()
        self._chosen: Key | None = None
        self._wanted: Wanted = None
        self._known = self._looking = False
        self._turn = 0
        self._trouble = ""
        self._trials: dict[str, TrialView] = {}
        self._lines = TrialRows()
        self._shares: tuple[tuple[str, float], ...] = ()
        self._shares_of: object = None
        self._possible: object = None

    def panes(self) -> Iterable[Widget]:
        self._studies = StudyWatcher(self.app_state.runs_dir)
        self._foreman = SweepActions(self, self._studies.reader, self.load, self._expect)
        kept = self.app_state.settings
        yield LineTable(id="studies", classes="pane")
        with Container(id="right"):
            trials = LineTable(id="trials", classes="pane")
            trials.empty = "looking for sweeps …"
            yield trials
            yield FilterInput(trials, "words of a state, a setting, a reason")
            yield Plots(kept.get("sweep.view"), id="plots")

    def on_resize(self, event: events.Resize) -> None:
        self.query_one(Plots).fold(event.size.width)

    # -- looking ------------------------------------------------------------------------

    def tick(self) -> None:
        self._turn += 1
        now = self._turn % EVERY == 0
        if now or self._look_at.running or self.app_state.running_jobs:
            self._look(all_of_them=now)

    def load(self) -> None:
        """Look at everything, now."""
        if self.is_current:
            self._look(all_of_them=True, again=True)

    def _expect(self, name: str) -> None:
        self._wanted = name

    def _look(self, *, all_of_them: bool, again: bool = False) -> None:
        # A storage that is slow to answer is not asked a second time meanwhile.
        if self._looking and not again:
            return
        self._looking = True
        wanted = self._wanted = self.app_state.sweep or self._wanted
        self.app_state.sweep = None
        work = partial(self._studies.look, self._chosen, all_of_them=all_of_them, wanted=wanted)
        self.later(work, self._looked, self._failed, group="look")

    def _looked(self, look: StudyListing) -> None:
        self._looking, self._known, self._trouble = False, True, ""
        self._look_at = look
        if look.study is not None:
            self._chosen = key_of(look.study)
            if isinstance(self._wanted, RunFolder) or look.study.name == self._wanted:
                self._wanted = None
        self.draw()
        self._weigh()

    def _failed(self, why: str) -> None:
        self._looking, self._known, self._trouble = False, True, why
        self._look_at, self._wanted = StudyListing(), None
        self.draw()

    def _weigh(self) -> None:
        """Work out anew which settings matter, where more trials are complete than before."""
        shown, study = self._look_at.snapshot, self._look_at.study
        if shown is None or study is None:
            return
        complete = sum(trial.state == COMPLETE for trial in shown.trials)
        if (key_of(study), complete) == self._shares_of:
            return
        self._shares_of = key_of(study), complete
        work = partial(self._studies.importances, study.location, study.name)
        self.later(work, partial(self._weighed, key_of(study)), lambda _: None, group="importances")

    def _weighed(self, study: Key, shares: tuple[tuple[str, float], ...]) -> None:
        if study == self._chosen:
            self._shares = shares
            self._draw_plots()

    # -- showing ------------------------------------------------------------------------

    @property
    def _trial(self) -> TrialView | None:
        """The trial under the cursor."""
        return self._trials.get(self.table.current or "")

    @on(LineTable.Resized)
    def draw(self) -> None:
        """Bring everything up to date."""
        if not self._known:
            return
        self._draw_studies()
        self._draw_trials()
        self._draw_plots()
        possible = self._look_at.snapshot is not None, self._look_at.running > 0
        if possible != self._possible:
            self._possible = possible
            self.refresh_bindings()

    def _draw_studies(self) -> None:
        table, lines = self.query_one("#studies", LineTable), self._look_at.lines
        if table.room <= 0:
            return
        columns = study_columns(table.room)
        rows = {_row(key_of(line)): study_line(line, columns, self.palette()) for line in lines}
        with self.prevent(DataTable.RowHighlighted):
            table.show(head(columns), list(rows.items()), self._trouble or NO_SWEEPS)
            if self._chosen is not None:
                table.go_to(_row(self._chosen))
        entitle(table, f"Sweeps  {sum(bool(line.name) for line in lines)}")

    def _draw_trials(self) -> None:
        table, shown = self.table, self._look_at.snapshot
        if table.room <= 0:
            return
        trials = list(shown.trials) if shown is not None else []
        found = ordered(matching(trials, self.words), self.order)
        self._trials = {str(trial.number): trial for trial in found}
        columns = trial_columns(shown.spec.space if shown is not None else (), table.room)
        lines = self._lines.of(found, shown, columns, self.palette()) if shown else []
        rows = list(zip(self._trials, lines, strict=True))
        table.show(head(columns), rows, self._empty())
        entitle(table, title(shown))
        self._draw_about()

    def _draw_about(self) -> None:
        """Below the trials: all settings of the one under the cursor, and the order."""
        width = self.table.room
        entitle(self.table, subtitle=about(self._trial, self.order, self.words, width))

    def _empty(self) -> str:
        look = self._look_at
        if self._trouble or look.trouble:
            return self._trouble or look.trouble
        if look.snapshot is None:
            return NO_SWEEPS
        if look.snapshot.trials:
            return f"no trial matches {safe_text(self.words, 40)}\nescape clears the filter"
        return "no trial has begun yet\npress w for a worker"

    def _draw_plots(self) -> None:
        here, look = self._trial, self._look_at
        number = here.number if here is not None else None
        self.query_one(Plots).show(look.snapshot, self._shares, number, live=bool(look.running))

    # -- keys ---------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that have nothing to work on are not offered."""
        shown = self._look_at.snapshot
        if action in ("worker", "promote", "order", "filter", "view"):
            return True if shown is not None else None
        if action in ("kill", "stop"):
            return True if self._look_at.running else None
        return True

    @on(DataTable.RowHighlighted, "#studies")
    def _other_study(self, event: DataTable.RowHighlighted) -> None:
        line = next(
            (one for one in self._look_at.lines if _row(key_of(one)) == event.row_key.value), None
        )
        if line is not None and line.name and key_of(line) != self._chosen:
            self._chosen, self._shares, self._shares_of = key_of(line), (), None
            self._look(all_of_them=False, again=True)

    @on(DataTable.RowSelected, "#studies")
    def _to_trials(self) -> None:
        self.table.focus()

    @on(DataTable.RowHighlighted, "#trials")
    def _other_trial(self) -> None:
        self._draw_about()
        self._draw_plots()

    @on(DataTable.RowSelected, "#trials")
    def _open(self) -> None:
        if self._trial is not None:
            self._foreman.open(self._trial)

    def action_new(self) -> None:
        self._foreman.new()

    def action_worker(self) -> None:
        if self._look_at.study is not None:
            self._foreman.worker(self._look_at.study)

    def action_stop(self) -> None:
        if self._look_at.study is not None:
            self._foreman.stop(self._look_at.study)

    def action_kill(self) -> None:
        study, trial = self._look_at.study, self._trial
        if study is not None and trial is not None:
            self._foreman.kill(study, trial)

    def action_promote(self) -> None:
        look, trial = self._look_at, self._trial
        if look.study is not None and look.snapshot is not None and trial is not None:
            self._foreman.promote(look.study, trial, look.snapshot)

    def action_view(self) -> None:
        self.app_state.settings.save("sweep.view", self.query_one(Plots).turn())

    @on(Input.Changed, "#filter")
    def _filtered(self) -> None:
        self.draw()


def _row(key: Key) -> str:
    return "\n".join(key)
