"""What `lrfind` and `runs lrfind` share: the range of rates, and the printed result."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from fmnist_tui.cli.support import console
from fmnist_tui.protocol import lr_curve
from fmnist_tui.protocol.events import STOPPED
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.protocol.lr_search import LrSearch, format_search_result
from fmnist_tui.runs.folder import RunFolder


def add_range(parser: argparse.ArgumentParser) -> None:
    """--from-lr, --to-lr and --steps."""
    default = RateRange()
    for flag, metavar, value, about in (
        ("--from-lr", "LR", default.low, "lowest rate"),
        ("--to-lr", "LR", default.high, "highest rate"),
        ("--steps", "N", default.steps, "number of rates, one training step each"),
    ):
        about = f"{about} [{value:g}]"
        parser.add_argument(flag, type=type(value), default=value, metavar=metavar, help=about)


def parse_range(args: argparse.Namespace) -> RateRange:
    return RateRange(args.from_lr, args.to_lr, args.steps)


def print_result(
    search: LrSearch | None, folder: RunFolder, words: list[str], *, as_json: bool
) -> int:
    """Print the result of a search, and the command that uses it: `words`, which end in the
    flag or key that takes the rate. The exit status is 1 if no rate was found."""
    end = search.end if search is not None else None
    lr = end.lr if end is not None else None
    command = ["fmnist-tui", *words[:-1], f"{words[-1]}={lr:g}"] if lr is not None else []
    if as_json:
        console.print_json({**to_json(search, folder), "command": command})
    elif search is not None:
        from fmnist_tui.cli.support.run_summary import print_search

        print_search(search)
        if command:
            console.line(shlex.join(command))
    if end is not None and end.reason != STOPPED and lr is None:
        console.error(f"no learning rate to suggest: {end.message}")
    return 0 if lr is not None else 1


def to_json(search: LrSearch | None, folder: RunFolder) -> dict[str, Any]:
    """The JSON document of a search; losses that are not numbers are null."""
    points = list(search.points) if search is not None else []
    smoothed = dict(lr_curve.suggest_rate(points).smooth)
    end = search.end if search is not None else None
    return {
        "run": folder.name,
        "path": str(folder.path),
        "state": end.reason if end is not None else None,
        "message": format_search_result(end) if end is not None else "",
        "lr": end.lr if end is not None else None,
        "low": end.low if end is not None else None,
        "high": end.high if end is not None else None,
        "points": [
            {"lr": lr, "loss": loss if loss - loss == 0 else None, "smoothed": smoothed.get(lr)}
            for lr, loss in points
        ],
    }
