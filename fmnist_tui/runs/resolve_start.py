"""Resolves the `start` setting: a weights file, or another run."""

from __future__ import annotations

import os
from pathlib import Path

from fmnist_tui.runs.listing import resolve
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

_WEIGHTS_SUFFIXES = (".pt", ".pth", ".safetensors")


def resolve_start(text: str, runs_dir: Path) -> Path:
    """The file or run folder that `start` names at this moment."""
    path = expand_home(text)
    for candidate in (path, runs_dir / path):
        if os.path.isfile(candidate):  # noqa: PTH113 - Path's fails on an overlong name
            return candidate.absolute()
    if text.endswith(_WEIGHTS_SUFFIXES):
        raise UserError(f"start = {safe_text(text, 120)!r}: there is no such file")
    try:
        return resolve(runs_dir, text).path.absolute()
    except UserError as error:
        raise UserError(f"start: {error}") from None
