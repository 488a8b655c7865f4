"""What the user says about a run: a name, tags and a note, in a small file of its own.

It is no part of the record of the training: nothing that trains reads or writes it. It moves with
the run's folder into the archive and back, and a resumed run keeps it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UsageError, UserError, format_error
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.text import safe_text
from fmnist_tui.util.text_file import read_text

NOTES_FILE = "notes.json"
NAME_LIMIT, TAG_LIMIT, NOTE_LIMIT, MAX_TAGS = 40, 24, 500, 10

_TAG = re.compile(r"\w[\w.:+-]*")


@dataclass(frozen=True, slots=True)
class RunNotes:
    """A run's own name, its tags and a note; empty ones are not given.

    `problem` says why the file cannot be read."""

    name: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    problem: str = ""

    def renamed(self, name: str) -> RunNotes:
        """With another name; a UsageError if it cannot be one."""
        name = _one_line(name, "a name", NAME_LIMIT)
        if name.lower() == "last" or "/" in name or name.startswith(("~", ".", "-")):
            raise UsageError('a name cannot be "last", begin with ~ . or -, or contain /')
        return replace(self, name=name)

    def with_tags(self, tags: Iterable[str]) -> RunNotes:
        """With these tags instead; a UsageError if one cannot be one."""
        words: dict[str, str] = {}
        for tag in tags:
            word = _one_line(tag, "a tag", TAG_LIMIT).removeprefix("#")
            if not _TAG.fullmatch(word):
                shown = safe_text(tag, TAG_LIMIT)
                raise UsageError(f'"{shown}": a tag is a word of letters, digits and . : + - _')
            words.setdefault(word.lower(), word)
        if len(words) > MAX_TAGS:
            raise UsageError(f"a run can have at most {MAX_TAGS} tags, not {len(words)}")
        return replace(self, tags=tuple(words.values()))

    def with_note(self, note: str) -> RunNotes:
        """With another note; a UsageError if it is too long or not a line."""
        return replace(self, note=_one_line(note, "a note", NOTE_LIMIT))


NO_NOTES = RunNotes()


def split_tags(text: str) -> list[str]:
    """The words of a line of tags, between spaces or commas."""
    return text.replace(",", " ").split()


def format_tags(notes: RunNotes) -> str:
    """The tags as `#baseline #good`."""
    return " ".join(f"#{tag}" for tag in notes.tags)


def read_notes(folder: RunFolder) -> RunNotes:
    """The notes of a run. A file that is damaged or not ours makes `problem`, and no error."""
    try:
        return _parse(read_text(folder.path / NOTES_FILE))
    except FileNotFoundError:
        return RunNotes()
    except OSError as error:
        reason = format_error(error)
    except (ValueError, RecursionError, UserError) as error:
        reason = str(error)
    return RunNotes(problem=f"{NOTES_FILE} cannot be used: {safe_text(reason, 80)}")


def _parse(text: str) -> RunNotes:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    name, tags, note = (
        document.get(key, default) for key, default in (("name", ""), ("tags", []), ("note", ""))
    )
    if not (isinstance(name, str) and isinstance(tags, list) and isinstance(note, str)):
        raise ValueError("name and note must be text, and tags a list")
    return RunNotes().renamed(name).with_tags(map(str, tags)).with_note(note)


def change_notes(folder: RunFolder, change: Callable[[RunNotes], RunNotes]) -> RunNotes:
    """Change the notes on the disk, whatever another process has written there meanwhile.

    A UserError if the run is gone, or its notes cannot be read or written: then they stay."""
    gone = UserError(f"the run {safe_text(folder.name)} is gone: deleted or moved")
    if not folder.path.is_dir():
        raise gone
    try:
        with locked(folder.path):
            notes = read_notes(folder)
            if notes.problem:
                raise UserError(f"{safe_text(folder.name)}: {notes.problem}; mend or delete it")
            changed = change(notes)
            if changed != notes:
                _write(folder.path / NOTES_FILE, changed)
    except FileNotFoundError:
        raise gone from None
    except OSError as error:
        raise UserError(
            f"cannot write {safe_text(folder.path / NOTES_FILE)}: {format_error(error)}"
        ) from error
    return changed


def _write(path: Path, notes: RunNotes) -> None:
    values = {key: value for key, value in asdict(notes).items() if value and key != "problem"}
    if values:
        atomic_write(path, json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n")
    else:
        path.unlink(missing_ok=True)


def _one_line(text: str, what: str, limit: int) -> str:
    """The text without spaces around it, if it is a line that any terminal can show."""
    text = text.strip()
    if len(text) > limit:
        raise UsageError(f"{what} has at most {limit} characters, not {len(text):,}")
    if safe_text(text) != text:
        raise UsageError(f"{what} cannot contain control or invisible characters")
    return text
