"""Opens the dashboard and, once the terminal is restored, stops or detaches its run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from textual.driver import Driver
from textual.worker import WorkerFailed

from fmnist_tui.config.notifications import load_notifications
from fmnist_tui.config.plans import EnsembleStep, Plan
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.commands import Detach, Stop
from fmnist_tui.protocol.events import DETACHED, FAILED, FINISHED
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps.storage import VARIABLE as STORAGE
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.screens.data.loading import SKETCHES
from fmnist_tui.tui.state.app_state import AppState, QuitMode
from fmnist_tui.tui.state.background_run import BackgroundRun
from fmnist_tui.tui.state.dataset_load import DatasetFetch
from fmnist_tui.tui.state.job import STOP_SECONDS, end_all
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.state.settings import Settings
from fmnist_tui.tui.terminal import browser_driver, signals, stdio, terminal_driver
from fmnist_tui.tui.terminal.gc_tuning import short_collections
from fmnist_tui.tui.tour.app import TourDashboard
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.formatting import format_count
from fmnist_tui.util.paths import settings_dir
from fmnist_tui.util.text import safe_text, strip_style

LOG_LINES = 2000
POLL_SECONDS = 0.1


def open_dashboard(
    runs_dir: Path,
    data_dir: Path,
    *,
    ascii_only: bool = False,
    attach: RunFolder | None = None,
    size: browser_driver.Size | None = None,
    debug: bool = False,
) -> int:
    """Show the dashboard until the user quits; returns the exit status. `size` is given for a
    browser; in a terminal the size is the terminal's."""
    fetch: DatasetFetch | None = None
    while True:
        printed: deque[str] = deque(maxlen=LOG_LINES)
        session = Session(runs_dir, data_dir)
        settings = Settings.load(settings_dir())
        app_state = AppState(runs_dir, data_dir, session, settings, ascii_only, printed)
        app_state.fetch, app_state.is_in_browser = fetch, size is not None
        app_state.notifications = load_notifications()
        if app_state.notifications.problem:
            settings.warnings.append(app_state.notifications.problem)
        if attach is not None:
            app_state.feed, app_state.selected_run = RunFeed.open(attach), attach
        try:
            failure = _run_app(app_state, "train" if attach is not None else "data", size)
            _report_failure(app_state, failure, debug=debug)
            _finish_run(app_state)
        finally:
            fetch = app_state.fetch
            if fetch is not None and not app_state.wants_tour:
                fetch.end()
            settings.flush()
            for warning in settings.warnings:
                _print(warning)
            session.close()
        if not app_state.wants_tour:
            return app_state.exit_code
        status = open_tour(data_dir, ascii_only=ascii_only, debug=debug, fetch=fetch)
        if status:
            if fetch is not None:
                fetch.end()
            return status
        attach = None


