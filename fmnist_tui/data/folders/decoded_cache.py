"""Picture files decoded once, into one file of bytes that is mapped rather than read.

A store is a folder named by what went in: names, sizes and times of the files, and the
options. It is built under another name and renamed when complete, so what a killed
process leaves behind is never used; it is swept the next time. The stores used last stay.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmnist_tui.data.dataset import Images, Labels
from fmnist_tui.data.folders.folder_listing import ImageFile
from fmnist_tui.data.images.decode import open_image
from fmnist_tui.data.images.prepare import Preparation, prepare
from fmnist_tui.data.load_progress import LoadReporter, check_cancel
from fmnist_tui.util.atomic_write import move, open_atomic, sweep_strays
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.text import safe_text

IN_MEMORY = 256 * 2**20
"""Bytes up to which a split of a decoded set is copied into memory."""

_VERSION = 1  # of the pixels: another way to decode needs another number
_KEPT = 6
_SPLIT_KEPT = 3600  # seconds after its last use
_NEW, _PIXELS, _FACTS = ".new-", "pixels", "facts.json"
_COMPLAINTS = 5
_CHUNK = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """The pictures that could be read: `rows` are their places among the entries.

    `skipped` counts the others, `complaints` says what is wrong with the first of them.
    """

    images: Images
    rows: Labels
    skipped: int
    complaints: tuple[str, ...]
    store: Path

    def take(self, images: Images, places: Labels) -> Images:
        """These pictures as an array: in memory, or mapped from a file where they are many."""
        if len(places) * images[:1].nbytes <= IN_MEMORY:
            return images[places]
        file = self.store / f"split-{hashlib.sha256(places.tobytes()).hexdigest()[:32]}"
        try:
            if not file.exists():
                self._sweep()
                with open_atomic(file) as out:
                    for start in range(0, len(places), _CHUNK):
                        out.write(images[places[start : start + _CHUNK]].tobytes())
            os.utime(file)
            return _mapped(file, (len(places), *images.shape[1:]))
        except OSError as error:
            raise UserError(f"{safe_text(file)}: cannot be written: {reason(error)}") from error

    def _sweep(self) -> None:
        """Removes old splits and unfinished ones; a process that has one mapped keeps it."""
        sweep_strays(self.store)
        for old in self.store.glob("split-*"):
            if time.time() - old.stat().st_mtime > _SPLIT_KEPT:
                old.unlink(missing_ok=True)


def read_image(path: Path, size: int, channels: int) -> Images:
    """The whole picture in a square, (size, size, channels), as any picture is prepared."""
    how = Preparation(size=size, channels=channels, crop=False, invert="never")
    return prepare(open_image(path), how).image


def decode(
    entries: Sequence[ImageFile],
    size: int,
    channels: int,
    cache: Path,
    tell: LoadReporter,
    cancel: threading.Event | None = None,
) -> Decoded:
    """The entries' pictures, from the store they were decoded into or decoded now."""
    facts = [_VERSION, size, channels, [(item.name, item.size, item.mtime_ns) for item in entries]]
    store = cache / hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with locked(
            cache / ".lock",
            lambda: check_cancel(cancel),
            lambda: tell.progress("waiting: another process decodes"),
        ):
            _sweep(cache, store)
            decoded = _opened(store, size, channels)
            if decoded is None:
                _build(store, entries, size, channels, tell, cancel)
                decoded = _opened(store, size, channels)
            if decoded is None:
                raise UserError(f"{safe_text(store)}: is not what was written there; try again")
            os.utime(store)
            return decoded
    except OSError as error:
        raise UserError(f"{safe_text(cache)}: cannot be written: {reason(error)}") from error


def _sweep(cache: Path, wanted: Path) -> None:
    """Removes what killed processes left behind, and all but the stores used last."""
    for left_behind in cache.glob(f"{_NEW}*"):
        shutil.rmtree(left_behind, ignore_errors=True)
    stores = [path for path in cache.iterdir() if path.is_dir() and path != wanted]
    stores.sort(key=lambda path: path.stat().st_mtime)
    for old in stores[: 1 - _KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _build(
    store: Path,
    entries: Sequence[ImageFile],
    size: int,
    channels: int,
    tell: LoadReporter,
    cancel: threading.Event | None,
) -> None:
    """Decodes into a folder beside the store, which then takes its place."""
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=store.parent))
    try:
        rows: list[int] = []
        complaints: list[str] = []
        skipped = 0
        with (new / _PIXELS).open("wb") as file:
            for row, entry in enumerate(entries):
                check_cancel(cancel)
                try:
                    file.write(read_image(entry.path, size, channels).tobytes())
                    rows.append(row)
                except UserError as error:
                    skipped += 1
                    if len(complaints) < _COMPLAINTS:
                        complaints.append(str(error))
                tell.progress("decoding", row + 1, len(entries), "images")
            file.flush()
            os.fsync(file.fileno())
        facts = {"rows": rows, "skipped": skipped, "complaints": complaints}
        (new / _FACTS).write_text(json.dumps(facts))
        shutil.rmtree(store, ignore_errors=True)
        move(new, store)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _opened(store: Path, size: int, channels: int) -> Decoded | None:
    """The store's pictures; None where there is none, or not all of it."""
    try:
        facts = json.loads((store / _FACTS).read_bytes())
        rows = np.array(facts["rows"], np.int64)
        images = _mapped(store / _PIXELS, (len(rows), size, size, channels))
        return Decoded(images, rows, facts["skipped"], tuple(facts["complaints"]), store)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mapped(file: Path, shape: tuple[int, ...]) -> Images:
    """The file's bytes as an array; what is written to the array never reaches the file."""
    if not shape[0]:
        return np.empty(shape, np.uint8)
    if file.stat().st_size != math.prod(shape):
        raise ValueError(f"{file} is not of the expected size")
    return np.asarray(np.memmap(file, np.uint8, "c", shape=shape))
