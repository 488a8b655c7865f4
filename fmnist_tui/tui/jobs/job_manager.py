"""The errands of a dashboard: what it has commands of ours do meanwhile, and what comes of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fmnist_tui.tui.state import job
from fmnist_tui.tui.state.job import BackgroundJob
from fmnist_tui.util.errors import UserError

if TYPE_CHECKING:
    from textual.notifications import SeverityLevel

    from fmnist_tui.tui.app import Dashboard

Then = Callable[[Any], None]
Missed = Callable[[str], None]


class JobManager:
    """Started by `run`, looked after by `look`, shown by whoever likes."""

    def __init__(self, context: Dashboard) -> None:
        self._context = context
        self.all: list[BackgroundJob] = []
        self._calls: dict[BackgroundJob, tuple[Then | None, Missed | None]] = {}

    @property
    def running(self) -> list[BackgroundJob]:
        return [one for one in self.all if one.status == job.RUNNING]

    def run(
        self, title: str, words: Sequence[str], then: Then | None, missed: Missed | None
    ) -> None:
        """Run a command of ours in another process; its JSON document goes to `then`."""
        one = BackgroundJob(title, words)
        self.all.append(one)
        self._calls[one] = then, missed

        async def start() -> None:
            try:
                await asyncio.to_thread(one.start)
            except UserError as error:
                self._missed(one, str(error))

        self._context.run_worker(start(), group=f"errand {id(one)}")

    def look(self) -> bool:
        """Take in what the errands have come to; whether anything is new."""
        moved = [one for one in self.running if one.look()]
        for one in moved:
            if one.status == job.DONE:
                then, _ = self._calls.pop(one, (None, None))
                if then is not None:
                    then(one.document)
                else:
                    self._context.notify(f"{one.title}: done")
            elif one.status == job.CANCELLED:
                self._missed(one, "cancelled", "warning")
            elif one.status == job.FAILED:
                self._missed(one, one.error)
        return bool(moved)

    def forget_ended(self) -> None:
        """Leave only those that still run on the list."""
        self.all = self.running

    def summary(self) -> str:
        """What runs, in a few words: `export 62 %`."""
        running = self.running
        if not running:
            return ""
        first = running[0]
        share = f" {first.share:.0%}" if first.share is not None else ""
        more = f" +{len(running) - 1}" if len(running) > 1 else ""
        return f"{first.title}{share}{more}"

    def _missed(self, one: BackgroundJob, why: str, severity: SeverityLevel = "error") -> None:
        _, missed = self._calls.pop(one, (None, None))
        self._context.notify(f"{one.title}: {why}", severity)
        self._context.refresh_status()
        if missed is not None:
            missed(why)
