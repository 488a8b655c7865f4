"""Dialogs for the name, the tags and the note of a run."""

from __future__ import annotations

from functools import partial

from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.runs.notes import RunNotes, change_notes, split_tags
from fmnist_tui.tui.base.dialogs import PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.runs.actions import first_problem
from fmnist_tui.tui.shared.run_names import run_name


async def describe_run(screen: DashboardScreen, run: RunSummary, what: str) -> None:
    """Ask for the `name`, the `tags` or the `note` of a run, and write it. UserError."""
    notes, name = run.notes, run_name(run)
    title, value, hint, change = {
        "rename": (f"Name of {name}", notes.name, "empty: the recipe", RunNotes.renamed),
        "tag": (f"Tags of {name}", " ".join(notes.tags), "words, such as: baseline", _with_tags),
        "note": (f"Note on {name}", notes.note, "a line", RunNotes.with_note),
    }[what]
    text = await screen.ask(
        PromptDialog(title, value, hint, validate=first_problem(partial(change, notes)))
    )
    if text is not None and text != value:
        await screen.in_thread(lambda: change_notes(run.run, lambda now: change(now, text)))


def _with_tags(notes: RunNotes, text: str) -> RunNotes:
    return notes.with_tags(split_tags(text))
