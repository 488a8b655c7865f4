"""`fmnist-tui train`: the engine with a progress bar, or with plain lines, or with JSON."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from fmnist_tui import recipes
from fmnist_tui.cli import options, output
from fmnist_tui.cli.live import View, choose_view
from fmnist_tui.config import RunConfig
from fmnist_tui.engine.session import Session
from fmnist_tui.engine.training import Training
from fmnist_tui.errors import UsageError, UserError
from fmnist_tui.events import FAILED
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import resolve
from fmnist_tui.state import RunState

# What may be changed when a run is taken up again: nothing that its weights depend on.
ON_RESUME = ("epochs", "lr", "patience", "device", "threads", "checkpoint_seconds")
# For commands that train as well, with fewer arguments of their own (`recipes run`).
NOT_ASKED = {"config": None, "resume": None, "fork": None, "checkpoint": None, "detach": False}
LOOK_SECONDS = 0.1
SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


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
    runs_dir = options.runs_dir(args)
    folder = resolve(runs_dir, args.resume) if args.resume else None
    parent = resolve(runs_dir, args.fork) if args.fork else None
    if folder is not None:
        config = _resumed(folder, args)
    else:
        config = _forked(parent, args) if parent else _fresh(args)
    if args.detach:
        from fmnist_tui.cli import detach

        return detach.run(args, folder, parent)
    with Session(runs_dir, options.data_dir(args)) as session:
        if folder is not None:
            training = session.resume(folder, config)
        elif parent is not None:
            training = session.fork(parent, args.checkpoint or "last", config)
        else:
            training = session.train(config)
        state, status = follow(training, choose_view())
    if state.started is None or training.folder is None:
        if status:
            output.note("stopped before the run began")
            return status
        raise training.error or UserError(state.message or "the run did not begin")
    if args.debug and training.error is not None:
        raise training.error
    if args.json:
        output.document(report(state, training.folder))
    else:
        from fmnist_tui.cli.summary import summary

        summary(state, training.folder)
    if state.ended == FAILED:
        output.error(f"the run failed: {state.message}")
        return 1
    return status


def _fresh(args: argparse.Namespace) -> RunConfig:
    if args.config:
        recipe = recipes.read(Path(args.config))
    else:
        recipe = recipes.load(args.recipe_name or recipes.DEFAULT)
    return options.build_config(recipe, args)


def _forked(parent: RunFolder, args: argparse.Namespace) -> RunConfig:
    return recipes.read(parent.config).config(**options.given(args))


def _resumed(folder: RunFolder, args: argparse.Namespace) -> RunConfig:
    changes = options.given(args)
    fixed = [name for name in changes if name not in ON_RESUME]
    if fixed:
        raise UsageError(
            f"--{fixed[0].replace('_', '-')} cannot change when a run is resumed "
            f"(only {', '.join(ON_RESUME)} can)"
        )
    return recipes.read(folder.config).config(**changes)


def follow(training: Training, view: View) -> tuple[RunState, int]:
    """Show a training until it has ended; the status is 0, or what a signal asks for."""
    state = RunState()
    with _signals(training, view, state) as caught, view:
        while True:
            ended = training.wait(LOOK_SECONDS)
            while training.steps:
                view.step(training.steps.popleft())
            while training.events:
                event = training.events.popleft()
                state.apply(event)
                view.event(event, state)
            if ended and not training.events:
                break
    if not caught:
        return state, 0
    return state, 130 if caught[0] == signal.SIGINT else 128 + caught[0]


@contextmanager
def _signals(training: Training, view: View, state: RunState) -> Iterator[list[int]]:
    """The first signal asks for a save and an end; a second Ctrl-C does not wait for them.

    Once the run has ended on a signal, another Ctrl-C is ignored: what is left takes a
    moment, and it must not change the status, not even while the interpreter closes."""
    caught: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if caught and number == signal.SIGINT:
            view.close()
            training.abandon("Ctrl-C, twice", state.step, state.epochs_done)
            sys.stderr.flush()
            os._exit(130)
        caught.append(number)
        training.stop(SIGNALS[signal.Signals(number)])
        view.notice("saving; Ctrl-C again ends at once, without saving")

    # Whoever started this with SIGHUP ignored, as nohup does, wants it to outlive a terminal.
    heeded = [number for number in SIGNALS if number != signal.SIGHUP or not _ignored(number)]
    before = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            ignored = caught and number == signal.SIGINT
            signal.signal(number, signal.SIG_IGN if ignored else handler)


def _ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) == signal.SIG_IGN


def report(state: RunState, folder: RunFolder) -> dict[str, Any]:
    """The JSON document of a training."""

    def split(name: str) -> dict[str, float | int] | None:
        found = state.verdict(name)
        if found is None:
            return None
        return {"loss": found.loss, "accuracy": found.accuracy, "count": found.count}

    started = state.started
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
    }
