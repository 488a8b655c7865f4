"""What a screen gives to copy, and the menu that copies it to the terminal's clipboard."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.util import paths
from fmnist_tui.util.formatting import format_count, format_size
from fmnist_tui.util.text import safe_text

# Many terminals ignore a clipboard of more than 100,000 characters, in base64.
MOST_BYTES = 74_000
_PREVIEW = 46


@dataclass(frozen=True, slots=True)
class CopyTable:
    """A table as text."""

    headings: Sequence[str]
    rows: Sequence[Sequence[object]]

    def to_tsv(self) -> str:
        """Lines of cells between tabs, for a spreadsheet."""
        return "\n".join("\t".join(map(safe_text, row)) for row in (self.headings, *self.rows))

    def to_markdown(self) -> str:
        rules = ["---"] * len(self.headings)
        return "\n".join(
            f"| {' | '.join(safe_text(cell).replace('|', chr(92) + '|') for cell in row)} |"
            for row in (self.headings, rules, *self.rows)
        )


@dataclass(frozen=True, slots=True)
class ToCopy:
    """What can be copied from a screen as it is; what is empty is not offered.

    `value` is what is under the cursor, `path` that of the run, `command` the words after
    `fmnist-tui` that repeat what the screen shows."""

    value: str = ""
    table: CopyTable | None = None
    path: Path | None = None
    command: Sequence[object] = ()


def repeat_command(
    app_state: AppState, *words: object, runs: bool = True, data: bool = False
) -> list[str]:
    """The words of a command that reads the same folders as this dashboard."""
    command = [str(word) for word in words]
    if runs and _is_elsewhere(app_state.runs_dir, paths.runs_dir()):
        command.append(f"--runs={app_state.runs_dir.absolute()}")
    if data and _is_elsewhere(app_state.data_dir, paths.data_dir()):
        command.append(f"--data={app_state.data_dir.absolute()}")
    return command


def _is_elsewhere(folder: Path, default: Path) -> bool:
    return os.path.abspath(folder) != os.path.abspath(default)  # noqa: PTH100 - follows no link


async def choose_and_copy(context: DashboardContext, to_copy: ToCopy) -> None:
    """Let the user choose one of these texts, and copy it; a toast says what."""
    offers = list(_offers(to_copy))
    if not offers:
        context.notify("nothing to copy here yet", "warning")
        return
    choices = [choice for choice, _ in offers]
    question = "to the clipboard, if the terminal allows it"
    key = await context.ask(ChoiceDialog("Copy", question, choices))
    for choice, text in offers:
        if choice.key == key:
            _copy(context, choice, text)


def _offers(to_copy: ToCopy) -> Iterator[tuple[Choice, str]]:
    """The keys, names and texts that are offered."""
    if to_copy.value:
        value = safe_text(to_copy.value)
        yield Choice("v", "value", safe_text(value, _PREVIEW)), value
    if to_copy.table is not None and to_copy.table.rows:
        rows = format_count(len(to_copy.table.rows), "row")
        yield Choice("t", "table", f"{rows}, between tabs"), to_copy.table.to_tsv()
        yield Choice("m", "table", f"{rows}, as Markdown"), to_copy.table.to_markdown()
    # In a shell, what is not shown may do something.
    if to_copy.path is not None and safe_text(path := to_copy.path.absolute()) == str(path):
        yield Choice("p", "path", safe_text(path.name, _PREVIEW)), str(path)
    command = shlex.join(["fmnist-tui", *map(str, to_copy.command)])
    if to_copy.command and safe_text(command) == command:
        start = " ".join(map(str, to_copy.command))
        about = start if len(start) <= _PREVIEW else f"{start[: _PREVIEW - 1]}…"
        yield Choice("c", "command", about), command


def _copy(context: DashboardContext, choice: Choice, text: str) -> None:
    size = len(text.encode("utf-8", "replace"))
    if size > MOST_BYTES:
        sizes = f"{format_size(size)}, a terminal takes {format_size(MOST_BYTES)}"
        context.notify(f"not copied: the {choice.name} has {sizes}", "error")
        return
    context.copy_to_clipboard(text)
    what = choice.about if "\n" in text else safe_text(text, 120)
    context.notify(f"copied, if the terminal allows it: {what}")
