"""`fmnist-tui evaluate RUN`: evaluate a checkpoint on a split."""

from __future__ import annotations

import argparse
from typing import Any

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.cli.support import console, options
from fmnist_tui.util.formatting import format_percent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_split(parser)
    parser.add_argument(
        "--checkpoint", default="best", metavar="best|last|FILE", help="weights to use [best]"
    )
    options.add_device(parser)
    options.add_common(parser)


def run(args: argparse.Namespace) -> int:
    folder = options.find_run(args)
    with options.open_session(args) as session:
        result = session.evaluate(folder, args.split, args.checkpoint, args.device).result()
    evaluation = result.evaluation
    if args.json:
        console.print_json({"run": folder.path.name, **_to_json(evaluation, args.split)})
        return 0
    from fmnist_tui.cli.support.run_summary import create_class_table, create_confusion_table

    names = tuple(score.name for score in evaluation.classes)
    out = console.console()
    low, high = evaluation.interval
    out.print(
        f"{folder.path.name} · {result.checkpoint} (epoch {result.epoch}) · {args.split}",
        soft_wrap=True,
    )
    out.print(
        f"accuracy {format_percent(evaluation.accuracy)} (95 % interval: {format_percent(low)} to "
        f"{format_percent(high)}, {evaluation.count:,} images)  loss {evaluation.loss:.4f}  "
        f"ECE {format_percent(evaluation.ece)}"
    )
    out.print()
    out.print(create_class_table(evaluation.classes))
    out.print()
    out.print(create_confusion_table(evaluation.confusion, names, args.split))
    confused = ", ".join(
        f"{names[true]} → {names[predicted]} {count}"
        for true, predicted, count in evaluation.most_confused()
    )
    if confused:
        out.print(f"\nmost confused: {confused}", markup=False)
    return 0


def _to_json(evaluation: Evaluation, split: str) -> dict[str, Any]:
    return {
        "split": split,
        "count": evaluation.count,
        "loss": evaluation.loss,
        "accuracy": evaluation.accuracy,
        "accuracy_ci95": list(evaluation.interval),
        "macro_precision": evaluation.macro_precision,
        "macro_recall": evaluation.macro_recall,
        "macro_f1": evaluation.macro_f1,
        "per_class": [
            {
                "name": score.name,
                "precision": score.precision,
                "recall": score.recall,
                "f1": score.f1,
                "support": score.support,
            }
            for score in evaluation.classes
        ],
        "confusion": [list(row) for row in evaluation.confusion],
        "ece": evaluation.ece,
        "reliability": [
            {"confidence": bin_.confidence, "accuracy": bin_.accuracy, "count": bin_.count}
            for bin_ in evaluation.reliability
        ],
    }
