"""`runs rename`, `runs tag` and `runs note`: what the user says about a run."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.runs.notes import RunNotes, change_notes, format_tags, split_tags
from fmnist_tui.util.text import safe_text


def add_arguments(action: str, parser: argparse.ArgumentParser) -> None:
    if action == "tag":
        about = "tags to add; without any the run's tags are printed"
        parser.add_argument("tags", nargs="*", metavar="TAG", help=about)
        parser.add_argument("--remove", action="store_true", help="remove these tags instead")
    else:
        what = {"rename": "name", "note": "note"}[action]
        about = f'the {what}, in quotes if it has spaces; "" removes it'
        parser.add_argument("text", metavar=what.upper(), help=about)


def notes_to_json(notes: RunNotes) -> dict[str, Any]:
    return {**console.pick(notes, "name", "note"), "tags": list(notes.tags)}


def print_notes(notes: RunNotes) -> None:
    """Print the tags and the note, if there are any, and why they cannot be read."""
    for text in (format_tags(notes), notes.note, notes.problem):
        if text:
            console.line(safe_text(text))


def _rename(args: argparse.Namespace) -> None:
    folder = options.find_run(args)
    changed = change_notes(folder, lambda notes: notes.renamed(args.text))
    name = f'is called "{changed.name}"' if changed.name else "has no name of its own any more"
    _print_done(args, folder.name, changed, name)


def _tag(args: argparse.Namespace) -> None:
    folder = options.find_run(args)
    tags = [tag for text in args.tags for tag in split_tags(text)]
    changed = change_notes(folder, partial(_change_tags, tags=tags, remove=args.remove))
    _print_done(args, folder.name, changed, format_tags(changed) or "no tags")


def _change_tags(notes: RunNotes, *, tags: list[str], remove: bool) -> RunNotes:
    if not remove:
        return notes.with_tags([*notes.tags, *tags])
    removed = {tag.removeprefix("#").lower() for tag in tags}
    return notes.with_tags(tag for tag in notes.tags if tag.lower() not in removed)


def _note(args: argparse.Namespace) -> None:
    folder = options.find_run(args)
    changed = change_notes(folder, lambda notes: notes.with_note(args.text))
    _print_done(args, folder.name, changed, changed.note or "no note any more")


def _print_done(args: argparse.Namespace, run: str, notes: RunNotes, message: str) -> None:
    console.print_done(args.json, {"run": run, **notes_to_json(notes)}, f"{run}: {message}")


ACTIONS: options.Actions = {
    "rename": ("give a run a name of its own; its folder and id stay", _rename),
    "tag": ("add tags to a run, or remove them; without tags print them", _tag),
    "note": ("write a note on a run", _note),
}