def open_tour(
    data_dir: Path,
    *,
    ascii_only: bool = False,
    debug: bool = False,
    fetch: DatasetFetch | None = None,
) -> int:
    """Show the tour, whose runs are in a folder of their own that is removed at its end; returns
    the exit status. A `fetch` that has begun before goes on."""
    printed: deque[str] = deque(maxlen=LOG_LINES)
    # Nothing that is chosen on the tour is kept.
    user = Settings.load(settings_dir())
    settings = Settings(None, {**user.values, "dataset": SKETCHES}, user.keymap)
    with (
        tempfile.TemporaryDirectory(prefix="fmnist-tui-tour-", ignore_cleanup_errors=True) as name,
        _environment(STORAGE, ""),
    ):
        runs_dir = Path(name) / "runs"
        runs_dir.mkdir()
        with Session(runs_dir, data_dir) as session:
            app_state = AppState(runs_dir, data_dir, session, settings, ascii_only, printed)
            app_state.fetch = fetch
            failure = _run_app(app_state, "data", None, TourDashboard, _end_everything)
            _report_failure(app_state, failure, debug=debug)
            _end_everything(app_state)
    return app_state.exit_code


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """An environment variable with another value."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _report_failure(app_state: AppState, failure: str, *, debug: bool) -> None:
    """Print why the app has ended, if not because the user quit."""
    if failure:
        app_state.quit_mode, app_state.exit_code = QuitMode.DETACH, 1
        _print(f"the dashboard failed: {failure}" + ("" if debug else " (--debug shows where)"))
        if debug:
            for line in app_state.printed:
                _print(strip_style(line))


def _end_everything(app_state: AppState) -> None:
    """End the jobs and the run of the tour, of which nothing is kept."""
    for job in app_state.running_jobs:
        job.cancel()
        job.cancel()  # it need not save anything
        job.wait(STOP_SECONDS)
    training = app_state.feed.training if app_state.feed is not None else None
    if training is not None and not training.is_done:
        training.stop("the tour is over")
        with contextlib.suppress(KeyboardInterrupt):
            training.wait()


def _run_app(
    app_state: AppState,
    first: str,
    size: browser_driver.Size | None,
    dashboard: type[Dashboard] = Dashboard,
    finish: Callable[[AppState], None] | None = None,
) -> str:
    """Run the app to its end; returns why it failed, or an empty string. `finish` ends what has
    been started, where the screen does not close in time."""
    leaving = app_state.leaving

    def handle_signals() -> None:
        signals.handle(end, screen.give_up)

    def end(number: signal.Signals, loop: asyncio.AbstractEventLoop) -> None:
        if number == signal.SIGINT and leaving.has_begun:
            leaving.hurry()
            return
        if number == signal.SIGHUP and leaving.has_begun:
            return  # what happens to the run is decided: a user who stops it may close the window
        mode = QuitMode.DETACH if number == signal.SIGHUP else QuitMode.STOP
        # Here, too: the event loop may never come to it.
        app_state.quit_mode, app_state.exit_code = mode, 128 + number
        leaving.begin()
        loop.call_soon_threadsafe(app.quit_now, mode, 128 + number)

    async def run() -> int | None:
        handle_signals()
        return await app.run_async(size=size)

    def force_end() -> None:
        screen.give_up()
        screen.restore()
        sys.stderr = sys.__stderr__  # Textual has replaced it
        _print("the screen did not close in time")
        (finish or _finish_run)(app_state)
        app_state.settings.flush()
        os._exit(app_state.exit_code)

    with (
        stdio.redirected_output(app_state.printed) as screen,
        short_collections(),
        leaving.limited(force_end),
    ):
        if size is None:
            driver: type[Driver] = terminal_driver.driver_class(screen.give_up)
        else:
            driver = browser_driver.driver_class(handle_signals)
        app = dashboard(app_state, first, driver)
        try:
            result = asyncio.run(run())
        except (OSError, KeyboardInterrupt) as error:
            result, failure = None, f"{type(error).__name__}: {error}"
        else:
            failure = ""
        signals.release()
        if result is not None:
            return ""
        if size is None:
            screen.give_up()
    return safe_text(failure or _describe(app._exception), 300)


def _describe(error: BaseException | None) -> str:
    """The exception that has ended the app, in one line."""
    if isinstance(error, WorkerFailed):
        error = error.error
    return f"{type(error).__name__}: {format_error(error)}" if error else "it ended unexpectedly"


def _finish_run(app_state: AppState) -> None:
    """End the jobs that should end, then wait for this process's run to stop or hand it over."""
    if app_state.jobs_to_end:
        _print(f"ending {', '.join(job.title for job in app_state.jobs_to_end)} …")
        end_all(app_state.jobs_to_end)
    feed = app_state.feed
    training = feed.training if feed is not None else None
    if feed is not None and feed.background is not None:
        _leave_background(app_state, feed, feed.background)
    if feed is None or training is None:
        return
    if not training.is_done:
        if app_state.quit_mode is QuitMode.DETACH:
            training.send(Detach(0.0))
            _print(f"{feed.name}: saving; the run continues without a terminal …")
        else:
            training.stop("the dashboard quit")
            _print(f"{feed.name}: saving …")
        try:
            training.wait()
        except KeyboardInterrupt:
            training.record_end("Ctrl-C while saving", feed.state.step, feed.state.epochs_done)
            os._exit(130)
    feed.drain()
    if feed.state.end_reason == DETACHED:
        _hand_over(app_state, training, feed)
        return
    if feed.state.end is not None and training.folder is not None:
        end = feed.state.end
        _print(f"{feed.name} {end.reason} at step {end.step:,}: {training.folder.path}")
        why = end.message if end.reason == FAILED else feed.error
        if why:
            _print(f"{feed.name}: {why}")
            app_state.exit_code = app_state.exit_code or 1
    plan = app_state.plan
    if plan is None or plan.remaining < 2:
        return
    if (
        app_state.quit_mode is QuitMode.DETACH
        and feed.state.end_reason == FINISHED
        and training.folder is not None
        and training.folder.path not in plan.runs
    ):
        # It ended before it could be handed over.
        _hand_over_rest(app_state, plan, training.folder)
    else:
        steps = format_count(len(plan.steps), "step")
        _print(f"{plan.recipe}: {plan.remaining - 1} of {steps} skipped")


