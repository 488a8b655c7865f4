"""`fmnist-tui evaluate RUN`: evaluate a checkpoint on a split."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.run_documents import evaluation_to_json
from fmnist_tui.util.formatting import format_percent

if TYPE_CHECKING:
    from fmnist_tui.engine.inference.evaluate import SplitEvaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_split(parser)
    about = "weights to use [best]"
    parser.add_argument("--checkpoint", default="best", metavar="best|last|FILE", help=about)
    options.add_device(parser)
    options.add_common(parser)


def run(args: argparse.Namespace) -> None:
    folder = options.find_run(args)
    with options.open_session(args) as session:
        result = session.evaluate(folder, args.split, args.checkpoint, args.device).result()
    evaluation = result.evaluation
    for note in result.notes:
        console.note(note)
    if args.json:
        console.print_json({"run": folder.path.name, **_to_json(result)})
        return
    from fmnist_tui.cli.support.run_summary import create_class_table, create_confusion_table

    names = tuple(score.name for score in evaluation.classes)
    low, high = evaluation.interval
    console.line(f"{folder.path.name} · {result.checkpoint} (epoch {result.epoch}) · {args.split}")
    console.line(
        f"accuracy {format_percent(evaluation.accuracy)} (95 % interval: {format_percent(low)} to "
        f"{format_percent(high)}, {evaluation.count:,} images)  loss {evaluation.loss:.4f}  "
        f"ECE {format_percent(evaluation.ece)}"
    )
    console.line()
    out = console.console()
    out.print(create_class_table(evaluation.classes))
    out.print()
    out.print(create_confusion_table(evaluation.confusion, names, args.split))
    confused = ", ".join(
        f"{names[true]} → {names[predicted]} {count}"
        for true, predicted, count in evaluation.most_confused()
    )
    if confused:
        console.line()
        console.line(f"most confused: {confused}")


def _to_json(result: SplitEvaluation) -> dict[str, Any]:
    return {
        **evaluation_to_json(result.to_event(), result.predictions.classes),
        "confident": result.evaluation.confident,
        "reliability": [asdict(bin_) for bin_ in result.evaluation.reliability],
        "notes": list(result.notes),
    }
