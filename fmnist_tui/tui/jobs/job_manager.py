"""Background jobs: commands that run in processes of their own, and what to do when they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from textual.notifications import SeverityLevel

from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.state.job import CANCELLED, DONE, FAILED, BackgroundJob
from fmnist_tui.util.errors import UserError

OnDone = Callable[[Any], None]
OnFailed = Callable[[str], None]


class JobManager:
    """Starts jobs with `run` and follows them with `poll`; they are listed in the app state."""

    def __init__(self, context: DashboardContext) -> None:
        self._context = context
        self._callbacks: dict[BackgroundJob, tuple[OnDone | None, OnFailed | None]] = {}

    def run(
        self,
        title: str,
        words: Sequence[str],
        on_done: OnDone | None,
        on_failed: OnFailed | None,
    ) -> None:
        """Run `fmnist-tui WORDS` in another process; `on_done` gets its JSON document."""
        job = BackgroundJob(title, words)
        self._context.app_state.jobs.append(job)
        self._callbacks[job] = on_done, on_failed

        async def start() -> None:
            try:
                await asyncio.to_thread(job.start)
            except UserError as error:
                self._report_failure(job, str(error))

        self._context.run_worker(start, group=f"job {id(job)}")

    def poll(self) -> bool:
        """Read what the jobs have reported; whether anything has changed."""
        changed = [job for job in self._context.app_state.running_jobs if job.poll()]
        for job in changed:
            if job.status == DONE:
                on_done, _ = self._callbacks.pop(job, (None, None))
                if on_done is not None:
                    on_done(job.document)
                else:
                    self._context.notify(f"{job.title}: done")
            elif job.status == CANCELLED:
                self._report_failure(job, "cancelled", "warning")
            elif job.status == FAILED:
                self._report_failure(job, job.error)
        return bool(changed)

    def clear_ended(self) -> None:
        """Remove the jobs that have ended from the list."""
        self._context.app_state.jobs[:] = self._context.app_state.running_jobs

    def summary(self) -> str:
        """The running jobs in a few words: `export 62 %`."""
        running = self._context.app_state.running_jobs
        if not running:
            return ""
        first = running[0]
        share = f" {first.share:.0%}" if first.share is not None else ""
        more = f" +{len(running) - 1}" if len(running) > 1 else ""
        return f"{first.title}{share}{more}"

    def _report_failure(
        self, job: BackgroundJob, error: str, severity: SeverityLevel = "error"
    ) -> None:
        _, on_failed = self._callbacks.pop(job, (None, None))
        self._context.notify(f"{job.title}: {error}", severity)
        self._context.refresh_status()
        if on_failed is not None:
            on_failed(error)
