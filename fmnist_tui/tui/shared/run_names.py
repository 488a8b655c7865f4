"""Short names of runs for lists, titles and messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fmnist_tui.protocol.events import ENSEMBLE, TRAIN
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text


def run_name(summary: RunSummary) -> str:
    """Recipe (after the kind, unless the run is a training) and id: `two-conv 7f3a`."""
    return safe_text(f"{summary.title} {summary.run.id}".strip())


def run_name_from_folder(folder: RunFolder) -> str:
    """The same, from the folder's name alone."""
    parts = folder.name.split("_")
    recipe = parts[2] if len(parts) == 5 and parts[4] == folder.id else ""
    return safe_text(f"{recipe} {folder.id}".strip(), 40)


def command_refusal(kind: str, name: str) -> str:
    """Why a run of this kind obeys no command; empty if it does."""
    return (
        f"{name} is an ensemble: cancel its job ({key_name('app.jobs')})"
        if kind == ENSEMBLE
        else ""
    )


def stopping_message(kind: str) -> str:
    """What happens when a run of this kind is stopped."""
    return "saving a checkpoint and stopping" if kind == TRAIN else "stopping"


def ensemble_summary(document: Any) -> str:
    """`ensemble 7f3a: val 95.12 % of 10,000, test 94.40 % of 10,000; now selected`."""
    splits = [
        f"{split} {format_percent(document[split]['accuracy'])} of {document[split]['count']:,}"
        for split in ("val", "test")
        if document[split]
    ]
    name = RunFolder(Path(document["path"])).id
    return f"ensemble {safe_text(name)}: {', '.join(splits)}; now selected"
