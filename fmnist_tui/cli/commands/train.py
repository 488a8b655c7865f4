"""`fmnist-tui train`: the engine with a progress bar, or with plain lines, or with JSON."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fmnist_tui.analysis.overfitting import judge_fit
from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.run_plan import CompletedPlan, carried_out, followed
from fmnist_tui.config import recipes
from fmnist_tui.config.plans import Plan
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FAILED, FINISHED
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import resolve, summarise
from fmnist_tui.util.errors import UsageError, UserError

# What may be changed when a run is taken up again: nothing that its weights depend on.
ON_RESUME = ("epochs", "lr", "patience", "device", "threads", "checkpoint_seconds")
# For commands that train as well, with fewer arguments of their own (`recipes run`).
NOT_ASKED = {
    "config": None,
    "resume": None,
    "plan": None,
    "fork": None,
    "checkpoint": None,
    "detach": False,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe_name", nargs="?", metavar="RECIPE", help=f"a recipe's name [{recipes.DEFAULT}]"
    )
    parser.add_argument("--config", metavar="FILE", help="a recipe or a run's config.toml")
    parser.add_argument("--resume", metavar="RUN", help="go on from a run's last checkpoint")
    parser.add_argument(
        "--fork", metavar="RUN", help="begin a new run from a checkpoint of this one"
    )
    parser.add_argument(
        "--checkpoint", metavar="last|best|FILE", help="the checkpoint to fork from [last]"
    )
    parser.add_argument(
        "--plan", metavar="FILE", help="what follows a resumed run (the dashboard leaves one)"
    )
    parser.add_argument(
        "--detach", action="store_true", help="train in a process of its own, without a terminal"
    )
    options.folders(parser)
    options.as_json(parser)
    options.settings(parser)


def run(args: argparse.Namespace) -> int:
    args = argparse.Namespace(**{**NOT_ASKED, **vars(args)})
    begins = (args.recipe_name, args.config, args.resume, args.fork)
    if sum(part is not None for part in begins) > 1:
        raise UsageError("give one of RECIPE, --config FILE, --resume RUN and --fork RUN")
    if args.checkpoint is not None and args.fork is None:
        raise UsageError("--checkpoint says where --fork begins: give --fork RUN too")
    if args.plan is not None and (args.resume is None or args.detach):
        raise UsageError("--plan says what follows --resume RUN, without --detach")
    runs_dir = options.runs_dir(args)
    folder = resolve(runs_dir, args.resume) if args.resume else None
    parent = resolve(runs_dir, args.fork) if args.fork else None
    plan = Plan("", ())
    if folder is not None:
        config = _resumed(folder, args)
        plan = Plan.read(Path(args.plan)) if args.plan is not None else plan
    elif parent is not None:
        config = _forked(parent, args)
    else:
        plan = _fresh(args)
    if args.detach:
        from fmnist_tui.cli.support import detached

        return detached.run(args, folder, parent, plan)
    with Session(runs_dir, options.data_dir(args)) as session:
        if folder is not None:
            steps = _taken_up(session, folder, config, plan)
        elif parent is not None:
            steps = iter([followed(session.fork(parent, args.checkpoint or "last", config))])
        else:
            steps = carried_out(session, plan)
        return _told(steps, plan, args)


def _taken_up(
    session: Session, folder: RunFolder, config: RunConfig, plan: Plan
) -> Iterator[CompletedPlan]:
    """The run, and what a plan that it belongs to has after it."""
    done = followed(session.resume(folder, config))
    yield done
    if plan.steps and done.folder is not None and not done.status:
        yield from carried_out(session, plan.ended(done.state.ended, done.folder.path))


def _told(steps: Iterator[CompletedPlan], plan: Plan, args: argparse.Namespace) -> int:
    """Say what each step came to as soon as it has; the status is that of the last."""
    from fmnist_tui.cli.support.run_summary import summary

    reports: list[dict[str, Any]] = []
    status, state, count = 0, RunState(), len(plan.steps)
    for place, done in enumerate(steps, 1 + len(plan.runs)):
        status, state = done.status, done.state
        if done.folder is None:
            console.note("stopped before the run began")
            break
        if args.debug and done.error is not None:
            raise done.error
        if args.json:
            reports.append({"stage": done.name, **report(state, done.folder)})
        else:
            summary(state, done.folder)
        if state.ended == FAILED:
            console.error(f"the run failed: {state.message}")
            status = 1
        if state.ended != FINISHED and place < count:
            console.note(f"{plan.recipe} ends here: {count - place} of its {count} steps left out")
    if args.json and count > 1:
        console.document({"recipe": plan.recipe, "state": state.ended, "stages": reports})
    elif args.json and reports:
        console.document({key: value for key, value in reports[0].items() if key != "stage"})
    return status


def _fresh(args: argparse.Namespace) -> Plan:
    if args.config:
        recipe = recipes.read(Path(args.config))
    else:
        recipe = recipes.load(args.recipe_name or recipes.DEFAULT)
    given = options.given(args)
    for name in given if recipe.stages else ():
        if all(name in stage.run for stage in recipe.stages):
            raise UsageError(
                f"--{name.replace('_', '-')}: every stage of {recipe.name} says that itself;"
                " change it in a file of your own, and give that with --config"
            )
    return Plan.of(recipe, {**recipes.from_environment(), **given})


def _forked(parent: RunFolder, args: argparse.Namespace) -> RunConfig:
    _refuse_others(parent, "forked")
    return recipes.read(parent.config).config(**options.given(args))


def _refuse_others(folder: RunFolder, what: str) -> None:
    """Only trainings can be gone on with; the settings of other runs may be of another form."""
    refusal = summarise(folder).refusal(what)
    if refusal:
        raise UserError(refusal)


def _resumed(folder: RunFolder, args: argparse.Namespace) -> RunConfig:
    _refuse_others(folder, "resumed")
    changes = options.given(args)
    fixed = [name for name in changes if name not in ON_RESUME]
    if fixed:
        raise UsageError(
            f"--{fixed[0].replace('_', '-')} cannot change when a run is resumed "
            f"(only {', '.join(ON_RESUME)} can)"
        )
    return recipes.read(folder.config).config(**changes)


def report(state: RunState, folder: RunFolder) -> dict[str, Any]:
    """The JSON document of a training."""

    def split(name: str) -> dict[str, float | int] | None:
        found = state.verdict(name)
        if found is None:
            return None
        return {"loss": found.loss, "accuracy": found.accuracy, "count": found.count}

    started, fit = state.started, judge_fit(state)
    return {
        "run": folder.path.name,
        "path": str(folder.path),
        "state": state.ended,
        "message": state.message,
        "epochs": state.epochs_done,
        "steps": state.step,
        "seconds": state.train_seconds,
        "images_per_second": state.mean_images_per_second,
        "device": f"{started.device} ({started.device_name})" if started else "",
        "val": split("val"),
        "test": split("test"),
        "frozen_unchanged": state.frozen_unchanged,
        "fit": {"verdict": fit.verdict, "words": fit.words},
    }
