"""Runs the steps of a plan: each begins when the one before has finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.notifications import SeverityLevel

from fmnist_tui.config.plans import EnsembleStep, Plan, TrainStep
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.shared.run_names import ensemble_summary
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


class PlanRunner:
    """Runs one plan at a time; the plan itself is in the app state."""

    def __init__(self, context: DashboardContext) -> None:
        self._context, self._app_state = context, context.app_state
        # The run of the current step.
        self._feed: RunFeed | None = None

    def start(self, plan: Plan) -> bool:
        """Start a plan's first run; whether that was possible."""
        step = plan.next
        if not isinstance(step, TrainStep):
            return False
        if not self._context.start_run(step.config, plan.heading):
            return False
        if len(plan.steps) > 1:
            self._app_state.plan, self._feed = plan, self._app_state.feed
        return True

    def poll(self) -> None:
        """Start the next step if the current one has ended."""
        plan, feed = self._app_state.plan, self._feed
        if plan is None or feed is None or feed.is_live:
            return
        if self._app_state.session.training is not None:
            self._abandon(plan, "another run was started")
            return
        if feed is not self._app_state.feed:
            # Another run is followed now: nothing else reads this one's last events.
            feed.drain()
        elif feed.training is not None and feed.training.events:
            return
        self._feed = None
        if feed.folder is None:
            self._abandon(plan, "the run did not start")
            return
        plan = self._app_state.plan = plan.advance(feed.state.end_reason, feed.folder.path)
        self._start_next(plan)

    def _start_next(self, plan: Plan) -> None:
        try:
            step = plan.next
        except UserError as error:
            self._abandon(plan, str(error))
            return
        if step is None:
            if plan.remaining:
                self._abandon(plan, "")
            else:
                self._report(f"{plan.recipe} is done: all {len(plan.steps)} steps")
                self._app_state.plan = None
        elif isinstance(step, EnsembleStep):
            self._report(f"{plan.recipe}: {step.name}")
            self._start_ensemble(plan, step)
        elif self._context.start_run(step.config, plan.heading):
            self._feed = self._app_state.feed
            self._report(f"{plan.recipe} continues: {plan.heading}")
        else:
            self._abandon(plan, "the next run could not be started")

    def _start_ensemble(self, plan: Plan, step: EnsembleStep) -> None:
        runs = map(str, step.runs)
        options = [f"--tta={step.tta}", f"--recipe={plan.recipe}", *self._app_state.folder_options]

        def on_done(document: Any) -> None:
            self._forget(plan)
            self._context.select_run(RunFolder(Path(document["path"])))
            self._report(f"{plan.recipe} is done: {ensemble_summary(document)}")

        self._context.start_job(
            f"{plan.recipe}: {step.name}",
            ["ensemble", *runs, *options],
            on_done,
            lambda error: self._abandon(plan, error),
        )

    def _abandon(self, plan: Plan, reason: str) -> None:
        """End the plan before its last step."""
        self._forget(plan)
        skipped = f"{plan.remaining} of its {len(plan.steps)} steps skipped"
        self._report(
            f"{plan.recipe} ends here: {skipped}{f' ({reason})' if reason else ''}", "warning"
        )

    def _forget(self, plan: Plan) -> None:
        # Another plan may have been started while the ensemble of this one was built.
        if self._app_state.plan is plan:
            self._app_state.plan = self._feed = None

    def _report(self, message: str, severity: SeverityLevel = "information") -> None:
        """Add a line to the log of Train, and show a toast on other screens."""
        self._context.notify(message, severity, seen_on="train")
        self._app_state.printed.append(safe_text(message))
        if self._app_state.feed is not None:
            # The log is drawn when the run is updated; one that has ended is not updated again.
            self._context.run_updated.publish(self._app_state.feed)
