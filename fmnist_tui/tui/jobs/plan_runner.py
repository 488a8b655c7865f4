"""A recipe of several steps in the dashboard: the next begins when the one before has finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.notifications import SeverityLevel

from fmnist_tui.config.plans import EnsembleStep, Plan, TrainStep
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.shared.job_results import ensemble_summary
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


class PlanRunner:
    """Carries out one plan at a time. The plan itself lies on the desk."""

    def __init__(self, context: DashboardContext) -> None:
        self._context = context
        self._feed: RunFeed | None = None

    def start(self, plan: Plan) -> bool:
        """Begin with a plan's first step; whether it could be asked for."""
        step = plan.next
        if not isinstance(step, TrainStep) or not self._context.start_run(
            step.config, plan.heading
        ):
            return False
        if len(plan.steps) > 1:
            self._context.app_state.plan, self._feed = plan, self._context.app_state.feed
        return True

    def look(self) -> None:
        """See whether the present step has ended, and go on to the next."""
        app_state, feed = self._context.app_state, self._feed
        plan = app_state.plan
        if plan is None or feed is None or feed.live:
            return
        if app_state.session.training is not None:
            self._leave_out(plan, "another run was begun")
            return
        if feed is not app_state.feed:
            # It has left the bench meanwhile, and nobody else hears its last words.
            feed.drain()
        elif feed.training is not None and feed.training.events:
            return
        self._feed = None
        if feed.folder is None:
            self._leave_out(plan, "the run did not begin")
            return
        plan = app_state.plan = plan.ended(feed.state.ended, feed.folder.path)
        self._go_on(plan)

    def _go_on(self, plan: Plan) -> None:
        context = self._context
        try:
            step = plan.next
        except UserError as error:
            self._leave_out(plan, str(error))
            return
        if step is None:
            if plan.left:
                self._leave_out(plan, "")
            else:
                self._tell(f"{plan.recipe} is done: {len(plan.steps)} of {len(plan.steps)} steps")
                context.app_state.plan = None
        elif isinstance(step, EnsembleStep):
            self._tell(f"{plan.recipe}: {step.name}")
            self._unite(plan, step)
        elif context.start_run(step.config, plan.heading):
            self._feed = context.app_state.feed
            self._tell(f"{plan.recipe} goes on: {plan.heading}")
        else:
            self._leave_out(plan, "the next run could not be begun")

    def _unite(self, plan: Plan, step: EnsembleStep) -> None:
        context = self._context
        app_state = context.app_state
        places = [f"--runs={app_state.runs_dir}", f"--data={app_state.data_dir}"]
        words = [
            "ensemble",
            *map(str, step.runs),
            f"--tta={step.tta}",
            f"--recipe={plan.recipe}",
            *places,
        ]

        def made(document: Any) -> None:
            self._forget(plan)
            context.select_run(RunFolder(Path(document["path"])))
            self._tell(f"{plan.recipe} is done: {ensemble_summary(document)}")

        context.start_job(
            f"{plan.recipe}: {step.name}", words, made, lambda why: self._leave_out(plan, why)
        )

    def _leave_out(self, plan: Plan, why: str) -> None:
        """The plan ends before its end."""
        self._forget(plan)
        left = f"{plan.left} of its {len(plan.steps)} steps left out"
        self._tell(f"{plan.recipe} ends here: {left}{f' ({why})' if why else ''}", "warning")

    def _forget(self, plan: Plan) -> None:
        """It is over; while its runs were being united another may have begun."""
        if self._context.app_state.plan is plan:
            self._context.app_state.plan = self._feed = None

    def _tell(self, message: str, severity: SeverityLevel = "information") -> None:
        """A toast, and a line in the log."""
        context, feed = self._context, self._context.app_state.feed
        context.notify(message, severity)
        context.app_state.printed.append(safe_text(message))
        if feed is not None:
            # A run that has ended says nothing more by itself.
            context.run_updated.publish(feed)
