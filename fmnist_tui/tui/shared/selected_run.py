"""The selected run on the shown split, for Evaluate and Errors, which each have one of these.

It loads predictions and events in threads, has the session evaluate, and calls its screen
when there is something new to show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from textual.content import Content
from textual.timer import Timer

from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary, list_runs
from fmnist_tui.runs.notes import read_notes
from fmnist_tui.tui.base.dialogs import PickerDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.state.evaluation_cache import SPLIT_ORDER, LoadedEvaluation
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.run_status import status_mark
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import NO_VALUE, format_percent
from fmnist_tui.util.sequences import next_item
from fmnist_tui.util.text import safe_text

# The widths of name, id, data and state in the list of runs.
_WORD_LIMITS = (14, 5, 11, 8)
# The state, the predictions, what is missing, and the name that the user has given the run.
_Loaded = tuple[RunState | None, LoadedEvaluation | None, str, str]


class SelectedRun:
    """`loaded` has the predictions, `state` is the run's state, `problem` says what is missing."""

    def __init__(self, screen: DashboardScreen, on_changed: Callable[[], None]) -> None:
        self._screen, self._on_changed = screen, on_changed
        self.folder: RunFolder | None = None
        self.split = ""
        self.loaded: LoadedEvaluation | None = None
        self.problem = ""
        self.is_loading = False
        self._own_name = ""
        self._state: RunState | None = None
        self._last_version: object = None
        self._timer: Timer | None = None

    # -- while the screen is shown -----------------------------------------------------

    def subscribe(self) -> None:
        """Follow changes of runs while the screen is shown; `resume` catches up later."""
        screen, context = self._screen, self._screen.context

        def when_shown(do: Callable[[], None]) -> Callable[[object], None]:
            return lambda _: do() if screen.is_current else None

        context.selection_changed.subscribe(screen, when_shown(self.reload))
        context.run_replaced.subscribe(screen, when_shown(self.reload))
        context.run_updated.subscribe(screen, when_shown(self._on_run_updated))
        self._timer = screen.set_interval(1, self._on_changed, pause=True)

    def resume(self) -> None:
        """The screen is shown."""
        self.reload()
        self._notify_screen()

    def suspend(self) -> None:
        """The screen is hidden."""
        if self._timer is not None:
            self._timer.pause()

    def _notify_screen(self) -> None:
        """Call the screen, and then every second while an evaluation is in progress."""
        if self._timer is not None:
            if self.evaluating_since is not None and self._screen.is_current:
                self._timer.resume()
            else:
                self._timer.pause()
        self._on_changed()

    # -- the run ------------------------------------------------------------------------

    @property
    def feed(self) -> RunFeed | None:
        """The followed run, if it is this one."""
        feed = self._screen.app_state.feed
        return feed if feed is not None and feed.folder == self.folder and self.folder else None

    @property
    def state(self) -> RunState | None:
        feed = self.feed
        return feed.state if feed is not None else self._state

    @property
    def screen_name(self) -> str:
        """The screen that shows it."""
        return self._screen.NAME

    @property
    def name(self) -> str:
        """`two-conv 7f3a`; the user's own name in place of the recipe if there is one."""
        if self.folder is None:
            return ""
        state = self.state
        recipe = state.started.recipe if state is not None and state.started else ""
        return safe_text(f"{self._own_name or recipe} {self.folder.id}".strip(), 46)

    @property
    def count(self) -> int | None:
        """The number of images in the split, from the run's events."""
        started = self.state.started if self.state is not None else None
        if started is None:
            return None
        counts = {"train": started.train_count, "val": started.val_count}
        return counts.get(self.split, started.test_count)

    @property
    def checkpoint(self) -> str:
        """The checkpoint that would be evaluated now, in words; empty if there is none."""
        if self.state is None:
            return ""
        for kind in ("best", "last"):
            saved = self.state.record.newest(kind)
            if saved is not None:
                return f"{kind} @ step {saved.step:,} (epoch {saved.epoch})"
        return ""

    @property
    def evaluating_since(self) -> float | None:
        """When an evaluation that is in progress was started, by the monotonic clock."""
        cache = self._screen.app_state.evaluations
        return cache.started_at(self.folder, self.split) if self.folder is not None else None

    @property
    def evaluation_error(self) -> str:
        """Why the last evaluation failed; empty if it did not."""
        cache = self._screen.app_state.evaluations
        return cache.error(self.folder, self.split) if self.folder is not None else ""

    # -- loading ------------------------------------------------------------------------

    def reload(self) -> None:
        """Load what is new about the run that is selected now."""
        cache, folder = self._screen.app_state.evaluations, self._screen.context.selected_run
        split = cache.split(folder) if folder is not None else ""
        if (folder, split) != (self.folder, self.split):
            if folder != self.folder:
                self._state, self._own_name = None, ""
            self.folder, self.split, self.problem = folder, split, ""
            self.loaded = cache.get(folder, split) if folder is not None else None
            self.is_loading = folder is not None and self.loaded is None
            self._notify_screen()
        if folder is None:
            return
        is_followed = self.feed is not None

        def load() -> _Loaded:
            if not folder.path.is_dir():
                path = safe_text(folder.path)
                return None, None, f"the folder of this run no longer exists: {path}", ""
            evaluation, problem = None, ""
            try:
                evaluation = cache.load(folder, split)
            except UserError as error:
                problem = str(error)
            state = None if is_followed else cache.load_state(folder)
            return state, evaluation, problem, read_notes(folder).name

        def on_loaded(new: _Loaded) -> None:
            if (folder, split) != (self.folder, self.split):
                return  # no run is selected any more
            before = (self._state, self.loaded, self.problem, self._own_name)
            was_loading, self.is_loading = self.is_loading, False
            self._state, self.loaded, self.problem, self._own_name = new
            if was_loading or before != new:
                self._notify_screen()

        def on_failed(problem: str) -> None:
            if (folder, split) != (self.folder, self.split):
                return
            self.is_loading, self.loaded, self.problem = False, None, problem
            self._notify_screen()

        self._screen.run_in_thread(load, on_loaded, on_failed, group="selected run")

    def _on_run_updated(self) -> None:
        """Call the screen if new events of the followed run matter here."""
        if self._screen.context.selected_run != self.folder:
            self.reload()
            return
        state = self.state
        if self.feed is None or state is None:
            return
        last = state.epochs[-1].step if state.epochs else 0
        version = (
            self.folder,
            last,
            state.sessions,
            state.end,
            len(state.checkpoints),
            state.best,
        )
        if version != self._last_version:
            self._last_version = version
            self._notify_screen()

    # -- actions ------------------------------------------------------------------------

    def next_split(self) -> None:
        """Show the next split: val, test, train, val …"""
        if self.folder is not None:
            split = next_item(SPLIT_ORDER, self.split)
            self._screen.app_state.evaluations.choose_split(self.folder, split)
            self.reload()

    async def pick_run(self) -> None:
        """Let the user select another run from a list."""
        screen = self._screen
        runs = await screen.in_thread(partial(list_runs, screen.app_state.runs_dir))
        if not runs:
            screen.notify("no runs yet: {show.train} opens Train")
            return
        columns = zip(*map(_words, runs), strict=True)
        widths = [
            min(limit, max(map(len, column)))
            for limit, column in zip(_WORD_LIMITS, columns, strict=True)
        ]
        items = [(run.run.name, _format_run(run, widths)) for run in runs]
        name = await screen.ask(PickerDialog("Which run", items))
        if name is not None:
            screen.context.select_run(next(run.run for run in runs if run.run.name == name))

    def evaluate(self) -> None:
        """Evaluate the run's best checkpoint on the split, now."""
        folder, split = self.folder, self.split
        if folder is None or self.evaluating_since is not None:
            return
        screen, app_state = self._screen, self._screen.app_state
        try:
            future = app_state.evaluations.evaluate(app_state.session, folder, split)
        except UserError as error:
            screen.notify_error(str(error))
            return

        def finish(notify: Callable[[str], None], message: str) -> None:
            is_shown = screen.is_current and (folder, split) == (self.folder, self.split)
            # Every screen that shows the run reloads it.
            screen.context.selection_changed.publish(screen.context.selected_run)
            self._notify_screen()
            if not is_shown:
                notify(message)

        def on_done(loaded: LoadedEvaluation) -> None:
            accuracy = format_percent(loaded.evaluation.accuracy)
            finish(screen.notify, f"{safe_text(folder.id, 40)}: {accuracy} on {split}")

        def on_failed(why: str) -> None:
            finish(screen.notify_error, why)

        screen.await_session(future, on_done, on_failed, group=f"evaluate {folder.path} {split}")
        self._notify_screen()


def _words(run: RunSummary) -> list[str]:
    return [safe_text(word or "?") for word in (run.title, run.run.id, run.dataset, run.state)]


def _format_run(run: RunSummary, widths: Sequence[int]) -> Content:
    """`● two-conv 7f3a  fashion  finished  val 91.24 %  test 91.87 %`."""
    sign, colour = status_mark(run.state)
    figures = [
        f"{split} {text:>8}"
        for split, text in (("val", run.val_text), ("test", format_percent(run.test_accuracy)))
        if text != NO_VALUE
    ]
    words = zip(_words(run), widths, strict=True)
    text = " ".join(f"{safe_text(word, width):<{width}}" for word, width in words)
    return Content.assemble((sign, colour), f" {text} " + "  ".join(figures))