def _leave_background(app_state: AppState, feed: RunFeed, background: BackgroundRun) -> None:
    """Stop a run that is in processes of its own, or say how to see it again."""
    feed.drain()
    if not feed.is_live:
        return
    try:
        if app_state.stops_background:
            _print(f"{feed.name}: saving …")
            feed.send(Stop(time.time(), "the dashboard quit"))
            feed = _await_end(feed, background)
            if feed.state.end is not None and feed.folder is not None:
                _print(f"{feed.name} {feed.state.end.outcome}: {feed.folder.path}")
            return
        if feed.folder is None:
            _print("the run is starting …")
            background.wait(_start_seconds(app_state))
        begun = feed.folder or background.first
        if begun is not None:
            _print(f"{begun.name} goes on; `fmnist-tui attach {begun.id}` shows it")
        elif background.error:
            _print(f"the run has not begun: {background.error}")
            app_state.exit_code = 1
        else:
            _print(f"process {background.process} starts the run; `fmnist-tui attach` shows it")
    except UserError as error:
        _print(f"{feed.name}: {error}")
        app_state.exit_code = app_state.exit_code or 1
    except KeyboardInterrupt:
        _print(f"{feed.name} is still being saved")
        app_state.exit_code = 130


def _await_end(feed: RunFeed, background: BackgroundRun) -> RunFeed:
    """Wait until no process trains the run; returns it, with the folder of one that has begun
    although its processes were to end."""
    while feed.is_live:
        if feed.folder is None and background.first is not None:
            feed = RunFeed.open(background.first)
        feed.drain()
        time.sleep(POLL_SECONDS)
    return feed


def _hand_over_rest(app_state: AppState, plan: Plan, folder: RunFolder) -> None:
    """Run the steps of a plan that come after this run in a process of its own."""
    from fmnist_tui.runs import handover

    rest = plan.advance(FINISHED, folder.path.absolute())
    steps = format_count(rest.remaining, "more step")
    try:
        process = handover.continue_detached(
            folder, app_state.data_dir, rest.to_json(), seconds=_start_seconds(app_state)
        )
    except UserError as error:
        _print(f"{plan.recipe} does not continue, {steps} skipped: {error}")
        app_state.exit_code = 1
    except KeyboardInterrupt:
        app_state.exit_code = 130
    else:
        _print(f"{plan.recipe} continues in process {process}: {steps}")


def _start_seconds(app_state: AppState) -> float:
    """How long to wait for the process that continues: where the terminal is gone, nobody is
    there to be told."""
    from fmnist_tui.runs import handover

    return 0.0 if app_state.exit_code == 128 + signal.SIGHUP else handover.START_SECONDS


def _remaining_plan(app_state: AppState) -> str:
    """The rest of the run's plan, for the process that continues it."""
    plan = app_state.plan
    if plan is None or plan.remaining < 2 or isinstance(plan.next, EnsembleStep):
        return ""
    return plan.to_json()


def _hand_over(app_state: AppState, training: Training, feed: RunFeed) -> None:
    from fmnist_tui.runs import handover

    folder = training.folder
    if folder is None:
        return
    remaining = _remaining_plan(app_state)
    seconds = _start_seconds(app_state)
    try:
        process = handover.resume_detached(folder, app_state.data_dir, remaining, seconds=seconds)
    except UserError as error:
        _print(f"{feed.name} does not continue: {error}")
        _print(f"`fmnist-tui train --resume {folder.id}` continues from its last checkpoint")
        app_state.exit_code = 1
    except KeyboardInterrupt:
        _print(f"{feed.name}: its process is starting; `fmnist-tui attach {folder.id}` shows it")
        app_state.exit_code = 130
    else:
        _print(
            f"{feed.name} continues in process {process}; `fmnist-tui attach {folder.id}` shows it"
        )
        if remaining and app_state.plan is not None:
            steps = format_count(app_state.plan.remaining - 1, "more step")
            _print(f"{steps} of {app_state.plan.recipe} run in that process")


def _print(message: str) -> None:
    """Print a line to the terminal, if it is still there."""
    with contextlib.suppress(OSError, ValueError):
        print(safe_text(message), file=sys.stderr, flush=True)
