"""The Textual app: its screens, the followed and the selected run, jobs, toasts and quitting."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.signal import Signal
from textual.theme import Theme
from textual.widget import Widget

from fmnist_tui.config import recipes
from fmnist_tui.config.notifications import BELL, NOTIFICATION
from fmnist_tui.config.plans import Plan, first_run
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.distributed.launch import plan_configs
from fmnist_tui.protocol.commands import Command
from fmnist_tui.protocol.events import LRFIND, SWEEP
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import BROKEN, RunSummary
from fmnist_tui.tui import theme as themes
from fmnist_tui.tui.base import dialog_flow
from fmnist_tui.tui.base.copying import choose_and_copy
from fmnist_tui.tui.base.key_queue import KeyQueue
from fmnist_tui.tui.base.nav_bar import NavBar
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.base.toasts import ToastApp
from fmnist_tui.tui.bindings import load_keys
from fmnist_tui.tui.command_palette import ActionPalette, PaletteCommands
from fmnist_tui.tui.context import Tab
from fmnist_tui.tui.followed_run import FollowedRun
from fmnist_tui.tui.help import help_dialog
from fmnist_tui.tui.jobs.apart import single_step, train_apart
from fmnist_tui.tui.jobs.job_manager import JobManager
from fmnist_tui.tui.jobs.plan_runner import PlanRunner
from fmnist_tui.tui.jobs.screen import JobsScreen
from fmnist_tui.tui.key_names import key_name, key_symbol, key_word
from fmnist_tui.tui.newest_run import NewestRun, summary_status
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
from fmnist_tui.tui.status_line import StatusLine, job_status
from fmnist_tui.tui.terminal import osc
from fmnist_tui.tui.terminal.ascii_filter import to_ascii
from fmnist_tui.tui.terminal.line_filters import create_line_filters
from fmnist_tui.tui.terminal.refresh_rate import RefreshRate
from fmnist_tui.tui.terminal.terminal_driver import TerminalDriver
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
TABS = tuple(Tab(screen.NAME, screen.KEY, screen.TITLE) for screen in SCREENS)


class Dashboard(ToastApp):
    """`fmnist-tui` in a terminal; the app's return value is the exit status."""

    TITLE = "fmnist-tui"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {PaletteCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Keys of this screen", show=False, id="app.help"),
        Binding("q", "leave", "Quit", show=False, id="app.leave"),
        Binding("ctrl+c", "interrupt", "Quit", show=False, priority=True, id="app.interrupt"),
        Binding("ctrl+q", "leave", "Quit", show=False, priority=True, id="app.quit"),
        Binding("d", "detach", "Detach the run and quit", show=False, id="app.detach"),
        Binding("E", "jobs", "Background jobs", show=False, id="app.jobs"),
        Binding("y", "copy", "Copy", show=False, id="app.copy"),
        Binding("t", "theme", "Dark or light theme", show=False, id="app.theme"),
        *[
            Binding(key, f"show('{name}')", title, show=False, id=f"show.{name}")
            for name, key, title in TABS
        ],
    ]

    def __init__(
        self, app_state: AppState, first: str = "data", driver: type[Driver] | None = None
    ) -> None:
        super().__init__(app_state.messages, driver)
        self.app_state = app_state
        self._first = first
        self._own_filters = create_line_filters(ascii_only=app_state.ascii)
        self.jobs = JobManager(self)
        self.plan_runner = PlanRunner(self)
        self.quit_flow = QuitFlow(self)
        self._key_queue = KeyQueue(self, super().on_event)
        self._refresh_rate = RefreshRate()
        self.run_updated: Signal[RunFeed] = Signal(self, "run updated")
        self.run_replaced: Signal[RunFeed | None] = Signal(self, "run replaced")
        self.selection_changed: Signal[RunFolder | None] = Signal(self, "selection changed")
        self._followed = FollowedRun(self)
        self._newest = NewestRun(self)
        for screen in SCREENS:
            self.add_mode(screen.NAME, screen)

    @property
    def tabs(self) -> Sequence[Tab]:
        return [tab._replace(key=key_name(f"show.{tab.name}")) for tab in TABS]

    def docked_panels(self) -> Iterable[Widget]:
        """Widgets that every screen shows between its panes and its keys."""
        return ()

    # -- Textual's hooks --------------------------------------------------------

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._own_filters]

    def get_key_display(self, binding: Binding) -> str:
        return (key_word if self.app_state.ascii else key_symbol)(binding.key)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.DEFAULTS

    def get_default_screen(self) -> Screen[object]:
        return Screen(id="default")

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and event.key == "escape":
            self.dismiss_toasts()  # whatever else the key does
        if isinstance(event, events.Key | events.Paste):
            await self._key_queue.put(event)
        else:
            await super().on_event(event)

    def get_theme(self, theme_name: str) -> Theme | None:
        return themes.textual_theme(theme_name) or super().get_theme(theme_name)

    def on_load(self) -> None:
        for theme in themes.THEMES:
            self.register_theme(theme)
        saved = self.app_state.settings.get("theme", themes.DARK)
        self.theme = saved if saved in self.available_themes else themes.DARK
        self.set_keymap(load_keys(self.app_state.settings))

    def on_mount(self) -> None:
        self.set_class(self.app_state.ascii, "-ascii")
        self.switch_mode(self._first)
        self.call_after_refresh(self._newest.find)
        settings = self.app_state.settings
        self.theme_changed_signal.subscribe(self, lambda theme: settings.save("theme", theme.name))
        self._show_warnings()
        self.set_timer(self._refresh_rate.delay, self._tick)

    def _show_warnings(self) -> None:
        while self.app_state.settings.warnings:
            self.notify(self.app_state.settings.warnings.pop(0), "warning")

    # -- the followed run -------------------------------------------------------------

    def _tick(self) -> None:
        """Read new events of the followed run and of jobs; the next time depends on the cost."""
        if not self.is_running:
            return  # the app closes: it has no screens any more
        self._followed.poll()
        if self.jobs.poll():
            self.refresh_status()
        self.plan_runner.poll()
        self._show_warnings()
        self.set_timer(self._refresh_rate.next(), self._tick)

    def show_run(self, feed: RunFeed | None) -> None:
        """Follow another run: Train and the bar above every screen show it."""
        self._followed.show(feed)

    def start_run(self, config: RunConfig, heading: str = "") -> bool:
        """Start a run; `heading` is its place in a plan. False if that failed."""
        if config.devices > 1:
            return self.start_plan(single_step(config))
        return self._followed.start(lambda: self.app_state.session.train(config), heading)

    def start_lr_search(self, config: RunConfig) -> bool:
        """Start a learning-rate search in this process, as a run of its own."""
        return self._followed.start(lambda: self.app_state.session.find_lr(config))

    def start_plan(self, plan: Plan) -> bool:
        """Start the runs of a plan, one after another. False if the first could not be started."""
        configs = plan_configs(plan)
        if any(config.devices > 1 for config in configs):
            start = partial(train_apart, self.app_state, plan)
            return self._followed.start_apart(start, configs[0], plan.heading)
        return self.plan_runner.start(plan)

    def resume_run(self, folder: RunFolder, config: RunConfig, state: RunState) -> bool:
        """Resume a run; `state` is its state so far."""
        return self._followed.resume(folder, config, state)

    def fork_run(self, folder: RunFolder, checkpoint: str, config: RunConfig) -> bool:
        """Start a new run from a checkpoint of another."""
        return self._followed.fork(folder, checkpoint, config)

    def follow_run(self, folder: RunFolder) -> None:
        """Follow a run on disk, which another process may be training."""
        self._followed.open(folder)

    def send_command(self, command: Command) -> bool:
        """Send a command to the followed run. False if it is not running."""
        return self._followed.send(command)

    # -- the selected run -------------------------------------------------------------

    def select_run(self, folder: RunFolder | None) -> None:
        """Select the run that Evaluate, Errors and Predict are about; follow it if none is live."""
        self.app_state.selected_run, feed = folder, self.app_state.feed
        if folder is None:
            self.app_state.newest_run = None
            self._newest.find()
        if folder is not None and (feed is None or not (feed.is_live or feed.folder == folder)):
            self.follow_run(folder)
        self.selection_changed.publish(folder)

    @property
    def selected_run(self) -> RunFolder | None:
        return self.app_state.current_run

    def open_run(self, folder: RunFolder) -> None:
        """Select and follow a run, and show Evaluate if it has predictions, else Train."""
        self.select_run(folder)
        self.follow_run(folder)
        self.show("evaluate" if any(folder.predictions.glob("*.npz")) else "train")

    def open_listed_run(self, run: RunSummary) -> None:
        """Open a run of any kind on the screen for its kind."""
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
        """Show Train with these settings in the form; `recipe` is the recipe they start."""
        self.app_state.draft, self.app_state.recipe = dict(values), recipe
        is_shown = self.current_mode == "train"
        self.show("train")
        if is_shown and isinstance(self.screen, DashboardScreen):
            # The screen loads a draft when it becomes visible, which it was already.
            self.screen.load_draft()

    def edit_recipe(self, name: str) -> None:
        """Show Train with a recipe's settings in the form."""
        try:
            recipe = recipes.load_recipe(name)
            self.edit_config(first_run(recipe)[0].model_dump(), recipe)
        except UserError as error:
            self.notify(str(error), "error")

    def open_errors(self, pair: ClassPair) -> None:
        """Show the images of one cell of the confusion matrix."""
        self.app_state.class_pair = pair
        self.show("errors")

    # -- background jobs ----------------------------------------------------------------

    def start_job(
        self,
        title: str,
        words: list[str],
        on_done: Callable[[Any], None] | None = None,
        on_failed: Callable[[str], None] | None = None,
    ) -> None:
        """Run `fmnist-tui WORDS` in another process; `on_done` gets its JSON document.

        If it fails, a toast says why and `on_failed` is called."""
        self.jobs.run(title, words, on_done, on_failed)
        self.refresh_status()
        self.notify(f"{title}: started ({key_name('app.jobs')} shows it)")

    def action_jobs(self) -> None:
        if not isinstance(self.screen, JobsScreen):
            self.push_screen(JobsScreen(self.app_state, self.jobs))

    # -- screens, toasts, dialogs -------------------------------------------------------

    def show(self, name: str) -> None:
        """Switch to a screen; open dialogs are cancelled."""
        while len(self.screen_stack) > 1:
            self.screen.dismiss(None)
        if self.current_mode != name:
            self._newest.find()
            self.switch_mode(name)

    def action_show(self, name: str) -> None:
        self.show(name)

    def status_line(self) -> StatusLine:
        """Running jobs and the followed run, or else the newest one, in a few words."""
        feed, newest = self.app_state.feed, self.app_state.newest_run
        jobs = safe_text(self.jobs.summary(), 40)
        if feed is not None:
            return run_status(feed, jobs)
        return summary_status(newest, jobs) if newest else job_status(jobs)

    def refresh_status(self) -> None:
        """Update the bar above the current screen, and the terminal's title."""
        if self.is_running:
            self._set_terminal_title()
            for bar in self.screen.query(NavBar):
                bar.status = self.status_line()

    def _set_terminal_title(self) -> None:
        if isinstance(self._driver, TerminalDriver):
            run = run_status(self.app_state.feed).plain if self.app_state.feed else ""
            title = " ".join(run.split()) or self.TITLE
            self._driver.set_title(to_ascii(title) if self.app_state.ascii else title)

    def start_flow(self, flow: Coroutine[Any, Any, None]) -> None:
        dialog_flow.start_flow(self, flow)

    async def ask(self, dialog: Screen[Result]) -> Result | None:
        return await dialog_flow.ask(self, dialog)

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, ActionPalette):
            self.push_screen(ActionPalette(placeholder="an action, a screen, a recipe or a run"))

    def action_help(self) -> None:
        self.push_screen(help_dialog(self.screen, self.app_state.settings.keymap))

    def action_theme(self) -> None:
        self.theme = themes.LIGHT if self.current_theme.dark else themes.DARK

    def action_copy(self) -> None:
        if isinstance(self.screen, DashboardScreen):
            self.start_flow(choose_and_copy(self, self.screen.to_copy()))

    def copy_to_clipboard(self, text: str) -> None:
        super().copy_to_clipboard(text)
        if self._driver is not None:
            self._driver.write(osc.copy_through_tmux(text))

    def attract(self, text: str) -> None:
        """Ring the terminal or have it show a notification, as the user has set."""
        terminal = self.app_state.notifications.terminal
        if self._driver is not None and terminal == BELL:
            self._driver.write(osc.BELL)
        elif self._driver is not None and terminal == NOTIFICATION:
            self._driver.write(osc.notification_sequence(text))

    # -- quitting -----------------------------------------------------------------------

    def action_leave(self) -> None:
        self.start_flow(self.quit_flow.quit(0))

    def action_interrupt(self) -> None:
        self.start_flow(self.quit_flow.interrupt())

    def action_tour(self) -> None:
        self.quit_flow.begin_tour()

    def action_detach(self) -> None:
        self.start_flow(self.quit_flow.detach())

    def quit_now(self, mode: QuitMode, code: int) -> None:
        """Close the app; `launch` stops or detaches the run once the terminal is restored."""
        self.app_state.quit_mode, self.app_state.exit_code = mode, code
        self.app_state.leaving.begin()
        self.exit(code)
