"""Errors that are reported to the user in one line, without a traceback."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable

from fmnist_tui.util.text import safe_text

ERROR_PREFIX = "fmnist-tui: "
"""Starts each error line that a command prints."""
# A longer path, as in "File name too long", is shortened.
_MAX_PATH = 300


class UserError(Exception):
    """An error that the user can fix: the message says what, where, and what to do.

    The message is one line. Commands print it and exit with `exit_code`; screens show it.
    """

    exit_code = 1


class UsageError(UserError):
    """Invalid arguments or settings."""

    exit_code = 2


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean "x"?` with the choices similar to `word`; empty if there are none."""
    by_lower_case = {choice.lower(): choice for choice in choices}
    matches = difflib.get_close_matches(word.lower(), by_lower_case, n=3, cutoff=0.5)
    if not matches:
        return ""
    suggestions = " or ".join(f'"{safe_text(by_lower_case[match])}"' for match in matches)
    return f"; did you mean {suggestions}?"


def format_unexpected_error(error: BaseException) -> str:
    """The type and the message of an exception, in one line."""
    return f"{type(error).__name__}: {format_error(error)}"


def format_error(error: BaseException) -> str:
    """The message of an exception as one safe line; for OSError the message of the system."""
    if isinstance(error, OSError) and error.strerror:
        name = error.filename
        if isinstance(name, bytes):
            name = os.fsdecode(name)
        where = f": {safe_text(name, _MAX_PATH)}" if name else ""
        return safe_text(error.strerror) + where
    return safe_text(" ".join(str(error).split())) or type(error).__name__
