"""`fmnist-tui evaluate RUN`: what a checkpoint is worth on a split."""

from __future__ import annotations

import argparse
from typing import Any

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.cli.support import console, options
from fmnist_tui.engine.session.session import Session
from fmnist_tui.runs.listing import resolve


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="id, part of the name, `last`, or a path")
    parser.add_argument("--split", default="test", choices=("test", "val", "train"))
    parser.add_argument(
        "--checkpoint", default="best", metavar="best|last|FILE", help="which weights [best]"
    )
    options.device(parser)
    options.folders(parser)
    options.as_json(parser)


def run(args: argparse.Namespace) -> int:
    runs_dir = options.runs_dir(args)
    folder = resolve(runs_dir, args.run)
    with Session(runs_dir, options.data_dir(args)) as session:
        verdict = session.evaluate(folder, args.split, args.checkpoint, args.device).result()
    evaluation = verdict.evaluation
    if args.json:
        console.document({"run": folder.path.name, **as_document(evaluation, args.split)})
        return 0
    from fmnist_tui.cli.support.run_summary import class_table, confusion_table

    names = tuple(score.name for score in evaluation.classes)
    out = console.console()
    low, high = evaluation.interval
    out.print(
        f"{folder.path.name} · {verdict.checkpoint} (epoch {verdict.epoch}) · {args.split}",
        soft_wrap=True,
    )
    out.print(
        f"accuracy {console.percent(evaluation.accuracy)} (95 %: {console.percent(low)} to "
        f"{console.percent(high)}, {evaluation.count:,} images)  loss {evaluation.loss:.4f}  "
        f"ECE {console.percent(evaluation.ece)}"
    )
    out.print()
    out.print(class_table(evaluation.classes))
    out.print()
    out.print(confusion_table(evaluation.confusion, names, args.split))
    confused = ", ".join(
        f"{names[true]} → {names[said]} {count}" for true, said, count in evaluation.most_confused()
    )
    if confused:
        out.print(f"\nmost confused: {confused}", markup=False)
    return 0


def as_document(evaluation: Evaluation, split: str) -> dict[str, Any]:
    """An evaluation as the JSON document of the command."""
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
            {"confidence": part.confidence, "accuracy": part.accuracy, "count": part.count}
            for part in evaluation.reliability
        ],
    }
