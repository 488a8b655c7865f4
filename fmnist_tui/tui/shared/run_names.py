"""Short names of runs for lists, titles and messages."""

from __future__ import annotations

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.util.text import safe_text


def run_name(summary: RunSummary) -> str:
    """Recipe (after the kind, unless the run is a training) and id: `two-conv 7f3a`."""
    return safe_text(f"{summary.title} {summary.run.id}".strip())


def run_name_from_folder(folder: RunFolder) -> str:
    """The same, from the folder's name alone."""
    parts = folder.name.split("_")
    recipe = parts[2] if len(parts) == 5 and parts[4] == folder.id else ""
    return safe_text(f"{recipe} {folder.id}".strip(), 40)
