"""Carrying out a plan in a command: its trainings one after another, its ensemble last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fmnist_tui.cli.support.console import note
from fmnist_tui.cli.support.follow import follow
from fmnist_tui.cli.support.progress import WHOLE, ProgressPart, steps
from fmnist_tui.cli.support.training_view import choose_view
from fmnist_tui.config.plans import EnsembleStep, Plan
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.resolve_start import locate
from fmnist_tui.util.errors import UserError


@dataclass(frozen=True, slots=True)
class CompletedPlan:
    """A step that has been done, or broken off: `status` is what a signal asks for, `error`
    what went wrong besides what the record says, `folder` missing where a signal came before
    there was one."""

    name: str
    state: RunState
    folder: RunFolder | None
    status: int = 0
    error: BaseException | None = None


def followed(training: Training, name: str = "", part: ProgressPart = WHOLE) -> CompletedPlan:
    """Show a training to its end; raises what kept it from beginning."""
    state, status = follow(training, choose_view(part))
    if state.started is None or training.folder is None:
        if status:
            return CompletedPlan(name, state, None, status)
        raise training.error or UserError(state.message or "the run did not begin")
    return CompletedPlan(name, state, training.folder, status, training.error)


def carried_out(
    session: Session, plan: Plan, whole: ProgressPart = WHOLE
) -> Iterator[CompletedPlan]:
    """Do a plan's steps; there is no further one after one that has not finished."""
    plan = plan.settled(lambda start: str(locate(start, session.runs_dir)))
    while (step := plan.next) is not None:
        if plan.heading:
            note(f"{plan.recipe}, {plan.heading}")
        part = whole.split(len(plan.runs), len(plan.steps))
        if isinstance(step, EnsembleStep):
            done = _united(session, plan, step, part)
        else:
            done = followed(session.train(step.config), step.name, part)
        yield done
        if done.folder is None or done.status:
            return
        plan = plan.ended(done.state.ended, done.folder.path)


def _united(session: Session, plan: Plan, step: EnsembleStep, part: ProgressPart) -> CompletedPlan:
    first = plan.steps[0]
    device = "auto" if isinstance(first, EnsembleStep) else first.config.device
    members = [RunFolder(path) for path in step.runs]
    with steps(step.name, part) as tell:
        future = session.ensemble(
            members, tta=step.tta, recipe=plan.recipe, device=device, tell=tell
        )
        folder = future.result()
    return CompletedPlan(step.name, replay(folder.events), folder)
