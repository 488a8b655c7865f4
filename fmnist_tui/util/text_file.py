"""Reads small text files that a user names or edits: none that blocks or has no end."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

SIZE_LIMIT = 1 << 20
"""Bytes; a file of settings has some thousand."""


# A key of many parts, which takes tomllib time and memory that grow with their square.
_DEEP_KEY = re.compile(
    r"""(?<![\w-])(?:(?>[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*+\.[ \t]*+){50}""", re.ASCII
)
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_text(path: Path) -> str:
    """The text of a regular file; an OSError or a ValueError says why there is none.

    A byte order mark is left out. Bytes that are not UTF-8 become surrogates."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise ValueError(f"it is {kind}, not a regular file")
    # If a pipe or device replaces the file meanwhile, opening it must not block.
    descriptor = os.open(path, _FLAGS)
    try:
        # In parts: asking for as much as is allowed at once makes room for it, each time.
        data = b""
        while len(data) <= SIZE_LIMIT and (part := os.read(descriptor, 1 << 16)):
            data += part
    finally:
        os.close(descriptor)
    if len(data) > SIZE_LIMIT:
        raise ValueError(f"it is larger than {SIZE_LIMIT >> 20} MB")
    return data.decode("utf-8-sig", "surrogateescape")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; an OSError or a ValueError says why there are none."""
    return parse_toml(read_text(path))


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text; a ValueError says where it is wrong."""
    if _DEEP_KEY.search(text):
        raise ValueError("its tables are nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("its tables are nested too deeply") from None
