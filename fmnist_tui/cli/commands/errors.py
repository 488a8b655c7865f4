"""`fmnist-tui errors RUN`: list misclassified images, from the predictions that a run saved."""

from __future__ import annotations

import argparse

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.cli.support import console, options
from fmnist_tui.runs import checkpoints
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UsageError
from fmnist_tui.util.formatting import format_percent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_split(parser)
    about = "a checkpoint that `evaluate --checkpoint` has evaluated [best]"
    parser.add_argument("--checkpoint", default="best", metavar="best|last|FILE", help=about)
    parser.add_argument("--true", metavar="CLASS", help="only images of this class")
    parser.add_argument("--pred", metavar="CLASS", help="only images classified as this class")
    parser.add_argument(
        "--order",
        default="confidence",
        choices=("confidence", "loss", "index"),
        help="highest confidence or loss first, or by index [confidence]",
    )
    options.add_int(parser, "--limit", 20, "at most N images")
    options.add_common(parser, data=False)


def run(args: argparse.Namespace) -> None:
    if args.limit < 1:
        raise UsageError("--limit must be 1 or more")
    folder = options.find_run(args)
    name = args.checkpoint if args.checkpoint != "best" else ""
    predictions = Predictions.load(folder.predictions_of(args.split, name))
    _note_checkpoint(folder, predictions)
    names = predictions.classes
    true, predicted = (
        None if name is None else options.parse_class(names, name)
        for name in (args.true, args.pred)
    )
    errors = predictions.find_misses(true, predicted, args.order)
    listed = errors[: args.limit]
    if args.json:
        console.print_json(
            {
                "run": folder.path.name,
                "split": args.split,
                **console.pick(predictions, "checkpoint", "step", "epoch"),
                "count": len(errors),
                "of": len(predictions.labels),
                "errors": [
                    {
                        **console.pick(error, "index", "probability", "true_probability"),
                        "true": names[error.true],
                        "predicted": names[error.predicted],
                    }
                    for error in listed
                ],
            }
        )
        return
    made_by, epoch = predictions.checkpoint, predictions.epoch
    of = f", by {made_by} (epoch {epoch})" if epoch is not None else ""
    console.line(
        f"{len(errors):,} of {len(predictions.labels):,} {args.split} images{of},"
        f" in the order of {args.order}"
    )
    console.print_table(
        (">image", "true", "predicted", ">confidence", ">true class"),
        [
            (
                f"#{error.index}",
                names[error.true],
                names[error.predicted],
                format_percent(error.probability, 1),
                format_percent(error.true_probability, 1),
            )
            for error in listed
        ],
    )


def _note_checkpoint(folder: RunFolder, predictions: Predictions) -> None:
    """Say if the run has a newer checkpoint of that name, or a damaged one."""
    newer = checkpoints.find_newer(folder, predictions.checkpoint, predictions.sha256)
    if newer is not None:
        console.note(
            f"these are predictions of step {predictions.step:,}, but {newer.name} is of step"
            f" {newer.step:,}: `fmnist-tui evaluate {folder.id}` evaluates it"
        )
    if damage := checkpoints.find_damage(folder):
        console.note(damage)
