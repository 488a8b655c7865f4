"""What was measured on a GPU as Markdown tables, ready to be pasted into a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fmnist_tui.bench.gpu.accuracy_time import format_spread
from fmnist_tui.bench.gpu.measure import GpuReport
from fmnist_tui.bench.gpu.sides import OURS, PLAIN, TUNED


def format_report(report: GpuReport, machine: dict[str, Any]) -> str:
    """All tables, with the machine above and what was left out below."""
    about = (
        f"One {machine['gpu']} ({machine['gpu_memory_mb']:,} MiB, driver"
        f" {machine['driver'] or 'unknown'}), {machine['cores']} cores, Python"
        f" {machine['python']}, torch {machine['torch']}, {machine['date']}."
    )
    parts = [about, *_times(report), *_loops(report), *_dashboard(report), *_memory(report)]
    if report.left_out:
        parts.append("Not measured:\n\n" + "\n".join(f"- {each}" for each in report.left_out))
    return "\n\n".join(parts) + "\n"


def _times(report: GpuReport) -> Iterator[str]:
    if not report.times:
        return
    yield (
        "Time to an accuracy on the test split, in one process that has trained before. Warm"
        " seconds are those from the first step to usable weights, with validation and saving. The"
        " number of epochs was chosen on validation; each seed read the test split once."
    )
    yield _table(
        ("goal", "recipe", "epochs", ">seeds", ">test", ">warm seconds", ">in steps", "reached"),
        [
            (
                f"{100 * each.target.accuracy:g} % {each.target.dataset}",
                f"`{each.target.recipe}`",
                str(each.epochs),
                str(len(each.seconds)),
                f"{format_spread([100 * accuracy for accuracy in each.accuracies])} %",
                format_spread(each.seconds),
                format_spread(each.step_seconds),
                "yes" if each.is_reached else "no",
            )
            for each in report.times
        ],
    )


def _loops(report: GpuReport) -> Iterator[str]:
    if not report.loops:
        return
    yield (
        "Images per second in training steps, medians of windows in turns: the textbook loop, a"
        " tuned one (images on the device, channels-last, bf16, fused optimiser, `torch.compile`"
        " with CUDA graphs) and fmnist-tui; memory is the peak of tensors / reserved by torch."
    )
    rows = []
    for row in report.loops:
        speeds = {name: f"{side.median:,.0f}" for name, side in row.sides.items()}
        ours = row.sides.get(OURS)
        rows.append(
            (
                f"`{row.model}`",
                f"{row.batch:,}",
                *(speeds.get(name, "–") for name in (PLAIN, TUNED, OURS)),
                *(_ratio(row.ratio(name)) for name in (PLAIN, TUNED)),
                f"{ours.whole_median:,.0f}" if ours else "–",
                f"{ours.allocated_mb:,.0f} / {ours.reserved_mb:,.0f} MB"
                if ours and ours.allocated_mb is not None and ours.reserved_mb is not None
                else "–",
            )
        )
    headings = ("model", ">batch", ">plain", ">tuned", ">fmnist-tui", ">to plain", ">to tuned")
    yield _table((*headings, ">with validation and saving", ">memory"), rows)


def _dashboard(report: GpuReport) -> Iterator[str]:
    cost = report.dashboard
    if cost is None:
        return
    rows = [
        (
            f"key to paint, {keys.screen} ({keys.count} keys, median / p99)",
            f"{keys.median_ms:.1f} / {keys.p99_ms:.0f} ms",
        )
        for keys in cost.keys
    ]
    rows.append(("training speed with the Train screen open", f"{100 * cost.ratio:.1f} %"))
    yield _table(("dashboard while training on the GPU", ">measured"), rows)


def _memory(report: GpuReport) -> Iterator[str]:
    growth = report.memory
    if growth is None:
        return
    kinds = (
        ("resident", growth.resident_mb),
        ("tensors on the GPU", growth.allocated_mb),
        ("reserved on the GPU", growth.reserved_mb),
    )
    yield _table(
        ("memory in one process, MB", ">after the 2nd training", ">after the last", ">trainings"),
        [
            (name, f"{values[1]:,.0f}", f"{values[-1]:,.0f}", str(len(values)))
            for name, values in kinds
            if len(values) > 1
        ],
    )


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}×"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; columns whose heading begins with `>` are aligned to the right."""
    names = [heading.removeprefix(">") for heading in headings]
    rules = ["---:" if heading.startswith(">") else "---" for heading in headings]
    return "\n".join(f"| {' | '.join(row)} |" for row in (names, rules, *rows))
