"""`fmnist-tui bench`: benchmark training and the dashboard on this machine."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.config import plugins
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UsageError
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.paths import expand_home

if TYPE_CHECKING:
    from pathlib import Path

    from fmnist_tui.bench.gpu.measure import GpuReport
    from fmnist_tui.bench.screen import ScreenCost
    from fmnist_tui.bench.throughput import Throughput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="two-conv", help="model to train [two-conv]")
    about = "batch sizes [64 and 256]"
    parser.add_argument("--batch", type=int, action="append", metavar="N", help=about)
    about = "images per epoch [12,800]"
    parser.add_argument("--images", type=int, default=12_800, metavar="N", help=about)
    options.add_int(parser, "--turns", 3, "measurements of each side")
    parser.add_argument(
        "--part",
        choices=("throughput", "screen", "gpu", "all"),
        default="all",
        help="what to measure: the training loop, the dashboard, what an NVIDIA GPU can do, or all"
        " that this machine can [all]",
    )
    options.add_int(parser, "--budget", 360, "seconds that the measurements of the GPU may take")
    parser.add_argument(
        "--only",
        action="append",
        choices=("times", "memory", "dashboard", "throughput"),
        help="a part of what is measured on the GPU; may be given several times [all of them]",
    )
    about = "write what was measured on the GPU as Markdown tables"
    parser.add_argument("--markdown", metavar="FILE", help=about)
    options.add_int(parser, "--keys", 300, "keys pressed on each screen")
    parser.add_argument(
        "--dataset",
        choices=("fashion", "sketches"),
        help="images to train on [fashion if it is on this machine]",
    )
    options.add_common(parser, runs=False)


def run(args: argparse.Namespace) -> None:
    from fmnist_tui.bench.machine import describe_machine, format_machine
    from fmnist_tui.bench.screen import measure_screen
    from fmnist_tui.bench.throughput import measure
    from fmnist_tui.data.load import is_present

    plugins.check_plugin_name("models", args.model)
    batches = tuple(args.batch or (64, 256))
    if min(args.turns, args.images, args.keys, args.budget, *batches) < 1:
        raise UsageError("--turns, --images, --keys, --budget and --batch must be 1 or more")
    if (args.markdown or args.only) and args.part not in ("gpu", "all"):
        raise UsageError("--markdown and --only are for --part gpu")
    data_dir = options.data_dir(args)
    dataset = args.dataset or ("fashion" if is_present("fashion", data_dir) else "sketches")
    throughput = screen = None
    if args.part in ("throughput", "all"):
        throughput = measure(
            data_dir, dataset, args.model, batches, args.images, args.turns, console.note
        )
    if args.part in ("screen", "all"):
        screen = measure_screen(data_dir, dataset, args.turns, args.keys, console.note)
    facts = describe_machine()
    gpu = _measure_gpu(args, data_dir, facts)
    if args.json:
        document: dict[str, Any] = {"machine": facts}
        if throughput is not None:
            document["throughput"] = [
                {**asdict(row), "dataset": dataset, "ratio": row.ratio} for row in throughput.rows
            ]
            document["memory_mb"] = throughput.memory_mb
        if screen is not None:
            document["screen"] = screen.to_plain()
        if gpu is not None:
            document["gpu"] = gpu.to_plain()
        console.print_json(document)
        return
    console.line(format_machine(facts))
    if throughput is not None:
        _print_throughput(throughput)
    if screen is not None:
        _print_screen(screen)
    if gpu is not None:
        from fmnist_tui.bench.gpu.markdown import format_report

        for line in format_report(gpu, facts).splitlines():
            console.line(line)


def _measure_gpu(
    args: argparse.Namespace, data_dir: Path, facts: dict[str, Any]
) -> GpuReport | None:
    """What is measured on the GPU, also written where the user wants it; None where all that this
    machine can is measured and it has no GPU. A UserError where that is all that is asked for."""
    from fmnist_tui.bench.gpu.markdown import format_report
    from fmnist_tui.bench.gpu.measure import PARTS, measure_gpu
    from fmnist_tui.bench.machine import NO_GPU

    if args.part not in ("gpu", "all"):
        return None
    if args.part == "all" and facts["gpu"] is None:
        console.note(f"gpu: skipped, {NO_GPU}")
        return None
    report = measure_gpu(data_dir, args.budget, console.note, args.only or PARTS)
    if args.markdown:
        atomic_write(expand_home(args.markdown), format_report(report, facts).encode())
    return report


def _print_throughput(throughput: Throughput) -> None:
    console.print_table(
        (
            *("model", ">batch", ">plain loop images/s", ">fmnist-tui images/s"),
            *(">ratio", ">precision", ">fp32 ratio"),
        ),
        [
            (
                row.model,
                row.batch,
                f"{row.plain:,.0f}",
                f"{row.ours:,.0f}",
                f"{row.ratio:.2f}×",
                row.precision,
                f"{row.ours_fp32 / row.plain:.2f}×",
            )
            for row in throughput.rows
        ],
    )
    console.line(f"peak memory of training: {throughput.memory_mb:,.0f} MB")


def _print_screen(cost: ScreenCost) -> None:
    torch = "already loaded" if cost.torch_before_paint else "not yet loaded"
    speeds = f"{cost.with_screen:,.0f} of {cost.headless:,.0f} images/s"
    output = "terminal output"
    console.print_table(
        ("dashboard", ">measured", ">budget"),
        [
            (f"first paint (torch {torch})", f"{cost.first_paint_s:.2f} s", "0.7 s"),
            *(
                (
                    f"key to paint while training, {keys.screen} ({keys.count} keys, median / p99)",
                    f"{keys.median_ms:.1f} / {keys.p99_ms:.0f} ms",
                    "20 / 100 ms",
                )
                for keys in cost.keys
            ),
            (
                f"training speed with the Train screen open ({speeds})",
                format_percent(cost.ratio, 1),
                "97 %",
            ),
            (f"{output} when idle", f"{cost.idle_bytes / 1000:.2f} KB/s", "1 KB/s"),
            (f"{output} while training", f"{cost.training_bytes / 1000:.2f} KB/s", "8 KB/s"),
            (
                f"{output} for a page of full-size thumbnails",
                f"{cost.page_bytes / 1000:.1f} KB",
                "40 KB",
            ),
            ("page flip", f"{cost.page_ms:.1f} ms", "50 ms"),
        ],
    )
