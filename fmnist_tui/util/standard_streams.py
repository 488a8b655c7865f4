"""The standard streams, usable however the program was started."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any

from fmnist_tui.util.ascii_text import similar_ascii
from fmnist_tui.util.errors import UserError, format_error

SIMILAR_ASCII = "similar-ascii"
TRUE_BYTES = "true-bytes"


def prepare_streams() -> None:
    """Replace streams that are closed, characters that an encoding does not have, and streams
    whose failure nobody would see. Call this before any file is opened.

    A result in a file or pipe has the true bytes of names that are not in any encoding."""
    # In the order of their descriptors: each file takes the lowest free one, which would
    # otherwise be that of the next file, for libraries to print into.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            # Processes that are started have the same streams.
            os.set_inheritable(descriptor, True)
            stream = os.fdopen(descriptor, mode, encoding="utf-8", closefd=False)
            _set_stream(name, stream)
    register_error_handlers()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # A result that cannot be written is an error; not a note, or output of which nobody
        # would be told, because the terminal is gone.
        is_lenient = name == "stderr" or stream.isatty()
        errors = SIMILAR_ASCII if is_lenient else TRUE_BYTES
        kind = _LenientFile if is_lenient else _ResultFile
        file = io.BufferedWriter(kind(stream.fileno(), "w", closefd=False))
        _set_stream(
            name, io.TextIOWrapper(file, stream.encoding, errors, line_buffering=is_lenient)
        )


def register_error_handlers() -> None:
    """Make the two ways known in which the streams write what their encoding does not have."""
    codecs.register_error(SIMILAR_ASCII, _encode_similar)
    codecs.register_error(TRUE_BYTES, _encode_true_bytes)


class _LenientFile(io.FileIO):
    """What cannot be written is lost: a training goes on."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


class _ResultFile(io.FileIO):
    """What cannot be written is an error, once: all further output is lost."""

    _has_failed = False

    def write(self, data: Any, /) -> int:
        if self._has_failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError:
            # Whoever reads has seen enough.
            self._has_failed = True
            raise
        except OSError as error:
            self._has_failed = True
            why = f"standard output cannot be written: {format_error(error)}"
            raise UserError(why) from error


def _set_stream(name: str, stream: Any) -> None:
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def _encode_similar(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(map(similar_ascii, missing)), error.end


def _encode_true_bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    """The byte of a file's name that `os.fsdecode` could not read; else a similar character."""
    if isinstance(error, UnicodeEncodeError) and 0xDC80 <= ord(error.object[error.start]) <= 0xDCFF:
        return os.fsencode(error.object[error.start]), error.start + 1
    return _encode_similar(error)
