"""Export a run's model to a file: ask for the format and the path, then start a job."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from fmnist_tui.engine.export.export_request import ONNX, PTH, SAFETENSORS
from fmnist_tui.runs import checkpoints
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.runs.actions import refuse_broken
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import NO_VALUE, format_size
from fmnist_tui.util.paths import expand_home, format_path
from fmnist_tui.util.text import safe_text

FORMATS = {"o": ONNX, "s": SAFETENSORS, "p": PTH}
CHOICES = [
    Choice("o", ONNX, "pixels to probabilities, for any runtime"),
    Choice("s", SAFETENSORS, "weights with metadata"),
    Choice("p", PTH, "weights for torch.load, metadata in a second file"),
]


async def export_run(screen: DashboardScreen, run: RunSummary) -> None:
    """Export the run's best checkpoint, in a background job."""
    refuse_broken(run)
    if not await screen.in_thread(partial(checkpoints.list_checkpoints, run.run)):
        raise UserError(f"{run_name(run)} has no checkpoint to export")
    dialog = ChoiceDialog(
        f"Export {run_name(run)}",
        "The file is read back and compared with the model on the test images.",
        CHOICES,
    )
    key = await screen.ask(dialog)
    if key is None:
        return
    file_format = FORMATS[key]
    default = run.run.exports / f"{run.run.id}.{file_format}"
    prompt = PromptDialog(
        f"Export {run_name(run)} as {file_format}",
        format_path(default),
        f"a path that ends in .{file_format}",
    )
    path = (await screen.ask(prompt) or "").strip()
    if not path:
        return
    out = expand_home(path).absolute()
    options = []
    # Path.is_file raises for names that are too long and folders that cannot be read.
    if os.path.isfile(out):  # noqa: PTH113
        dialog = ChoiceDialog(
            "Overwrite the file?",
            f"{format_path(out)} exists already.",
            [Choice("n", "cancel"), Choice("y", "overwrite")],
        )
        if await screen.ask(dialog) != "y":
            return
        options = [f"--out={out}", "--force"]
    elif out != default.absolute():
        # The command creates the folder of the default path only.
        options = [f"--out={out}"]
    context = screen.context
    words = ["export", str(run.run.path.absolute()), f"--to={file_format}"]
    words += [f"--data={context.app_state.data_dir}", *options]
    context.start_job(
        f"export {safe_text(run.run.id)}",
        words,
        lambda document: context.notify(export_summary(document)),
    )


def export_summary(document: Any) -> str:
    """The result of an export in one line, from the JSON document of the command."""
    parity = document["parity"]
    difference = parity["largest_difference"]
    latency = ", ".join(
        f"{runtime} {times['1']:.2f} ms for 1 image, {times['64']:.1f} ms for 64"
        for runtime, times in document["latency_ms"].items()
    )
    return (
        f"{format_path(Path(document['file']))}: {format_size(document['size'])}, same class for"
        f" {parity['same_labels']:,} of {parity['count']:,} {parity['split']} images, probabilities"
        f" within {NO_VALUE if difference is None else f'{difference:.1e}'}; {latency}"
    )
