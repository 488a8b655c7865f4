"""`fmnist-tui lrfind`: try learning rates on a few training steps, show the curve, suggest one.

`runs lrfind RUN` does the same in the middle of a live run, which then goes on as it was.
"""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path
from typing import Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.config import recipes, run_config
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol import lr_curve
from fmnist_tui.protocol.commands import CancelSearch, FindLearningRate
from fmnist_tui.protocol.events import FAILED, STOPPED
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.protocol.lr_search import LrSearch, summary
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventTail
from fmnist_tui.runs.listing import resolve, summarise
from fmnist_tui.runs.lock import holder
from fmnist_tui.runs.log import CommandBox
from fmnist_tui.runs.resolve_start import locate
from fmnist_tui.util.errors import UsageError, UserError

LOOK_SECONDS = 0.1


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe_name", nargs="?", metavar="RECIPE", help=f"a recipe's name [{recipes.DEFAULT}]"
    )
    parser.add_argument("--config", metavar="FILE", help="a recipe or a run's config.toml")
    asked(parser)
    options.folders(parser)
    options.as_json(parser)
    options.settings(parser)


def asked(parser: argparse.ArgumentParser) -> None:
    """Which rates are tried."""
    usual = RateRange()
    parser.add_argument(
        "--from-lr", type=float, default=usual.low, metavar="LR", help=f"the first [{usual.low:g}]"
    )
    parser.add_argument(
        "--to-lr", type=float, default=usual.high, metavar="LR", help=f"the last [{usual.high:g}]"
    )
    parser.add_argument(
        "--steps", type=int, default=usual.steps, metavar="N", help=f"how many [{usual.steps}]"
    )


def run(args: argparse.Namespace) -> int:
    from fmnist_tui.cli.support.run_plan import followed

    rates = RateRange(args.from_lr, args.to_lr, args.steps)
    settings, runs_dir = _config(args), options.runs_dir(args)
    if settings.start is not None:
        # This search will be the `last` run itself.
        args.start = str(locate(settings.start, runs_dir))
        settings = settings.changed(start=args.start)
    with Session(runs_dir, options.data_dir(args)) as session:
        done = followed(session.lrfind(settings, rates))
    if done.folder is None:
        console.note("stopped before the search began")
        return done.status
    if args.debug and done.error is not None:
        raise done.error
    told = _told(done.state.search, args.json, done.folder, _training_words(args), "--lr")
    if done.state.ended == FAILED:
        console.error(f"the search failed: {done.state.message}")
    return done.status or told


def live(args: argparse.Namespace) -> int:
    """Have a live run searched; it goes on afterwards as if nothing had been."""
    folder = resolve(options.runs_dir(args), args.run)
    rates = RateRange(args.from_lr, args.to_lr, args.steps)
    refusal = summarise(folder).refusal("searched")
    if refusal:
        raise UserError(refusal)
    tail = EventTail(folder.events, folder.events.stat().st_size if folder.events.exists() else 0)
    CommandBox.send(folder, FindLearningRate(time.time(), rates.low, rates.high, rates.steps))
    try:
        search = _awaited(folder, tail)
    except KeyboardInterrupt:
        CommandBox.send(folder, CancelSearch(time.time()))
        raise
    where = [f"--runs={args.runs}"] if args.runs else []
    words = ["runs", "set", folder.id, *where]
    return _told(search, args.json, folder, words, "lr")


def _config(args: argparse.Namespace) -> RunConfig:
    if args.recipe_name is not None and args.config is not None:
        raise UsageError("give one of RECIPE and --config FILE")
    if args.config:
        recipe = recipes.read(Path(args.config))
    else:
        recipe = recipes.load(args.recipe_name or recipes.DEFAULT)
    # Of linked runs the first: the others begin from weights that are not there yet.
    first = recipe.stages[0].run if recipe.stages else {}
    return recipe.config(**{**first, **recipes.from_environment(), **options.given(args)})


def _training_words(args: argparse.Namespace) -> list[str]:
    """The command that trains with what was searched for; the rate is still to come."""
    named = {
        "config": args.config,
        "runs": args.runs,
        "data": args.data,
        **{name: getattr(args, name) for name in run_config.FIELDS if name != "lr"},
    }
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in named.items() if value]
    return ["train", *([args.recipe_name] if args.recipe_name else []), *flags]


def _awaited(folder: RunFolder, tail: EventTail) -> LrSearch:
    """The search that was asked for, once it is over."""
    from fmnist_tui.cli.support.progress import steps

    state = RunState()
    with steps("finding a learning rate") as tell:
        while state.search is None or state.search.end is None:
            # Asked first: all that the run did before its end is then read.
            goes_on = holder(folder.path) is not None
            for event in tail.read():
                state.apply(event)
                if state.search is not None and state.search.end is not None:
                    break
            if not goes_on and (state.search is None or state.search.end is None):
                raise UserError(f"the run {folder.name} ended before it was searched")
            if state.search is not None and state.search.points:
                rate, loss = state.search.points[-1]
                done, total = len(state.search.points), state.search.probes
                tell(done, total, f"lr {rate:.2g} loss {loss:.3g}")
            time.sleep(LOOK_SECONDS)
    return state.search


def _told(
    search: LrSearch | None, as_json: bool, folder: RunFolder, words: list[str], setting: str
) -> int:
    """Print what a search came to, and the command that uses it; 1 where nothing is found."""
    end = search.end if search is not None else None
    lr = end.lr if end is not None else None
    command = ["fmnist-tui", *words, f"{setting}={lr:g}"] if lr is not None else []
    if as_json:
        console.document({**_document(search, folder), "command": command})
    elif search is not None:
        from fmnist_tui.cli.support.run_summary import search_summary

        search_summary(search)
        if command:
            print(shlex.join(command))
    if end is not None and end.reason != STOPPED and lr is None:
        console.error(f"no learning rate to suggest: {end.message}")
    return 0 if lr is not None else 1


def _document(search: LrSearch | None, folder: RunFolder) -> dict[str, Any]:
    """The JSON document of a search. Losses that are no numbers are null."""
    points = list(search.points) if search is not None else []
    found = lr_curve.read(points)
    levels = dict(found.smooth)
    end = search.end if search is not None else None
    return {
        "run": folder.name,
        "path": str(folder.path),
        "state": end.reason if end is not None else None,
        "message": summary(end) if end is not None else "",
        "lr": end.lr if end is not None else None,
        "low": end.low if end is not None else None,
        "high": end.high if end is not None else None,
        "points": [
            {"lr": lr, "loss": loss if loss - loss == 0 else None, "smoothed": levels.get(lr)}
            for lr, loss in points
        ],
    }
