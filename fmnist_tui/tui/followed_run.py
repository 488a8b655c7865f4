"""The followed run: started here or opened from disk, updated, sent commands, its end reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from textual.notifications import SeverityLevel
from textual.worker import Worker

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.run import failures
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.commands import Command
from fmnist_tui.protocol.events import DETACHED, FAILED, RunEnded
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.jobs.apart import fork_apart, resume_apart
from fmnist_tui.tui.state.background_run import BackgroundRun
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import format_duration
from fmnist_tui.util.text import safe_text


class FollowedRun:
    """What the app does with the run that Train shows; its feed is in the app state."""

    def __init__(self, context: DashboardContext) -> None:
        self._context, self._app_state = context, context.app_state
        self._reported_end: RunEnded | None = None
        self._reported_error = ""
        self._changed_at, self._has_stalled = time.monotonic(), False
        self._opening: Worker[None] | None = None

    def show(self, feed: RunFeed | None) -> None:
        """Follow another run: Train and the bar above every screen show it."""
        self._app_state.follow(feed)
        self._changed_at, self._has_stalled = time.monotonic(), False
        self._reported_end = feed.state.end if feed is not None else None
        self._reported_error = feed.error if feed is not None else ""
        self._context.run_replaced.publish(feed)
        self._context.refresh_status()

    def start(
        self,
        start: Callable[[], Training],
        heading: str = "",
        state: RunState | None = None,
    ) -> bool:
        """Start a run in this process and follow it. False if that failed, which a toast says."""
        try:
            training = start()
        except UserError as error:
            self._context.notify(str(error), "error")
            return False
        self.show(RunFeed.of(training, state, heading))
        return True

    def resume(self, folder: RunFolder, config: RunConfig, state: RunState) -> bool:
        """Resume a run: in this process if it has one device, and its GPU has not failed here."""
        has_failed = failures.find_gpu_failure(config.device) is not None
        if has_failed:
            why = "the GPU has failed in this process"
            self._context.notify(f"{why}: {safe_text(folder.name)} is resumed in one of its own")
        if has_failed or config.devices > 1:
            return self.start_apart(partial(resume_apart, self._app_state, folder, config), config)
        session = self._app_state.session
        return self.start(lambda: session.resume(folder, config), state=state)

    def fork(self, parent: RunFolder, checkpoint: str, config: RunConfig) -> bool:
        """Start a new run from a checkpoint of another: in this process if it has one device."""
        if config.devices > 1:
            start = partial(fork_apart, self._app_state, parent, checkpoint, config)
            return self.start_apart(start, config)
        session = self._app_state.session
        return self.start(lambda: session.fork(parent, checkpoint, config))

    def start_apart(
        self, start: Callable[[], BackgroundRun], config: RunConfig, heading: str = ""
    ) -> bool:
        """Start a run in processes of its own, and follow it. False if that is not possible."""
        if self._app_state.is_training:
            self._context.notify("a run is in progress: start the next when it has ended", "error")
            return False
        try:
            background = start()
        except UserError as error:
            self._context.notify(str(error), "error")
            return False
        self.show(RunFeed.starting(background, config, heading))
        return True

    def open(self, folder: RunFolder) -> None:
        """Follow a run on disk, which another process may be training."""
        if self._opening is not None:
            self._opening.cancel()
        feed = self._app_state.feed
        if feed is not None and feed.folder == folder and (feed.is_live or not feed.is_own):
            return
        if self._app_state.is_training:
            self._context.notify("a run is in progress here; it is shown until it ends", "warning")
            return
        self._opening = self._context.run_worker(partial(self._open, folder), group="follow")

    async def _open(
        self, folder: RunFolder, background: BackgroundRun | None = None, heading: str = ""
    ) -> None:
        try:
            opened = await asyncio.to_thread(RunFeed.open, folder)
        except UserError as error:
            self._context.notify(str(error), "error")
            return
        # A training that was started in the meantime stays.
        if not self._app_state.is_training:
            opened.background, opened.heading = background, heading
            self.show(opened)

    def _open_begun(self, feed: RunFeed) -> None:
        """Follow the next run of the processes that were started for this one, once it begins."""
        background = feed.background
        if (
            background is not None
            and background.begun
            and (feed.folder is None or feed.state.end is not None)
        ):
            folder, heading = background.begun.popleft()
            work = partial(self._open, folder, background, heading)
            self._opening = self._context.run_worker(work, group="follow")

    def send(self, command: Command) -> bool:
        """Send a command to the run. False if it is not running, which a toast says."""
        feed = self._app_state.feed
        if feed is None or not feed.is_live:
            self._context.notify("no run is in progress", "warning")
            return False
        try:
            feed.send(command)
        except UserError as error:
            self._context.notify(str(error), "error")
            return False
        return True

    def poll(self) -> None:
        """Read new events, and report how the run has ended."""
        feed = self._app_state.feed
        if feed is None:
            return
        self._open_begun(feed)
        if feed.drain():
            self._changed_at, self._has_stalled = time.monotonic(), False
            self._context.run_updated.publish(feed)
            self._context.refresh_status()
            self._report_end(feed)
        elif feed.is_live and feed.has_started and not (feed.state.paused or self._has_stalled):
            self._check_stall(feed)

    def _check_stall(self, feed: RunFeed) -> None:
        still = time.monotonic() - self._changed_at
        limit = self._app_state.notifications.stall_seconds
        if limit and still > limit:
            self._has_stalled = True
            message = f"{feed.name}: no progress for {format_duration(still, units=True)}"
            self._context.notify(message, "warning")
            self._context.attract(message)

    def _report_end(self, feed: RunFeed) -> None:
        end = feed.state.end
        if feed.error and feed.error != self._reported_error:
            self._reported_error = feed.error
            self._context.notify(feed.error, "error")
        elif end is not None and end is not self._reported_end:
            self._reported_end = end
            severity: SeverityLevel = "error" if end.reason == FAILED else "information"
            self._context.notify(f"{feed.name} {end.outcome}", severity, seen_on="train")
            if end.reason != DETACHED:
                self._context.attract(f"{feed.name} {end.outcome}")
            if feed.folder is not None:
                self._context.selection_changed.publish(self._app_state.selected_run)
