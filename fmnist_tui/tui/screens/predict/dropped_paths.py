"""What terminals paste for dropped or copied files, as paths.

Some quote a name, some put backslashes before its spaces, file managers give URLs, and a
path that was merely copied has nothing of the kind.
"""

from __future__ import annotations

import re
import shlex
from urllib.parse import unquote, urlsplit

_URL = "file://"
_BEGINNING = re.compile(r"""['"]?(?:~?/|\.{1,2}/|file://)""")
# Between paths that are neither quoted nor escaped: a blank before what begins another.
_BETWEEN = re.compile(r"\s+(?=~?/|file://)")


def is_drop(text: str) -> bool:
    """Whether a paste is whole paths rather than a piece of one."""
    return bool(_BEGINNING.match(text.strip()))


def paths(text: str) -> list[str]:
    """The paths in a paste, each once, in their order."""
    found: dict[str, None] = {}
    for line in text.replace("\r", "\n").split("\n"):
        if line.strip():
            found.update(dict.fromkeys(map(_local, _parts(line.strip()))))
    return [path for path in found if path]


def _parts(line: str) -> list[str]:
    if "'" in line or '"' in line or "\\" in line:
        try:
            return shlex.split(line)
        except ValueError:
            pass  # an apostrophe in a name that nobody has quoted
    return _BETWEEN.split(line)


def _local(part: str) -> str:
    """The path behind a file URL of this machine; anything else as it is."""
    if not part.startswith(_URL):
        return part
    try:
        url = urlsplit(part)
    except ValueError:
        return part
    if url.netloc not in ("", "localhost"):
        return part
    # What follows a ? or # belongs to a name that was not encoded.
    rest = part[len(_URL) + len(url.netloc) :]
    return unquote(rest, errors="surrogateescape")
