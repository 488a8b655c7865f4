"""The run in hand on the split in view: what is known of it, and how more is found out.

Evaluate and Errors each have one of these. It reads in threads, asks the session, and
tells its screen when there is something else to show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual.content import Content
from textual.timer import Timer

from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary, list_runs
from fmnist_tui.tui.base.dialogs import PickerDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.state.evaluation_cache import SPLIT_ORDER, LoadedEvaluation
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.run_status import status_mark
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class _Look:
    state: RunState | None
    found: LoadedEvaluation | None
    trouble: str


class SelectedRun:
    """`folder` and `split` are what is in view, `found` the predictions, `state` what the
    run's events add up to, `trouble` why there is less than that."""

    def __init__(self, screen: DashboardScreen, changed: Callable[[], None]) -> None:
        self._screen, self._changed = screen, changed
        self.folder: RunFolder | None = None
        self.split = ""
        self.found: LoadedEvaluation | None = None
        self.trouble = ""
        self.reading = False
        self._record: RunState | None = None
        self._seen: object = None
        self._clock: Timer | None = None

    # -- the screen's comings and goings ------------------------------------------------

    def attach(self) -> None:
        """Listen to what happens to runs, from now on. While the screen is hidden nothing is
        done; `resume` makes up for it."""
        screen, context = self._screen, self._screen.context

        def when_shown(do: Callable[[], None]) -> Callable[[object], None]:
            return lambda _: do() if screen.is_current else None

        context.selection_changed.subscribe(screen, when_shown(self.look))
        context.run_replaced.subscribe(screen, when_shown(self.look))
        context.run_updated.subscribe(screen, when_shown(self._moved))
        self._clock = screen.set_interval(1, self._changed, pause=True)

    def resume(self) -> None:
        """The screen is shown."""
        self.look()
        self._tell()

    def suspend(self) -> None:
        """The screen is hidden."""
        if self._clock is not None:
            self._clock.pause()

    def _tell(self) -> None:
        """Have the screen show what there is; once a second while the session is asked."""
        if self._clock is not None:
            if self.asked is not None and self._screen.is_current:
                self._clock.resume()
            else:
                self._clock.pause()
        self._changed()

    # -- what there is ----------------------------------------------------------------

    @property
    def feed(self) -> RunFeed | None:
        """The run on the bench, if it is this one."""
        feed = self._screen.app_state.feed
        return feed if feed is not None and feed.folder == self.folder and self.folder else None

    @property
    def state(self) -> RunState | None:
        feed = self.feed
        return feed.state if feed is not None else self._record

    @property
    def live(self) -> bool:
        """Whether the run has not said its end: it goes on, or was cut off."""
        state = self.state
        return state is not None and state.end is None

    @property
    def name(self) -> str:
        """`two-conv 7f3a`."""
        if self.folder is None:
            return ""
        state = self.state
        recipe = state.started.recipe if state is not None and state.started else ""
        return safe_text(f"{recipe} {self.folder.id}".strip(), 40)

    @property
    def count(self) -> int | None:
        """How many images the split has, by the record."""
        started = self.state.started if self.state is not None else None
        if started is None:
            return None
        counts = {"train": started.train_count, "val": started.val_count}
        return counts.get(self.split, started.test_count)

    @property
    def checkpoint(self) -> str:
        """Which checkpoint would be asked now, in words; empty where there is none."""
        if self.state is None:
            return ""
        for kind in ("best", "last"):
            saved = [c for c in self.state.checkpoints.values() if c.kind == kind]
            if saved:
                return f"{kind} @ step {saved[-1].step:,} (epoch {saved[-1].epoch})"
        return ""

    @property
    def asked(self) -> float | None:
        """Since when an evaluation of this is under way."""
        verdicts = self._screen.app_state.evaluations
        return verdicts.started_at(self.folder, self.split) if self.folder is not None else None

    @property
    def refused(self) -> str:
        """Why the last evaluation of this came to nothing."""
        verdicts = self._screen.app_state.evaluations
        return verdicts.error(self.folder, self.split) if self.folder is not None else ""

    # -- looking ----------------------------------------------------------------------

    def look(self) -> None:
        """See which run and split are meant now, and read what is new about them."""
        app_state, context = self._screen.app_state, self._screen.context
        folder = context.selected_run
        split = app_state.evaluations.split(folder) if folder is not None else ""
        if (folder, split) != (self.folder, self.split):
            self._record = self._record if folder == self.folder else None
            self.folder, self.split, self.trouble = folder, split, ""
            self.found = app_state.evaluations.get(folder, split) if folder is not None else None
            self.reading = folder is not None and self.found is None
            self._tell()
        if folder is None:
            return
        of_bench, verdicts = self.feed is not None, app_state.evaluations

        def read() -> _Look:
            if not folder.path.is_dir():
                gone = f"the folder of this run is gone: {safe_text(folder.path)}"
                return _Look(None, None, gone)
            found, trouble = None, ""
            try:
                found = verdicts.load(folder, split)
            except UserError as error:
                trouble = str(error)
            return _Look(None if of_bench else verdicts.load_state(folder), found, trouble)

        def then(look: _Look) -> None:
            before = (self.reading, self.found, self.trouble, self._record)
            self.reading, self.found, self.trouble = False, look.found, look.trouble
            self._record = look.state
            if before != (self.reading, self.found, self.trouble, self._record):
                self._tell()

        self._screen.later(read, then, self._failed, group="look")

    def _failed(self, trouble: str) -> None:
        self.reading, self.found, self.trouble = False, None, trouble
        self._tell()

    def _moved(self) -> None:
        """The run on the bench has said something: see whether it matters here."""
        if self._screen.context.selected_run != self.folder:
            self.look()
            return
        state = self.state
        if self.feed is None or state is None:
            return
        last = state.epochs[-1].step if state.epochs else 0
        seen = (self.folder, last, state.sessions, state.end, len(state.checkpoints), state.best)
        if seen != self._seen:
            self._seen = seen
            self._tell()

    # -- asking -----------------------------------------------------------------------

    def next_split(self) -> None:
        """Val, test, train, and round again."""
        if self.folder is not None:
            split = SPLIT_ORDER[(SPLIT_ORDER.index(self.split) + 1) % len(SPLIT_ORDER)]
            self._screen.app_state.evaluations.choose_split(self.folder, split)
            self.look()

    def pick_run(self) -> None:
        """Take another run in hand, from the list of those there are."""
        runs_dir = self._screen.app_state.runs_dir
        self._screen.later(lambda: list_runs(runs_dir), self._offer, group="runs")

    def _offer(self, runs: list[RunSummary]) -> None:
        if not runs:
            self._screen.notify("there are no runs yet: 2 trains one")
            return
        folders = {run.run.name: run.run for run in runs}

        def take(name: str | None) -> None:
            if name is not None:
                self._screen.context.select_run(folders[name])

        items = [(run.run.name, _listed(run)) for run in runs]
        self._screen.over(PickerDialog("Which run", items), take)

    def evaluate(self) -> None:
        """Have the run's best checkpoint judged on the split, now."""
        folder, split = self.folder, self.split
        if folder is None or self.asked is not None:
            return
        screen, app_state = self._screen, self._screen.app_state
        try:
            answer = app_state.evaluations.evaluate(app_state.session, folder, split)
        except UserError as error:
            screen.notify_error(str(error))
            return

        def settled(say: Callable[[str], None], what: str) -> None:
            in_view = screen.is_current and (folder, split) == (self.folder, self.split)
            # Every screen that shows the run looks again.
            screen.context.selection_changed.publish(screen.context.selected_run)
            self._tell()
            if not in_view:
                say(what)

        def then(found: LoadedEvaluation) -> None:
            accuracy = format_percent(found.evaluation.accuracy)
            settled(screen.notify, f"{safe_text(folder.id, 40)}: {accuracy} on {split}")

        def failed(why: str) -> None:
            settled(screen.notify_error, why)

        screen.answer(answer, then, failed, group=f"evaluate {folder.path} {split}")
        self._tell()


def _listed(run: RunSummary) -> Content:
    """`● two-conv 7f3a  fashion  finished  val 91.24 %  test 91.87 %`."""
    sign, colour = status_mark(run.state)
    figures = [
        f"{split} {format_percent(share):>7}"
        for split, share in (("val", run.best_val_accuracy), ("test", run.test_accuracy))
        if share is not None
    ]
    words = [(run.recipe, 11), (run.run.id, 5), (run.dataset, 9), (run.state, 8)]
    told = " ".join(f"{safe_text(word or '?', width):<{width}}" for word, width in words)
    return Content.assemble((sign, colour), f" {told} " + "  ".join(figures))
