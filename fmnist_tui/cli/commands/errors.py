"""`fmnist-tui errors RUN`: the images a run got wrong, from the predictions it kept."""

from __future__ import annotations

import argparse

from rich.table import Table
from rich.text import Text

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.cli.support import console, options
from fmnist_tui.runs.listing import resolve
from fmnist_tui.util.errors import UsageError
from fmnist_tui.util.text import safe_text


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="id, part of the name, `last`, or a path")
    parser.add_argument("--split", default="test", choices=("test", "val", "train"))
    parser.add_argument("--true", metavar="CLASS", help="only images of this class")
    parser.add_argument("--pred", metavar="CLASS", help="only images taken for this class")
    parser.add_argument("--order", default="confidence", choices=("confidence", "loss", "index"))
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most N [20]")
    options.folders(parser, data=False)
    options.as_json(parser)


def run(args: argparse.Namespace) -> int:
    if args.limit < 1:
        raise UsageError("--limit must be 1 or more")
    folder = resolve(options.runs_dir(args), args.run)
    kept = Predictions.load(folder.predictions / f"{args.split}.npz")
    names = kept.classes
    true, said = (
        None if name is None else options.class_number(names, name)
        for name in (args.true, args.pred)
    )
    misses = kept.misses(true, said, args.order)
    shown = misses[: args.limit]
    if args.json:
        console.document(
            {
                "run": folder.path.name,
                "split": args.split,
                "count": len(misses),
                "of": len(kept.labels),
                "errors": [
                    {
                        "index": miss.index,
                        "true": names[miss.true],
                        "predicted": names[miss.predicted],
                        "probability": miss.probability,
                        "true_probability": miss.true_probability,
                    }
                    for miss in shown
                ],
            }
        )
        return 0
    out = console.console()
    table = Table(box=None, pad_edge=False)
    for heading in ("image", "true", "predicted", "sure", "true one"):
        table.add_column(heading, justify="left" if heading in ("true", "predicted") else "right")
    for miss in shown:
        table.add_row(
            f"#{miss.index}",
            Text(safe_text(names[miss.true])),
            Text(safe_text(names[miss.predicted])),
            console.percent(miss.probability, 1),
            console.percent(miss.true_probability, 1),
        )
    out.print(f"{len(misses):,} of {len(kept.labels):,} images of {args.split}, by {args.order}")
    out.print(table)
    return 0
