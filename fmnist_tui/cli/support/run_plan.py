"""Running a plan in a command: its trainings one after another, its ensemble last."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.follow import follow_training
from fmnist_tui.cli.support.progress import WHOLE, ProgressPart, show_progress
from fmnist_tui.cli.support.run_documents import training_to_json
from fmnist_tui.cli.support.training_view import choose_view
from fmnist_tui.config import recipes
from fmnist_tui.config.notifications import load_notifications
from fmnist_tui.config.plans import EnsembleStep, Plan
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.distributed.job_runs import find_run_of_job
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FAILED, FINISHED
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.resolve_start import resolve_start
from fmnist_tui.util.errors import UserError


@dataclass(frozen=True, slots=True)
class CompletedStep:
    """A step that has ended. `status` is the exit status that a signal asks for, `error` an
    exception outside the run's record; without a `folder` the run had not started."""

    name: str
    state: RunState
    folder: RunFolder | None
    status: int = 0
    error: BaseException | None = None

    def require_finished(self) -> RunFolder:
        """The folder of a finished run; raises the reason why any other did not finish."""
        if self.status:
            raise SystemExit(self.status)
        if self.error is not None:
            raise self.error
        if self.folder is None or self.state.end_reason != FINISHED:
            raise UserError(self.state.message or "the run did not finish")
        return self.folder


def build_plan(recipe: Recipe, args: argparse.Namespace) -> Plan:
    """The plan of a recipe, with the settings of the environment and of the flags."""
    settings = options.parse_settings(args)
    options.refuse_settings(
        (name for name in settings if recipe.stages and all(name in s.run for s in recipe.stages)),
        f"is set by every stage of {recipe.name}: change it in a copy of the recipe, and give"
        " that with --config",
    )
    return Plan.from_recipe(recipe, {**recipes.settings_from_environment(), **settings})


def run_training(
    training: Training,
    name: str = "",
    part: ProgressPart = WHOLE,
    state: RunState | None = None,
) -> CompletedStep:
    """Show a training until it has ended; raises the reason if it could not start.

    `state` is that of a resumed run, after all its events so far; it is modified."""
    state = state or RunState()
    state.expect_session()
    sessions = state.sessions
    status = follow_training(training, choose_view(part), state)
    if state.sessions == sessions or training.folder is None:
        if status:
            return CompletedStep(name, state, None, status)
        raise training.error or UserError(state.message or "the run did not start")
    return CompletedStep(name, state, training.folder, status, training.error)


def run_or_continue(
    session: Session,
    config: RunConfig,
    start: Callable[[], Training],
    name: str = "",
    part: ProgressPart = WHOLE,
) -> CompletedStep:
    """Run a training, or go on with the run that the same job of torchrun has begun before it was
    started again."""
    place, earlier = session.place, None
    if place.job:
        earlier = find_run_of_job(session.runs_dir, place.job, config)
    state = replay(earlier.events) if earlier is not None else RunState()
    if earlier is None or (state.end_reason == FINISHED and not place.restarts):
        return run_training(start(), name, part)
    if state.end_reason == FINISHED:
        session.meet_others()
        return CompletedStep(name, state, earlier)
    console.note(f"{earlier.name}: begun by the same job, goes on")
    recorded = recipes.read_recipe(earlier.config).config()
    return run_training(session.resume(earlier, recorded), name, part, state)


def run_plan(session: Session, plan: Plan, part: ProgressPart = WHOLE) -> Iterator[CompletedStep]:
    """Run the steps of a plan, up to the first that does not finish."""
    plan = plan.resolve_starts(lambda start: str(resolve_start(start, session.runs_dir)))
    while (step := plan.next) is not None:
        if plan.heading:
            console.note(f"{plan.recipe}, {plan.heading}")
        step_part = part.split(len(plan.runs), len(plan.steps))
        if isinstance(step, EnsembleStep):
            completed = _build_ensemble(session, plan, step, step_part)
        else:
            start = partial(session.train, step.config)
            completed = run_or_continue(session, step.config, start, step.name, step_part)
        yield completed
        if completed.folder is None or completed.status:
            return
        plan = plan.advance(completed.state.end_reason, completed.folder.path)


def _build_ensemble(
    session: Session, plan: Plan, step: EnsembleStep, part: ProgressPart
) -> CompletedStep:
    first = plan.steps[0]
    device = "auto" if isinstance(first, EnsembleStep) else first.config.device
    members = [RunFolder(path) for path in step.runs]
    with show_progress(step.name, part) as on_progress:
        folder = session.build_ensemble(
            members, tta=step.tta, recipe=plan.recipe, device=device, on_progress=on_progress
        ).result()
    return CompletedStep(step.name, replay(folder.events), folder)


def print_steps(steps: Iterator[CompletedStep], plan: Plan, args: argparse.Namespace) -> int:
    """Print the result of each step as soon as it ends; the exit status is that of the last."""
    from fmnist_tui.cli.support.run_summary import print_run

    documents: list[dict[str, Any]] = []
    status, ended, done, count = 0, None, len(plan.runs), len(plan.steps)
    try:
        for step in steps:
            done += 1
            status, ended = step.status, step.state.end_reason
            if step.folder is None:
                console.note("stopped before the run started")
                break
            if args.debug and step.error is not None:
                raise step.error
            if args.json:
                documents.append({"stage": step.name, **training_to_json(step.state, step.folder)})
            else:
                with console.results_of_a_run():
                    print_run(step.state, step.folder)
            if ended == FAILED:
                console.error(f"the run failed: {step.state.message}")
                status = 1
            elif step.error is not None:
                console.error(str(step.error))
                status = status or 1
    finally:
        # Also after a signal or an error while the ensemble is made.
        if count > 1 and done < count:
            console.note(f"{plan.recipe} ends here: {count - done} of {count} steps not run")
    if ended:
        console.attract(load_notifications().terminal, f"{plan.recipe} {ended}".strip())
    with console.results_of_a_run():
        if args.json and count > 1:
            console.print_json({"recipe": plan.recipe, "state": ended, "stages": documents})
        elif args.json and documents:
            only = documents[0].items()
            console.print_json({key: value for key, value in only if key != "stage"})
    return status
