"""Standard output for results, standard error for everything else."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from rich.console import Console

    from fmnist_tui.render.ansi import Colours


FILE_WIDTH = 200


def error(message: str) -> None:
    """Say what is wrong, a line for each thing."""
    for line in message.splitlines():
        print(f"fmnist-tui: {safe_text(line)}", file=sys.stderr)


def note(message: str) -> None:
    """Say something that is no result."""
    print(safe_text(message), file=sys.stderr, flush=True)


def document(value: Any) -> None:
    """The one JSON document of a command called with --json."""
    print(json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False))


@cache
def console(stderr: bool = False) -> Console:
    """Rich's console on standard output, or standard error; plain where it is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # A file has no width; tables are not cut for its sake.
    width = None if stream.isatty() else FILE_WIDTH
    return Console(stderr=stderr, highlight=False, soft_wrap=False, width=width)


def unicode() -> bool:
    """Whether standard output can show more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") in ("utf8", "utf16", "utf32")


def colours() -> Colours:
    """What standard output can show: truecolor, 256, 16 or none."""
    if not sys.stdout.isatty() or console().no_color:
        return "none"
    known: dict[str, Colours] = {"truecolor": "truecolor", "256": "256", "standard": "16"}
    return known.get(console().color_system or "", "none")


def percent(share: float | None, digits: int = 2) -> str:
    """A fraction as people read it."""
    return "–" if share is None else f"{share * 100:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """Seconds as 0:42 or 1:02:03."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
