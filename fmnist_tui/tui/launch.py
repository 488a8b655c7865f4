"""Opening the dashboard and, once the terminal is back, settling what becomes of its run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from fmnist_tui.config.plans import EnsembleStep
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.commands import Detach
from fmnist_tui.protocol.events import DETACHED, FAILED
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.state.app_state import AppState, QuitMode
from fmnist_tui.tui.state.job import end_all
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.state.settings import Settings, settings_dir
from fmnist_tui.tui.terminal import browser_driver, stdio
from fmnist_tui.tui.terminal.gc_tuning import brief_collections
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text, strip_style

_EXCEPTION = re.compile(r"[A-Za-z_.]*(Error|Exception|Exists|Missing|NotFound)\w*\b")
LOG_LINES = 2000
HUNG_UP = 128 + signal.SIGHUP


def open_dashboard(
    runs_dir: Path,
    data_dir: Path,
    *,
    ascii_only: bool = False,
    attach: RunFolder | None = None,
    size: browser_driver.Size | None = None,
    debug: bool = False,
) -> int:
    """Show the dashboard until it is left; the value is the exit status. In a browser it has
    the size that is given, and in a terminal the terminal's."""
    printed: deque[str] = deque(maxlen=LOG_LINES)
    session = Session(runs_dir, data_dir)
    settings = Settings.load(settings_dir())
    app_state = AppState(runs_dir, data_dir, session, settings, ascii_only, printed)
    if attach is not None:
        app_state.feed, app_state.selected_run = RunFeed.open(attach), attach
    try:
        broken = _show(app_state, "train" if attach is not None else "data", size)
        if broken:
            app_state.quit_mode, app_state.exit_code = QuitMode.DETACH, 1
            _tell(f"the screen failed: {broken}" + ("" if debug else " (--debug shows where)"))
            if debug:
                _tell("\n".join(printed))
        _settle(app_state)
        return app_state.exit_code
    finally:
        session.close()


def _show(app_state: AppState, first: str, size: browser_driver.Size | None) -> str:
    """Run the screen to its end; why it failed, if it did."""

    def hang_up() -> None:
        # The terminal is gone: what is drawn goes nowhere, and nobody can be asked.
        screen.cut()
        app.quit_now(QuitMode.DETACH, HUNG_UP)

    def heed() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, app.quit_now, QuitMode.STOP, 143)
        loop.add_signal_handler(signal.SIGHUP, hang_up)

    async def run() -> int | None:
        heed()
        return await app.run_async(size=size)

    app = Dashboard(app_state, first, browser_driver.driver(heed) if size is not None else None)
    with stdio.lent(app_state.printed) as screen, brief_collections():
        try:
            left = asyncio.run(run())
        except (OSError, KeyboardInterrupt) as error:
            left, failure = None, f"{type(error).__name__}: {error}"
        else:
            failure = ""
        # From here on a lost terminal ends nothing any more.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if left is not None:
            return ""
        if size is None:
            screen.reset()
    return safe_text(failure or _named(app_state.printed), 300)


def _named(printed: Iterable[str]) -> str:
    """The exception in what Textual printed of it, which ends in `SomeError: why`."""
    lines = [strip_style(line).strip() for line in printed]
    named = [line for line in lines if _EXCEPTION.match(line)]
    return named[-1] if named else "it ended unexpectedly"


def _settle(app_state: AppState) -> None:
    """Wait for the run of this process to do what it was told: to stop, or to be handed over;
    and for the errands that were to be stopped."""
    if app_state.jobs_to_end:
        _tell(f"ending {', '.join(one.title for one in app_state.jobs_to_end)} …")
        end_all(app_state.jobs_to_end)
    feed = app_state.feed
    training = feed.training if feed is not None else None
    if feed is None or training is None:
        return
    if not training.done:
        if app_state.quit_mode is QuitMode.DETACH:
            training.send(Detach(0.0))
            _tell(f"{feed.name}: saving, to go on without a terminal …")
        else:
            training.stop("the dashboard was left")
            _tell(f"{feed.name}: saving …")
        try:
            training.wait()
        except KeyboardInterrupt:
            training.abandon("Ctrl-C while saving", feed.state.step, feed.state.epochs_done)
            os._exit(130)
    feed.drain()
    if feed.state.end_reason == DETACHED:
        _hand_over(app_state, training, feed)
        return
    if feed.state.end is not None and training.folder is not None:
        end = feed.state.end
        _tell(f"{feed.name} {end.reason} at step {end.step:,}: {safe_text(training.folder.path)}")
        if end.reason == FAILED:
            app_state.exit_code = app_state.exit_code or 1
    if app_state.plan is not None and app_state.plan.left > 1:
        left = app_state.plan.left - 1
        _tell(
            f"{app_state.plan.recipe}: what was to come after that ({left} of its"
            f" {len(app_state.plan.steps)} steps) is left out"
        )


def _following(app_state: AppState) -> str:
    """What the run in hand is a step of, for the process that goes on with it."""
    plan = app_state.plan
    if plan is None or plan.left < 2 or isinstance(plan.next, EnsembleStep):
        return ""
    return plan.kept()


def _hand_over(app_state: AppState, training: Training, feed: RunFeed) -> None:
    from fmnist_tui.runs import handover

    folder = training.folder
    if folder is None:
        return
    try:
        following = _following(app_state)
        process = handover.go_on(folder, app_state.data_dir, following)
    except UserError as error:
        _tell(f"{error}; `fmnist-tui train --resume {folder.id}` goes on from the checkpoint")
        app_state.exit_code = 1
    else:
        _tell(f"{feed.name} goes on in process {process}; `fmnist-tui attach {folder.id}` shows it")
        if following and app_state.plan is not None:
            _tell(
                f"{app_state.plan.left - 1} more of {app_state.plan.recipe} follow in that process"
            )


def _tell(message: str) -> None:
    """A line for whoever still sees the terminal."""
    with contextlib.suppress(OSError, ValueError):
        print(message, file=sys.stderr, flush=True)
