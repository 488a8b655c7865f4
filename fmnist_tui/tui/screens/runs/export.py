"""Taking a run's model away as a file: as what, where to, and what came of it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from fmnist_tui.engine.export.export_request import ONNX, PTH, SAFETENSORS
from fmnist_tui.runs import checkpoints
from fmnist_tui.runs.checkpoints import CheckpointEntry
from fmnist_tui.runs.listing import BROKEN, RunSummary
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.util.formatting import NO_VALUE, format_size
from fmnist_tui.util.paths import expand_home, format_path
from fmnist_tui.util.text import safe_text

FORMS = {"o": ONNX, "s": SAFETENSORS, "p": PTH}
CHOICES = [
    Choice("o", ONNX, "pixels to probabilities; for any runtime"),
    Choice("s", SAFETENSORS, "the weights with their facts"),
    Choice("p", PTH, "the weights for torch.load, facts beside"),
]


def export_run(screen: DashboardScreen, run: RunSummary) -> None:
    """Ask what is needed, then export the run's best checkpoint."""
    if run.state == BROKEN:
        screen.notify_error(f"{run_name(run)} is broken: {safe_text(run.reason)}")
        return

    def listed(found: list[CheckpointEntry]) -> None:
        if not found:
            screen.notify_error(f"{run_name(run)} has no checkpoint to export")
            return
        question = ChoiceDialog(
            f"Export {run_name(run)}",
            "The file is read back and compared with the model on the test images.",
            CHOICES,
        )
        screen.over(question, chosen)

    def chosen(key: str | None) -> None:
        if key is not None:
            _ask_where(screen, run, FORMS[key])

    screen.later(partial(checkpoints.kept, run.run), listed, group="export")


def _ask_where(screen: DashboardScreen, run: RunSummary, to: str) -> None:
    usual = run.run.exports / f"{run.run.id}.{to}"

    def named(text: str | None) -> None:
        if text is None or not text.strip():
            return
        out = expand_home(text.strip()).absolute()
        # Path's own raises where a name is overlong or a folder is closed.
        if os.path.isfile(out):  # noqa: PTH113
            screen.over(
                ChoiceDialog(
                    "Overwrite it?",
                    f"{format_path(out)} exists already.",
                    [Choice("y", "overwrite"), Choice("n", "leave it")],
                ),
                lambda key: _export(screen, run, to, out, True) if key == "y" else None,
            )
        else:
            _export(screen, run, to, None if out == usual.absolute() else out, False)

    title = f"Export {run_name(run)} as {to}"
    screen.over(PromptDialog(title, format_path(usual), f"a path that ends in .{to}"), named)


def _export(
    screen: DashboardScreen, run: RunSummary, to: str, out: Path | None, force: bool
) -> None:
    """`out` is None for the usual place, whose folder the command makes."""
    context, app_state = screen.context, screen.app_state
    words = ["export", str(run.run.path.absolute()), f"--to={to}", f"--data={app_state.data_dir}"]
    words += [f"--out={out}"] if out is not None else []
    words += ["--force"] if force else []
    context.start_job(
        f"export {safe_text(run.run.id)}", words, lambda found: context.notify(told(found))
    )


def told(found: Any) -> str:
    """What came of an export, in a line, from the command's document."""
    parity, latency = found["parity"], found["latency_ms"]
    apart = parity["largest_difference"]
    times = ", ".join(
        f"{who} {times['1']:.2f} ms for one, {times['64']:.1f} for 64"
        for who, times in latency.items()
    )
    return (
        f"{format_path(Path(found['file']))}: {format_size(found['size'])},"
        f" {parity['same_labels']:,} of {parity['count']:,} {parity['split']} images as here,"
        f" probabilities within {NO_VALUE if apart is None else f'{apart:.1e}'}; {times}"
    )
