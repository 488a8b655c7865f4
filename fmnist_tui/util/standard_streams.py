"""The standard streams, usable however the program was started."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from fmnist_tui.util.ascii_text import similar_ascii

_SIMILAR_ASCII = "similar-ascii"


def prepare_streams() -> None:
    """Replace closed streams, and the characters that an encoding does not have. Call this
    before any file is opened."""
    # In the order of their descriptors: each file takes the lowest free one, which would
    # otherwise be that of the next file, for libraries to print into.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            _replace_closed(name, mode)
    codecs.register_error(_SIMILAR_ASCII, _encode_similar)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors=_SIMILAR_ASCII)  # type: ignore[union-attr]


def discard_output(stream: TextIO) -> None:
    """Have all further output of a stream discarded: its reader is gone, or its disk is full."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("wb") as devnull:
        os.dup2(devnull.fileno(), stream.fileno())


def _replace_closed(name: str, mode: str) -> None:
    stream: Any = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115
    # Processes that are started have the same streams.
    os.set_inheritable(stream.fileno(), True)
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def _encode_similar(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(map(similar_ascii, missing)), error.end
