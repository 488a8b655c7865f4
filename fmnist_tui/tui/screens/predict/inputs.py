"""Pictures that a user names: by path, by folder, by a paste; and how a path may go on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.config.dataset_catalog import IMAGE_SUFFIXES
from fmnist_tui.tui.screens.predict import dropped_paths
from fmnist_tui.tui.screens.predict.results import MOST
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

KINDS = "PNG, JPEG, WebP, BMP, GIF, TIFF"
# So many names of a folder are looked at to complete one.
_LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class PictureInput:
    """Files to predict; `folder` is where they are if they were given as one."""

    files: tuple[Path, ...]
    folder: Path | None = None
    note: str = ""


def gather(text: str) -> PictureInput:
    """The files that a typed path or a paste stands for; folders stand for their pictures.

    A file need not be there: predicting it says so. Raises UserError for a folder that
    cannot be read or holds no picture."""
    whole = text.strip()
    names = [whole] if _there(whole) else dropped_paths.paths(text)
    if not names:
        raise UserError("there is no path in it; give a picture file or a folder")
    files: dict[Path, None] = {}
    folder = None
    for name in names:
        path = expand_home(name)
        if path.is_dir():
            found = pictures(path)
            folder = path if len(names) == 1 else None
            if not found and folder is not None:
                raise UserError(f"{safe_text(path)}: no picture in it ({KINDS})")
            files.update(dict.fromkeys(found))
        else:
            files[path] = None
    if not files:
        raise UserError(f"no picture in these folders ({KINDS})")
    taken = tuple(files)[:MOST]
    note = f"the first {MOST:,} of {len(files):,} pictures" if len(files) > MOST else ""
    return PictureInput(taken, folder, note)


def pictures(folder: Path) -> list[Path]:
    """The pictures directly in a folder, by name; UserError where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if is_picture(entry.name))
    except OSError as error:
        raise UserError(f"{safe_text(folder)}: cannot be read: {reason(error)}") from error
    return [folder / name for name in names]


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken to be a picture."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def completed(text: str) -> str | None:
    """How a path that is being typed may go on: the first folder or picture that fits.

    A name that would steer the terminal is not offered."""
    if not text:
        return None
    cut = text.rfind("/") + 1
    beginning, part = text[:cut], text[cut:]
    where = "." if not cut else expand_home(beginning)
    best = ""
    try:
        with os.scandir(where) as entries:
            for _, entry in zip(range(_LOOKED_AT), entries, strict=False):
                name = entry.name
                if not name.startswith(part) or (name.startswith(".") and not part):
                    continue
                is_folder = entry.is_dir()
                if (
                    not (is_folder or name.lower().endswith(IMAGE_SUFFIXES))
                    or safe_text(name) != name
                ):
                    continue
                shown = f"{name}/" if is_folder else name
                best = min(best, shown) if best else shown
    except (OSError, ValueError):
        return None
    return f"{beginning}{best}" if best and best != part else None


def _there(name: str) -> bool:
    try:
        return bool(name) and os.path.lexists(expand_home(name))
    except ValueError:
        return False
