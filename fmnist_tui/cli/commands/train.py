"""`fmnist-tui train`: train a recipe, or resume or fork a run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fmnist_tui.cli.support import options, run_plan
from fmnist_tui.cli.support.processes import take_part
from fmnist_tui.config import recipes
from fmnist_tui.config.plans import Plan
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.distributed.launch import choose_launch, plan_configs
from fmnist_tui.engine.distributed.place import Place
from fmnist_tui.engine.session.session import Session
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import ALONE
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import resolve, summarise_run
from fmnist_tui.util.errors import UsageError, UserError

# The settings that may change when a run is resumed: how long and how fast it learns, and on what
# it computes, which changes its weights by no more than rounding does.
RESUME_SETTINGS = (
    *("epochs", "lr", "patience"),
    *("device", "devices", "precision", "deterministic", "threads", "checkpoint_seconds"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_recipe(parser)
    parser.add_argument("--resume", metavar="RUN", help="resume a run from its last checkpoint")
    parser.add_argument("--fork", metavar="RUN", help="start a new run from a checkpoint of RUN")
    about = "the checkpoint to fork from [last]"
    parser.add_argument("--checkpoint", metavar="last|best|FILE", help=about)
    about = "the plan to continue, after --resume (written when the dashboard hands a run over)"
    parser.add_argument("--plan", metavar="FILE", help=about)
    about = "train in a background process without a terminal"
    parser.add_argument("--detach", action="store_true", help=about)
    options.add_common(parser)
    options.add_settings(parser)


def run(args: argparse.Namespace) -> int:
    if not Place.from_environment().is_first:
        return take_part(args)
    sources = (args.recipe_name, args.config, args.resume, args.fork)
    if sum(source is not None for source in sources) > 1:
        raise UsageError("give only one of RECIPE, --config FILE, --resume RUN and --fork RUN")
    if args.checkpoint is not None and args.fork is None:
        raise UsageError("--checkpoint needs --fork RUN")
    if args.plan is not None and any((args.recipe_name, args.config, args.fork, args.detach)):
        raise UsageError("--plan goes with nothing but --resume RUN")
    resumed = resolve(options.require_runs_dir(args), args.resume) if args.resume else None
    parent = resolve(options.require_runs_dir(args), args.fork) if args.fork else None
    plan = Plan("", ()) if args.plan is None else Plan.from_file(Path(args.plan))
    if resumed is not None:
        config = _resume_config(resumed, args)
    elif parent is not None:
        config = _change_config(parent, "forked", args)
    elif args.plan is not None:
        options.refuse_settings(
            options.parse_settings(args), "is for all steps in the plan already"
        )
    else:
        plan = run_plan.build_plan(options.load_recipe(args), args)
    first = [config] if resumed is not None or parent is not None else []
    launch = choose_launch([*first, *plan_configs(plan)])
    if args.detach:
        if Place.from_environment().is_several:
            raise UsageError("--detach does not go with torchrun: put torchrun in the background")
        from fmnist_tui.cli.support.detached import train_detached

        return train_detached(args, resumed, parent, plan, launch)
    if launch is not ALONE:
        from fmnist_tui.cli.support.apart import train_apart

        return train_apart(args, resumed, parent, plan, launch)
    with options.open_session(args) as session:
        if resumed is not None:
            steps = _resume(session, resumed, config, plan)
        elif parent is not None:
            fork = partial(session.fork, parent, args.checkpoint or "last", config)
            steps = iter([run_plan.run_or_continue(session, config, fork)])
        else:
            steps = run_plan.run_plan(session, plan)
        return run_plan.print_steps(steps, plan, args)


def _resume(
    session: Session, folder: RunFolder, config: RunConfig, plan: Plan
) -> Iterator[run_plan.CompletedStep]:
    """Finish the run, and then the rest of the plan that it belongs to."""
    state = replay(folder.events)
    step = run_plan.run_training(session.resume(folder, config), state=state)
    yield step
    if plan.steps and step.folder is not None and not step.status:
        yield from run_plan.run_plan(session, plan.advance(step.state.end_reason, step.folder.path))


def _resume_config(folder: RunFolder, args: argparse.Namespace) -> RunConfig:
    options.refuse_settings(
        (name for name in options.parse_settings(args) if name not in RESUME_SETTINGS),
        f"cannot change when a run is resumed (only {', '.join(RESUME_SETTINGS)} can)",
    )
    return _change_config(folder, "resumed", args)


def _change_config(folder: RunFolder, action: str, args: argparse.Namespace) -> RunConfig:
    """A training's config with the settings given as flags; other runs are refused."""
    refusal = summarise_run(folder).refusal(action)
    if refusal:
        raise UserError(refusal)
    return recipes.read_recipe(folder.config).config(**options.parse_settings(args))
