"""Images that a user names: a typed path, a folder, pasted or dropped files; path completion.

Terminals paste dropped files as quoted names or with escaped blanks, file managers as URLs.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from fmnist_tui.config.dataset_catalog import IMAGE_SUFFIXES
from fmnist_tui.data.images.image_folder import list_images
from fmnist_tui.tui.screens.predict.results import MAX_FILES
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text, without_controls

IMAGE_KINDS = "PNG, JPEG, WebP, BMP, GIF, TIFF"
# Completion reads at most this many names of a folder.
_MAX_SCANNED = 20_000
_URL = re.compile(r"file://(?:localhost)?(?=/)")
_PATH_START = re.compile(r"""['"]?(?:~?/|\.{1,2}/|file://)""")
# An unquoted path may contain blanks: they separate two paths only before the start of another.
_SEPARATOR = re.compile(r"\s+(?=~?/|file://)")


@dataclass(frozen=True, slots=True)
class ImageInput:
    """Files to predict, and their `folder` if one was given."""

    files: tuple[Path, ...]
    folder: Path | None = None
    note: str = ""


def parse_input(text: str) -> ImageInput:
    """The files that a typed path or a paste names; a folder stands for its images.

    A file need not exist: predicting it reports that. Raises UserError for a folder that
    cannot be read, and where there are no files."""
    line = text.strip()
    paths = [expand_home(name) for name in ([line] if _exists(line) else parse_paths(text))]
    if not paths:
        raise UserError("no path given; enter an image file or a folder")
    folder = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    files: dict[Path, None] = {}
    for path in paths:
        files.update(dict.fromkeys(list_images(path) if path.is_dir() else [path]))
    if not files:
        where = safe_text(folder) if folder else "these folders"
        raise UserError(f"no images in {where} ({IMAGE_KINDS})")
    note = f"the first {MAX_FILES:,} of {len(files):,} images" if len(files) > MAX_FILES else ""
    return ImageInput(tuple(files)[:MAX_FILES], folder, note)


def complete_path(text: str) -> str | None:
    """The path extended to the first matching folder or image; None without a match.

    Names with control characters are not offered."""
    split = text.rfind("/") + 1
    parent, prefix = text[:split], text[split:]
    try:
        with os.scandir(expand_home(parent or ".")) as entries:
            names = [
                f"{entry.name}/" if entry.is_dir() else entry.name
                for entry in islice(entries, _MAX_SCANNED)
                if entry.name.startswith(prefix)
                and (prefix or not entry.name.startswith("."))
                and (entry.is_dir() or entry.name.lower().endswith(IMAGE_SUFFIXES))
                and without_controls(entry.name) == entry.name
            ]
    except (OSError, ValueError):
        return None
    first = min(names, default=prefix)
    return f"{parent}{first}" if text and first != prefix else None


def is_drop(text: str) -> bool:
    """Whether a paste starts with a path, rather than being a part of one."""
    return bool(_PATH_START.match(text.strip()))


def parse_paths(text: str) -> list[str]:
    """The distinct paths in a paste, in their order."""
    paths = [
        _parse_url(part)
        for line in text.replace("\r", "\n").split("\n")
        if line.strip()
        for part in _split_line(line.strip())
    ]
    return [path for path in dict.fromkeys(paths) if path]


def _split_line(line: str) -> list[str]:
    if any(character in line for character in "'\"\\"):
        try:
            return shlex.split(line)
        except ValueError:
            pass  # an unquoted name with an apostrophe
    return _SEPARATOR.split(line)


def _parse_url(text: str) -> str:
    """The path in a file URL of this machine; other text unchanged."""
    # Not with urlsplit: names that were not encoded may contain ? and #.
    url = _URL.match(text)
    return unquote(text[url.end() :], errors="surrogateescape") if url else text


def _exists(name: str) -> bool:
    try:
        return bool(name) and os.path.lexists(expand_home(name))
    except ValueError:
        return False
