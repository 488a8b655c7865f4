"""`fmnist-tui bench`: figures of this machine, both sides of each measured in one run."""

from __future__ import annotations

import argparse

from rich.table import Table

from fmnist_tui import registry
from fmnist_tui.cli import options, output
from fmnist_tui.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="two-conv", help="model to train on both sides")
    parser.add_argument("--batch", type=int, action="append", metavar="N", help="[64 and 256]")
    parser.add_argument("--images", type=int, default=12_800, help="images an epoch [12,800]")
    parser.add_argument("--turns", type=int, default=3, help="turns of each side [3]")
    parser.add_argument("--dataset", choices=("fashion", "sketches"), help="images to use")
    options.folders(parser, runs=False)
    options.as_json(parser)


def run(args: argparse.Namespace) -> int:
    from fmnist_tui.bench.throughput import machine, measure
    from fmnist_tui.data.load import is_present

    registry.check("models", args.model)
    batches = tuple(args.batch or (64, 256))
    if args.turns < 1 or args.images < 1 or min(batches) < 1:
        raise UsageError("--turns, --images and --batch must be 1 or more")
    data_dir = options.data_dir(args)
    dataset = args.dataset or ("fashion" if is_present("fashion", data_dir) else "sketches")
    found = measure(data_dir, dataset, args.model, batches, args.images, args.turns, output.note)
    facts = machine()
    if args.json:
        output.document(
            {
                "machine": facts,
                "throughput": [
                    {
                        "model": row.model,
                        "batch": row.batch,
                        "images": row.images,
                        "dataset": dataset,
                        "plain": row.plain,
                        "ours": row.ours,
                        "ratio": row.ratio,
                        "precision": row.precision,
                        "ours_fp32": row.ours_fp32,
                        "plain_runs": list(row.plain_runs),
                        "ours_runs": list(row.ours_runs),
                    }
                    for row in found.rows
                ],
                "memory_mb": found.memory_mb,
            }
        )
        return 0
    out = output.console()
    out.print(", ".join(f"{key} {value}" for key, value in facts.items() if value is not None))
    table = Table(box=None, pad_edge=False)
    for heading in (
        "model",
        "batch",
        "plain images/s",
        "ours images/s",
        "ratio",
        "in",
        "fp32 ratio",
    ):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for row in found.rows:
        table.add_row(
            row.model,
            str(row.batch),
            f"{row.plain:,.0f}",
            f"{row.ours:,.0f}",
            f"{row.ratio:.2f}×",
            row.precision,
            f"{row.ours_fp32 / row.plain:.2f}×",
        )
    out.print(table)
    out.print(f"peak memory of a training: {found.memory_mb:,.0f} MB")
    return 0
