"""Standard output for results, standard error for everything else.

Only this module prints: it makes text safe to show, and no text is ever markup."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

from fmnist_tui.util.errors import ERROR_PREFIX
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from fmnist_tui.render.ansi import Colours

# Tables written to a file or pipe get this width, so that nothing is cut off.
FILE_WIDTH = 200


_is_plain = _is_silent = False


def use_plain() -> None:
    """From now on print to a terminal as to a file: no colours, no bars, no charts."""
    global _is_plain
    _is_plain = True
    console.cache_clear()


def is_plain() -> bool:
    return _is_plain


def silence() -> None:
    """From now on print nothing but results: another process speaks for this one."""
    global _is_silent
    _is_silent = True


def is_terminal(stream: TextIO) -> bool:
    """Whether what is written there may be coloured, and drawn again."""
    return stream.isatty() and not _is_plain


def line(text: str = "") -> None:
    """Print a line of a result."""
    print(safe_text(text), flush=True)


def drawing(lines: Iterable[str]) -> None:
    """Print lines with codes for colours, whose text is safe to show."""
    for drawn in lines:
        print(drawn)


def error(message: str) -> None:
    """Print an error, each of its lines with the program's name in front."""
    for part in message.splitlines():
        note(f"{ERROR_PREFIX}{part}")


def note(message: str) -> None:
    """Print something that is not a result."""
    if _is_silent:
        return
    print(safe_text(message), file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print the single JSON document of a command run with --json; NaN and infinity as null."""
    plain = json.loads(json.dumps(value), parse_constant=lambda _: None)
    print(json.dumps(plain, indent=2))


def print_csv(values: Iterable[object]) -> None:
    """Print a row of CSV: a file gets names as they are, a terminal none that control it."""
    is_shown = sys.stdout.isatty()
    row = (safe_text(value) if is_shown and isinstance(value, str) else value for value in values)
    csv.writer(sys.stdout).writerow(row)
    sys.stdout.flush()


@contextlib.contextmanager
def results_of_a_run() -> Iterator[None]:
    """In this block, a reader that has left (`| head -1`) ends nothing: a run is worth more than
    what is printed about it."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        note("the reader of the results has left; `fmnist-tui runs show last` shows them")


def attract(terminal: str, text: str) -> None:
    """Ring the terminal or have it show a notification, as the user has set."""
    from fmnist_tui.config.notifications import BELL, NOTIFICATION
    from fmnist_tui.tui.terminal import osc

    sequences = {BELL: osc.BELL, NOTIFICATION: osc.notification_sequence(text)}
    if terminal in sequences and sys.stderr.isatty():
        sys.stderr.write(sequences[terminal])
        sys.stderr.flush()


def pick(value: object, *names: str) -> dict[str, Any]:
    """Attributes of a value under their own names, for a JSON document."""
    return {name: getattr(value, name) for name in names}


def print_done(as_json: bool, document: dict[str, Any], message: str) -> None:
    """Print what a command did: a JSON document, or a message."""
    if as_json:
        print_json(document)
    else:
        note(message)


@cache
def console(stderr: bool = False) -> Console:
    """Rich's console on standard output or standard error; plain text where it is no terminal."""
    from rich.console import Console

    class PipeConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would end the program

    stream = sys.stderr if stderr else sys.stdout
    width = None if is_terminal(stream) else FILE_WIDTH
    return PipeConsole(
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        width=width,
        force_terminal=False if _is_plain else None,
    )


def create_table(
    headings: Iterable[str],
    rows: Iterable[Iterable[object]],
    *,
    fold: bool = False,
    no_wrap: bool = False,
    whole_ids: bool = False,
) -> Table:
    """A table without a frame; columns whose heading starts with `>` are right-aligned. Words
    wider than their column are folded, or cut; not in the first one with `whole_ids`."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(
            Text(safe_text(heading.removeprefix(">"))),
            justify="right" if heading.startswith(">") else "left",
            overflow="fold" if fold else "ellipsis",
            no_wrap=no_wrap,
        )
    for row in rows:
        cells = (cell if isinstance(cell, Text) else Text(safe_text(cell)) for cell in row)
        table.add_row(*cells)
    if whole_ids:
        ids = table.columns[0]
        ids.min_width = max(cell_len(str(cell)) for cell in (ids.header, *ids.cells))
    return table


def print_table(headings: Iterable[str], rows: Iterable[Iterable[object]], **options: bool) -> None:
    console().print(create_table(headings, rows, **options), crop=False)


def has_unicode() -> bool:
    """Whether standard output can show more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") in ("utf8", "utf16", "utf32")


def colour_depth() -> Colours:
    """The colours that standard output can show: truecolor, 256, 16 or none."""
    if not is_terminal(sys.stdout) or console().no_color:
        return "none"
    depths: dict[str, Colours] = {"truecolor": "truecolor", "256": "256", "standard": "16"}
    return depths.get(console().color_system or "", "none")
