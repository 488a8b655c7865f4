"""What goes wrong through no fault of the program, said in one line."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable

from fmnist_tui.util.text import safe_text

ERROR_PREFIX = "fmnist-tui: "
"""Begins each line that a command prints about an error."""


class UserError(Exception):
    """Something given or found cannot be used: says what, where, and what to do.

    The message is one line. The commands print it without a traceback and leave
    with `exit_code`; the screens show it in place.
    """

    exit_code = 1


class UsageError(UserError):
    """The command itself was put wrongly."""

    exit_code = 2


def did_you_mean(word: str, known: Iterable[str], limit: int = 3) -> str:
    """`; did you mean "x"?` for the known words close to `word`, or nothing."""
    lowered = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(word.lower(), lowered, n=limit, cutoff=0.5)
    if not matches:
        return ""
    names = (safe_text(lowered[match]) for match in matches)
    return "; did you mean " + " or ".join(f'"{name}"' for name in names) + "?"


def reason(error: BaseException) -> str:
    """An exception as one safe line: the system's own words where it has any."""
    if isinstance(error, OSError) and error.strerror:
        name = error.filename
        if isinstance(name, bytes):
            name = os.fsdecode(name)
        return safe_text(f"{error.strerror}: {name}" if name else error.strerror)
    return safe_text(" ".join(str(error).split())) or type(error).__name__
