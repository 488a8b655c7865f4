"""The dashboard: screens side by side over one desk, and what is common to all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.driver import Driver
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.signal import Signal

from fmnist_tui.config import recipes
from fmnist_tui.config.plans import Plan, first_run
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.commands import Command
from fmnist_tui.protocol.events import LRFIND, SWEEP, RunEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import BROKEN, RunSummary
from fmnist_tui.tui import theme as themes
from fmnist_tui.tui.base import dialog_flow
from fmnist_tui.tui.base.bars import TopBar
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.command_palette import ActionPalette, PaletteCommands
from fmnist_tui.tui.context import Tab
from fmnist_tui.tui.help import binding_ids, help_sheet
from fmnist_tui.tui.jobs.job_manager import JobManager
from fmnist_tui.tui.jobs.plan_runner import PlanRunner
from fmnist_tui.tui.jobs.screen import JobsScreen
from fmnist_tui.tui.quit import QuitFlow
from fmnist_tui.tui.screens.data.screen import DataScreen
from fmnist_tui.tui.screens.errors.screen import ErrorsScreen
from fmnist_tui.tui.screens.evaluate.screen import EvaluateScreen
from fmnist_tui.tui.screens.predict.screen import PredictScreen
from fmnist_tui.tui.screens.runs.screen import RunsScreen
from fmnist_tui.tui.screens.sweep.screen import SweepScreen
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.tui.state.app_state import AppState, ClassPair, QuitMode
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.terminal.ascii_filter import AsciiFilter
from fmnist_tui.tui.terminal.refresh_rate import RefreshRate
from fmnist_tui.tui.terminal.short_colours import ShortColours
from fmnist_tui.tui.widgets.run_status import run_status
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

Result = TypeVar("Result")

SCREENS: tuple[type[DashboardScreen], ...] = (
    DataScreen,
    TrainScreen,
    EvaluateScreen,
    ErrorsScreen,
    PredictScreen,
    RunsScreen,
    SweepScreen,
)


class Dashboard(App[int]):
    """`fmnist-tui` in a terminal. What it gives back is the exit status."""

    TITLE = "fmnist-tui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {PaletteCommands}
    NOTIFICATION_TIMEOUT = 4
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Keys of this screen", show=False, id="app.help"),
        Binding("q", "leave", "Leave", show=False, id="app.leave"),
        Binding("ctrl+c", "interrupt", "Leave", show=False, priority=True, id="app.interrupt"),
        Binding("ctrl+q", "leave", "Leave", show=False, priority=True, id="app.quit"),
        Binding("d", "detach", "Detach the run and leave", show=False, id="app.detach"),
        Binding("E", "errands", "Errands under way", show=False, id="app.errands"),
        Binding("t", "theme", "Dark or light theme", show=False, id="app.theme"),
    ]

    def __init__(
        self, app_state: AppState, first: str = "data", driver: type[Driver] | None = None
    ) -> None:
        super().__init__(driver_class=driver)
        self.app_state = app_state
        self._first = first
        self._filters_of_ours: list[LineFilter] = [ShortColours()]
        if app_state.ascii:
            self._filters_of_ours.append(AsciiFilter())
        self.jobs = JobManager(self)
        self.plan_runner = PlanRunner(self)
        self.quit_flow = QuitFlow(self)
        self._pace = RefreshRate()
        self._told_end: RunEnded | None = None
        # The run on the bench has said something; another run is on the bench; another
        # run is in hand (or its predictions have changed).
        self.run_updated: Signal[RunFeed] = Signal(self, "feed moved")
        self.run_replaced: Signal[RunFeed | None] = Signal(self, "feed changed")
        self.selection_changed: Signal[RunFolder | None] = Signal(self, "run changed")
        for screen in SCREENS:
            self.add_mode(screen.NAME, screen)
            self.bind(screen.KEY, f"show('{screen.NAME}')", description=screen.TITLE, show=False)

    @property
    def tabs(self) -> Sequence[Tab]:
        return [Tab(screen.NAME, screen.KEY, screen.TITLE) for screen in SCREENS]

    # -- what Textual asks --------------------------------------------------------

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._filters_of_ours]

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.DEFAULTS

    def get_default_screen(self) -> Screen[object]:
        return Screen(id="ground")

    async def on_event(self, event: events.Event) -> None:
        typed = isinstance(event, events.Key | events.Paste) and not event.is_forwarded
        if typed and isinstance(self.screen, DashboardScreen):
            self.screen.focus_in_sight()
        await super().on_event(event)

    def on_load(self) -> None:
        for theme in themes.THEMES:
            self.register_theme(theme)
        wanted = self.app_state.settings.get("theme", themes.DARK)
        self.theme = wanted if wanted in self.available_themes else themes.DARK
        known = binding_ids([self, *SCREENS])
        self.app_state.settings.check_keys(known)
        self.set_keymap(self.app_state.settings.keymap)

    def on_mount(self) -> None:
        if self.app_state.ascii:
            self.add_class("-ascii")
        self.switch_mode(self._first)
        self.theme_changed_signal.subscribe(self, lambda theme: self._keep_theme(theme.name))
        self._complain()
        self.set_timer(self._pace.delay, self._tick)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        yield SystemCommand("Theme…", "Choose how it looks", self.action_change_theme)
        yield SystemCommand("Keys of this screen", "What every key does here", self.action_help)
        yield SystemCommand("Leave", "Leave the dashboard", self.action_leave)

    def _complain(self) -> None:
        """Say what is wrong with the user's settings, once."""
        while self.app_state.settings.complaints:
            self.notify(self.app_state.settings.complaints.pop(0), "warning")

    # -- the run on the bench -------------------------------------------------------

    def _tick(self) -> None:
        """Take in what the run has said. How soon again depends on what showing it cost."""
        feed = self.app_state.feed
        if feed is not None:
            was_live, was_error = feed.live, feed.error
            if feed.drain():
                self.run_updated.publish(feed)
                self.refresh_status()
                self._tell_of(feed, was_live, was_error)
        if self.jobs.poll():
            self.refresh_status()
        self.plan_runner.poll()
        self._complain()
        self.set_timer(self._pace.next(), self._tick)

    def _tell_of(self, feed: RunFeed, was_live: bool, was_error: str) -> None:
        end = feed.state.end
        if feed.error and feed.error != was_error:
            self.notify(feed.error, "error")
        elif end is not None and end is not self._told_end:
            self._told_end = end
            message = f": {end.message}" if end.message else ""
            self.notify(
                f"{feed.name} {end.reason}{message}",
                "error" if end.reason == "failed" else "information",
            )
            if feed.folder is not None:
                self.selection_changed.publish(self.app_state.selected_run)

    def show_run(self, feed: RunFeed | None) -> None:
        """Show another run on Train (and in the bar above every screen)."""
        self.app_state.feed = feed
        self._told_end = feed.state.end if feed is not None else None
        self.run_replaced.publish(feed)
        self.refresh_status()

    def start_run(self, config: RunConfig, heading: str = "") -> bool:
        """Begin a run in this process, in its place in a plan; whether it could be asked for."""
        return self._begin(lambda: self.app_state.session.train(config), heading)

    def start_lr_search(self, config: RunConfig) -> bool:
        """Search for a learning rate in this process, as a run of its own."""
        return self._begin(lambda: self.app_state.session.lrfind(config))

    def start_plan(self, plan: Plan) -> bool:
        """Start the runs of a plan, one after another; whether the first one could be started."""
        return self.plan_runner.start(plan)

    def resume_run(self, folder: RunFolder, config: RunConfig) -> bool:
        """Take a run up again in this process."""
        return self._begin(lambda: self.app_state.session.resume(folder, config))

    def fork_run(self, folder: RunFolder, checkpoint: str, config: RunConfig) -> bool:
        """Begin a new run in this process from another's checkpoint."""
        return self._begin(lambda: self.app_state.session.fork(folder, checkpoint, config))

    def _begin(self, begin: Callable[[], Any], heading: str = "") -> bool:
        try:
            training = begin()
        except UserError as error:
            self.notify(str(error), "error")
            return False
        feed = RunFeed.of(training)
        feed.heading = heading
        self.show_run(feed)
        return True

    def follow_run(self, folder: RunFolder) -> None:
        """Put a run of the shelf, or of another process, on the bench."""
        self.workers.cancel_group(self, "follow")
        feed = self.app_state.feed
        if feed is not None and feed.folder == folder and (feed.live or not feed.own):
            return
        if self.app_state.training:
            self.notify("a run is under way here; it stays on the bench until it ends", "warning")
            return

        async def open_it() -> None:
            try:
                opened = await asyncio.to_thread(RunFeed.open, folder)
            except UserError as error:
                self.notify(str(error), "error")
                return
            # A training that was begun meanwhile is not to be pushed off.
            if not self.app_state.training:
                self.show_run(opened)

        self.run_worker(open_it(), group="follow", exclusive=True)

    def send_command(self, command: Command) -> bool:
        """Tell the run on the bench something; whether somebody listens."""
        feed = self.app_state.feed
        if feed is None or not feed.live:
            self.notify("no run is going on", "warning")
            return False
        try:
            feed.send(command)
        except UserError as error:
            self.notify(str(error), "error")
            return False
        return True

    # -- the run in hand ------------------------------------------------------------

    def select_run(self, folder: RunFolder | None) -> None:
        """Take a run in hand: the one that Evaluate, Errors and Predict ask about."""
        self.app_state.selected_run = folder
        self.selection_changed.publish(folder)

    @property
    def selected_run(self) -> RunFolder | None:
        """The run taken in hand, or else the one on the bench."""
        if self.app_state.selected_run is not None:
            return self.app_state.selected_run
        return self.app_state.feed.folder if self.app_state.feed is not None else None

    def open_run(self, folder: RunFolder) -> None:
        """Take a run in hand, put it on the bench, and go where there is most to see of it."""
        self.select_run(folder)
        self.follow_run(folder)
        self.show("evaluate" if any(folder.predictions.glob("*.npz")) else "train")

    def open_listed_run(self, run: RunSummary) -> None:
        """Open a run of any kind where it is shown."""
        if run.state == BROKEN:
            self.notify(f"{run_name(run)} is broken: {safe_text(run.reason)}", "error")
        elif run.kind == LRFIND:
            self.follow_run(run.run)
            self.show("train")
        elif run.kind == SWEEP:
            self.app_state.sweep = run.run
            self.show("sweep")
        else:
            self.open_run(run.run)

    def edit_config(self, values: Mapping[str, Any], recipe: Recipe | None = None) -> None:
        """Go to Train with these settings in the form, the first of a recipe's perhaps."""
        self.app_state.draft, self.app_state.recipe = dict(values), recipe
        if self.current_mode == "train" and isinstance(self.screen, DashboardScreen):
            # It is in view: nothing will resume it.
            self.screen.load_draft()
        else:
            self.show("train")

    def edit_recipe(self, name: str) -> None:
        """Go to Train with a recipe's settings in the form."""
        try:
            recipe = recipes.load(name)
            self.edit_config(first_run(recipe)[0].model_dump(), recipe)
        except UserError as error:
            self.notify(str(error), "error")

    def open_errors(self, pair: ClassPair) -> None:
        """Show the images of a cell of the matrix."""
        self.app_state.class_pair = pair
        self.show("errors")

    # -- what other processes do meanwhile ----------------------------------------------

    def start_job(
        self,
        title: str,
        words: list[str],
        on_done: Callable[[Any], None] | None = None,
        on_failed: Callable[[str], None] | None = None,
    ) -> None:
        """Have a command of ours (`words`) done by a process of its own; its JSON document
        goes to `on_done`. Where it fails a toast says why, and `on_failed` is called."""
        self.jobs.run(title, words, on_done, on_failed)
        self.refresh_status()
        self.notify(f"{title}: under way (E shows it)")

    def action_errands(self) -> None:
        if not isinstance(self.screen, JobsScreen):
            self.push_screen(JobsScreen(self.app_state, self.jobs))

    # -- around them ------------------------------------------------------------------

    def show(self, name: str) -> None:
        """Go to a screen."""
        if self.current_mode != name:
            # Dialogs are cancelled: whoever waits for one is told.
            while len(self.screen_stack) > 1:
                self.screen.dismiss(None)
            self.switch_mode(name)

    def action_show(self, name: str) -> None:
        self.show(name)

    def notify(
        self,
        message: str,
        severity: SeverityLevel = "information",
        *,
        title: str = "",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a toast. The message is always plain text: it may quote file names."""
        text = safe_text(message, 400)
        super().notify(text, title=title, severity=severity, timeout=timeout, markup=False)

    def status_line(self) -> Content:
        """The run on the bench in a few words."""
        feed, errands = self.app_state.feed, self.jobs.summary()
        run = run_status(feed) if feed is not None else Content("")
        if not errands:
            return run
        return Content.assemble(("⚙ ", "$accent"), safe_text(errands, 40), "  ", run)

    def refresh_status(self) -> None:
        """Bring the bar above the screen that is shown up to date."""
        for bar in self.screen.query(TopBar):
            bar.status = self.status_line()

    def start_flow(self, steps: Coroutine[Any, Any, None]) -> None:
        """Run an async method that opens dialogs; see `dialog_flow`."""
        dialog_flow.start_flow(self, steps)

    async def ask(self, dialog: Screen[Result]) -> Result | None:
        """Open a dialog and wait for its result; None where it was cancelled."""
        return await dialog_flow.ask(self, dialog)

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, ActionPalette):
            self.push_screen(ActionPalette())

    def action_help(self) -> None:
        self.push_screen(help_sheet(self.screen))

    def action_theme(self) -> None:
        dark = self.current_theme.dark
        self.theme = themes.LIGHT if dark else themes.DARK

    def _keep_theme(self, name: str) -> None:
        self.app_state.settings.keep("theme", name)

    # -- leaving ----------------------------------------------------------------------

    def action_leave(self) -> None:
        self.start_flow(self.quit_flow.quit(0))

    def action_interrupt(self) -> None:
        self.start_flow(self.quit_flow.interrupt())

    def action_detach(self) -> None:
        self.start_flow(self.quit_flow.detach())

    def quit_now(self, mode: QuitMode, code: int) -> None:
        """Close the screen; what becomes of the run is settled once the terminal is back."""
        self.app_state.leaving, self.app_state.exit_code = mode, code
        self.exit(code)
