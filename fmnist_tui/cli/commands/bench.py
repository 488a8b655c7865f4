"""`fmnist-tui bench`: figures of this machine, both sides of each measured in one run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rich.table import Table

from fmnist_tui.cli.support import console, options
from fmnist_tui.config import plugins
from fmnist_tui.util.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from fmnist_tui.bench.screen import ScreenCost
    from fmnist_tui.bench.throughput import Throughput


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="two-conv", help="model to train on both sides")
    parser.add_argument("--batch", type=int, action="append", metavar="N", help="[64 and 256]")
    parser.add_argument(
        "--images", type=int, default=12_800, help="images an epoch of the loops [12,800]"
    )
    parser.add_argument("--turns", type=int, default=3, help="turns of each side [3]")
    parser.add_argument(
        "--part",
        choices=("throughput", "screen", "all"),
        default="all",
        help="what to measure: the training loop, the dashboard, or both [all]",
    )
    parser.add_argument("--keys", type=int, default=300, help="keys on each screen [300]")
    parser.add_argument("--dataset", choices=("fashion", "sketches"), help="images to use")
    options.folders(parser, runs=False)
    options.as_json(parser)


def run(args: argparse.Namespace) -> int:
    from fmnist_tui.bench.screen import measure_screen
    from fmnist_tui.bench.throughput import machine, measure
    from fmnist_tui.data.load import is_present

    plugins.check("models", args.model)
    batches = tuple(args.batch or (64, 256))
    if min(args.turns, args.images, args.keys, *batches) < 1:
        raise UsageError("--turns, --images, --keys and --batch must be 1 or more")
    data_dir = options.data_dir(args)
    dataset = args.dataset or ("fashion" if is_present("fashion", data_dir) else "sketches")
    found = screen = None
    if args.part != "screen":
        found = measure(
            data_dir, dataset, args.model, batches, args.images, args.turns, console.note
        )
    if args.part != "throughput":
        screen = measure_screen(data_dir, dataset, args.turns, args.keys, console.note)
    facts = machine()
    if args.json:
        document: dict[str, Any] = {"machine": facts}
        if found is not None:
            document |= _throughput(found, dataset)
        if screen is not None:
            document["screen"] = screen.to_plain()
        console.document(document)
        return 0
    out = console.console()
    out.print(", ".join(f"{key} {value}" for key, value in facts.items() if value is not None))
    if found is not None:
        _show_throughput(out, found)
    if screen is not None:
        _show_screen(out, screen)
    return 0


def _throughput(found: Throughput, dataset: str) -> dict[str, Any]:
    return {
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


def _show_throughput(out: Console, found: Throughput) -> None:
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


def _show_screen(out: Console, cost: ScreenCost) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("the dashboard")
    table.add_column("measured", justify="right")
    table.add_column("budget", justify="right")
    torch = "torch not loaded by then" if not cost.torch_before_paint else "torch loaded before it"
    table.add_row(f"first paint ({torch})", f"{cost.first_paint_s:.2f} s", "0.7 s")
    for keys in cost.keys:
        table.add_row(
            f"key to paint while training, {keys.screen} ({keys.count} keys)",
            f"{keys.median_ms:.1f} / {keys.p99_ms:.0f} ms",
            "20 / 100 ms",
        )
    table.add_row(
        f"training with the Train screen open ({cost.with_screen:,.0f} against "
        f"{cost.headless:,.0f} images/s)",
        f"{100 * cost.ratio:.1f} %",
        "97 %",
    )
    table.add_row("idle, to the terminal", f"{cost.idle_bytes / 1000:.2f} KB/s", "1 KB/s")
    table.add_row("training, to the terminal", f"{cost.training_bytes / 1000:.2f} KB/s", "8 KB/s")
    table.add_row("a page of full-size thumbnails", f"{cost.page_bytes / 1000:.1f} KB", "40 KB")
    table.add_row("a page flip", f"{cost.page_ms:.1f} ms", "50 ms")
    out.print(table)
