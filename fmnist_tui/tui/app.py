"""The dashboard: screens side by side over one desk, and what is common to all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.signal import Signal

from fmnist_tui.config import recipes
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.commands import Command
from fmnist_tui.protocol.events import LRFIND, SWEEP, RunEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import BROKEN, RunSummary
from fmnist_tui.tui import theme as themes
from fmnist_tui.tui.base.bars import TopBar
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.command_palette import ActionPalette, PaletteCommands
from fmnist_tui.tui.help import binding_ids, help_sheet
from fmnist_tui.tui.jobs.job_manager import JobManager
from fmnist_tui.tui.jobs.plan_runner import PlanRunner, opening
from fmnist_tui.tui.jobs.screen import JobsScreen
from fmnist_tui.tui.quit import QuitFlow
from fmnist_tui.tui.screens.data.screen import DataScreen
from fmnist_tui.tui.screens.errors.screen import ErrorsScreen
from fmnist_tui.tui.screens.evaluate.screen import EvaluateScreen
from fmnist_tui.tui.screens.predict.screen import PredictScreen
from fmnist_tui.tui.screens.runs.screen import RunsScreen
from fmnist_tui.tui.screens.sweep.screen import SweepScreen
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.shared.run_list import name_of
from fmnist_tui.tui.state.app_state import AppState, ClassPair, QuitMode
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.terminal.ascii_filter import AsciiFilter
from fmnist_tui.tui.terminal.refresh_rate import RefreshRate
from fmnist_tui.tui.terminal.short_colours import ShortColours
from fmnist_tui.tui.widgets.run_status import run_status
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

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
        self, desk: AppState, first: str = "data", driver: type[Driver] | None = None
    ) -> None:
        self.screens: Sequence[type[DashboardScreen]] = SCREENS
        super().__init__(driver_class=driver)
        self.desk = desk
        self._first = first
        self._filters_of_ours: list[LineFilter] = [ShortColours()]
        if desk.ascii:
            self._filters_of_ours.append(AsciiFilter())
        self.errands = JobManager(self)
        self.planning = PlanRunner(self)
        self.departure = QuitFlow(self)
        self._pace = RefreshRate()
        self._told_end: RunEnded | None = None
        # The run on the bench has said something; another run is on the bench; another
        # run is in hand (or its predictions have changed).
        self.feed_moved: Signal[RunFeed] = Signal(self, "feed moved")
        self.feed_changed: Signal[RunFeed | None] = Signal(self, "feed changed")
        self.run_changed: Signal[RunFolder | None] = Signal(self, "run changed")
        for screen in self.screens:
            self.add_mode(screen.NAME, screen)
            self.bind(screen.KEY, f"show('{screen.NAME}')", description=screen.TITLE, show=False)

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
        wanted = self.desk.settings.get("theme", themes.DARK)
        self.theme = wanted if wanted in self.available_themes else themes.DARK
        known = binding_ids(self)
        self.desk.settings.check_keys(known)
        self.set_keymap(self.desk.settings.keymap)

    def on_mount(self) -> None:
        if self.desk.ascii:
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
        while self.desk.settings.complaints:
            self.say(self.desk.settings.complaints.pop(0), "warning")

    # -- the run on the bench -------------------------------------------------------

    def _tick(self) -> None:
        """Take in what the run has said. How soon again depends on what showing it cost."""
        feed = self.desk.feed
        if feed is not None:
            was_live, was_error = feed.live, feed.error
            if feed.drain():
                self.feed_moved.publish(feed)
                self.refresh_status()
                self._tell_of(feed, was_live, was_error)
        if self.errands.look():
            self.refresh_status()
        self.planning.look()
        self._complain()
        self.set_timer(self._pace.next(), self._tick)

    def _tell_of(self, feed: RunFeed, was_live: bool, was_error: str) -> None:
        end = feed.state.end
        if feed.error and feed.error != was_error:
            self.say(feed.error, "error")
        elif end is not None and end is not self._told_end:
            self._told_end = end
            message = f": {end.message}" if end.message else ""
            self.say(
                f"{feed.name} {end.reason}{message}",
                "error" if end.reason == "failed" else "information",
            )
            if feed.folder is not None:
                self.run_changed.publish(self.desk.run)

    def put_on_bench(self, feed: RunFeed | None) -> None:
        """Show another run on Train (and in the bar above every screen)."""
        self.desk.feed = feed
        self._told_end = feed.state.end if feed is not None else None
        self.feed_changed.publish(feed)
        self.refresh_status()

    def start(self, config: RunConfig, heading: str = "") -> bool:
        """Begin a run in this process, in its place in a plan; whether it could be asked for."""
        return self._begin(lambda: self.desk.session.train(config), heading)

    def find_rate(self, config: RunConfig) -> bool:
        """Search for a learning rate in this process, as a run of its own."""
        return self._begin(lambda: self.desk.session.lrfind(config))

    def resume(self, folder: RunFolder, config: RunConfig) -> bool:
        """Take a run up again in this process."""
        return self._begin(lambda: self.desk.session.resume(folder, config))

    def fork(self, folder: RunFolder, checkpoint: str, config: RunConfig) -> bool:
        """Begin a new run in this process from another's checkpoint."""
        return self._begin(lambda: self.desk.session.fork(folder, checkpoint, config))

    def _begin(self, begin: Callable[[], Any], heading: str = "") -> bool:
        try:
            training = begin()
        except UserError as error:
            self.say(str(error), "error")
            return False
        feed = RunFeed.of(training)
        feed.heading = heading
        self.put_on_bench(feed)
        return True

    def follow(self, folder: RunFolder) -> None:
        """Put a run of the shelf, or of another process, on the bench."""
        self.workers.cancel_group(self, "follow")
        feed = self.desk.feed
        if feed is not None and feed.folder == folder and (feed.live or not feed.own):
            return
        if self.desk.training:
            self.say("a run is under way here; it stays on the bench until it ends", "warning")
            return

        async def open_it() -> None:
            try:
                opened = await asyncio.to_thread(RunFeed.open, folder)
            except UserError as error:
                self.say(str(error), "error")
                return
            # A training that was begun meanwhile is not to be pushed off.
            if not self.desk.training:
                self.put_on_bench(opened)

        self.run_worker(open_it(), group="follow", exclusive=True)

    def tell(self, command: Command) -> bool:
        """Tell the run on the bench something; whether somebody listens."""
        feed = self.desk.feed
        if feed is None or not feed.live:
            self.say("no run is going on", "warning")
            return False
        try:
            feed.send(command)
        except UserError as error:
            self.say(str(error), "error")
            return False
        return True

    # -- the run in hand ------------------------------------------------------------

    def take(self, folder: RunFolder | None) -> None:
        """Take a run in hand: the one that Evaluate, Errors and Predict ask about."""
        self.desk.run = folder
        self.run_changed.publish(folder)

    def run_in_hand(self) -> RunFolder | None:
        """The run taken in hand, or else the one on the bench."""
        if self.desk.run is not None:
            return self.desk.run
        return self.desk.feed.folder if self.desk.feed is not None else None

    def open_run(self, folder: RunFolder) -> None:
        """Take a run in hand, put it on the bench, and go where there is most to see of it."""
        self.take(folder)
        self.follow(folder)
        self.show("evaluate" if any(folder.predictions.glob("*.npz")) else "train")

    def open_listed(self, run: RunSummary) -> None:
        """Open a run of any kind where it is shown."""
        if run.state == BROKEN:
            self.say(f"{name_of(run)} is broken: {safe_text(run.reason)}", "error")
        elif run.kind == LRFIND:
            self.follow(run.run)
            self.show("train")
        elif run.kind == SWEEP:
            self.desk.sweep = run.run
            self.show("sweep")
        else:
            self.open_run(run.run)

    def draft(self, values: Mapping[str, Any], recipe: Recipe | None = None) -> None:
        """Go to Train with these settings in the form, the first of a recipe's perhaps."""
        self.desk.draft, self.desk.recipe = dict(values), recipe
        if self.current_mode == "train" and isinstance(self.screen, DashboardScreen):
            # It is in view: nothing will resume it.
            self.screen.take_draft()
        else:
            self.show("train")

    def draft_recipe(self, name: str) -> None:
        """Go to Train with a recipe's settings in the form."""
        try:
            recipe = recipes.load(name)
            self.draft(opening(recipe)[0].model_dump(), recipe)
        except UserError as error:
            self.say(str(error), "error")

    def open_errors(self, pair: ClassPair) -> None:
        """Show the images of a cell of the matrix."""
        self.desk.pair = pair
        self.show("errors")

    # -- what other processes do meanwhile ----------------------------------------------

    def errand(
        self,
        title: str,
        words: list[str],
        then: Callable[[Any], None] | None = None,
        missed: Callable[[str], None] | None = None,
    ) -> None:
        """Have a command of ours (`words`) done by a process of its own; its JSON document
        goes to `then`. Where it fails a toast says why, and `missed` is told too."""
        self.errands.run(title, words, then, missed)
        self.refresh_status()
        self.say(f"{title}: under way (E shows it)")

    def action_errands(self) -> None:
        if not isinstance(self.screen, JobsScreen):
            self.push_screen(JobsScreen(self.errands))

    # -- around them ------------------------------------------------------------------

    def show(self, name: str) -> None:
        """Go to a screen."""
        if self.current_mode != name:
            while len(self.screen_stack) > 1:
                self.pop_screen()
            self.switch_mode(name)

    def action_show(self, name: str) -> None:
        self.show(name)

    def say(self, message: str, severity: str = "information") -> None:
        """A toast; whatever is in the message is shown as it is."""
        self.notify(safe_text(message, 400), severity=cast(Any, severity), markup=False)

    def status_line(self) -> Content:
        """The run on the bench in a few words."""
        feed, errands = self.desk.feed, self.errands.summary()
        run = run_status(feed) if feed is not None else Content("")
        if not errands:
            return run
        return Content.assemble(("⚙ ", "$accent"), safe_text(errands, 40), "  ", run)

    def refresh_status(self) -> None:
        """Bring the bar above the screen that is shown up to date."""
        for bar in self.screen.query(TopBar):
            bar.status = self.status_line()

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, ActionPalette):
            self.push_screen(ActionPalette())

    def action_help(self) -> None:
        self.push_screen(help_sheet(self.screen))

    def action_theme(self) -> None:
        dark = self.current_theme.dark
        self.theme = themes.LIGHT if dark else themes.DARK

    def _keep_theme(self, name: str) -> None:
        self.desk.settings.keep("theme", name)

    # -- leaving ----------------------------------------------------------------------

    def action_leave(self) -> None:
        self.departure.ask(0)

    def action_interrupt(self) -> None:
        self.departure.interrupt()

    def action_detach(self) -> None:
        self.departure.detach()

    def leave_now(self, how: QuitMode, code: int) -> None:
        """Close the screen; what becomes of the run is settled once the terminal is back."""
        self.desk.leaving, self.desk.exit_code = how, code
        self.exit(code)
