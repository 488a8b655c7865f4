"""Cache of decoded image files: one file of pixels per dataset, mapped into memory.

A cache entry is a folder named by a hash of the image files' names, sizes and times, and of the
options. It is built under a temporary name: what a killed process leaves behind is never used, and
what has changed since is built again.
A file that is mapped is locked: what another process uses, on this machine or on another that has
the same folder, is not removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import shutil
import tempfile
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fmnist_tui.data.dataset import Images, Labels
from fmnist_tui.data.fingerprint import Ids, join_ids
from fmnist_tui.data.folders.folder_listing import ImageFile
from fmnist_tui.data.images.decode import open_image
from fmnist_tui.data.images.prepare import Preparation, prepare
from fmnist_tui.data.load_progress import LoadReporter, check_cancel
from fmnist_tui.util.atomic_write import move, open_atomic, remove_stale_temporaries
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.text import safe_text

IN_MEMORY = 256 * 2**20
"""Splits up to this many bytes are copied into memory; larger ones are mapped."""

_VERSION = 3  # increase it when decoding or the format changes
_MAX_ENTRIES = 6
_MAX_SPLIT_AGE = 3600  # seconds since its last use
_TEMPORARY_PREFIX, _PIXELS, _INFO = ".new-", "pixels", "facts.json"
_MAX_ERRORS = 5
_CHUNK = 1024
# Pixels up to this many bytes, a second's reading, are compared with their checksum.
_CHECKED = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImages:
    """The readable images, at `rows` of the listing; `errors` are of the first skipped ones.

    `ids` identify the contents of the files."""

    images: Images
    rows: Labels
    ids: Ids
    skipped: int
    errors: tuple[str, ...]
    folder: Path

    def select(self, images: Images, positions: Labels) -> Images:
        """The images at these positions: in memory, or mapped from a file if there are many."""
        if len(positions) * images[:1].nbytes <= IN_MEMORY:
            return images[positions]
        file = self.folder / f"split-{hashlib.sha256(positions.tobytes()).hexdigest()[:32]}"
        try:
            if not file.exists():
                remove_stale_temporaries(self.folder)
                for old in self.folder.glob("split-*"):
                    # Another process may remove it first.
                    with contextlib.suppress(FileNotFoundError):
                        is_old = time.time() - old.stat().st_mtime > _MAX_SPLIT_AGE
                        if is_old and not _is_mapped(old):
                            old.unlink()
                with open_atomic(file) as out:
                    for start in range(0, len(positions), _CHUNK):
                        out.write(images[positions[start : start + _CHUNK]].tobytes())
            os.utime(file)
            return _map(file, (len(positions), *images.shape[1:]))
        except OSError as error:
            raise UserError(
                f"{safe_text(file)}: cannot be written: {format_error(error)}"
            ) from error


def read_image(path: Path, size: int, channels: int) -> tuple[Images, bytes]:
    """The whole image in a square, (size, size, channels), and the identity of its file."""
    preparation = Preparation(size=size, channels=channels, crop=False, invert="never")
    image = open_image(path)
    return prepare(image, preparation).image, image.id


def decode(
    entries: Sequence[ImageFile],
    size: int,
    channels: int,
    cache: Path,
    reporter: LoadReporter,
    cancel: threading.Event | None = None,
) -> DecodedImages:
    """The images of these files, from the cache if they are in it."""
    key = [_VERSION, size, channels, [(item.name, item.size, item.mtime_ns) for item in entries]]
    folder = cache / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with locked(
            cache / ".lock",
            lambda: check_cancel(cancel),
            lambda: reporter.progress("waiting: another process is decoding"),
        ):
            _remove_old_entries(cache, folder)
            decoded = _open(folder, size, channels)
            if decoded is None:
                _build(folder, entries, size, channels, reporter, cancel)
                decoded = _open(folder, size, channels)
            if decoded is None:
                raise UserError(f"{safe_text(folder)}: changed while it was written; try again")
            os.utime(folder)
            return decoded
    except OSError as error:
        raise UserError(f"{safe_text(cache)}: cannot be written: {format_error(error)}") from error


def _remove_old_entries(cache: Path, current: Path) -> None:
    """Remove what killed processes left behind, and all but the most recently used entries."""
    for stray in cache.glob(f"{_TEMPORARY_PREFIX}*"):
        shutil.rmtree(stray, ignore_errors=True)
    others = (path for path in cache.iterdir() if path.is_dir() and path != current)
    for old in sorted(others, key=lambda path: path.stat().st_mtime)[: 1 - _MAX_ENTRIES]:
        if not any(map(_is_mapped, old.iterdir())):
            shutil.rmtree(old, ignore_errors=True)


def _build(
    folder: Path,
    entries: Sequence[ImageFile],
    size: int,
    channels: int,
    reporter: LoadReporter,
    cancel: threading.Event | None,
) -> None:
    """Decode the files into a temporary folder, then rename it to `folder`."""
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX, dir=folder.parent))
    try:
        rows: list[int] = []
        ids: list[bytes] = []
        errors: list[str] = []
        skipped = checksum = 0
        with (temporary / _PIXELS).open("wb") as file:
            for row, entry in enumerate(entries):
                check_cancel(cancel)
                try:
                    image, content = read_image(entry.path, size, channels)
                    pixels = image.tobytes()
                    file.write(pixels)
                    checksum = zlib.crc32(pixels, checksum)
                    rows.append(row)
                    ids.append(content)
                except UserError as error:
                    skipped += 1
                    if len(errors) < _MAX_ERRORS:
                        errors.append(str(error))
                reporter.progress("decoding", row + 1, len(entries), "images")
            file.flush()
            os.fsync(file.fileno())
        info = {
            "rows": rows,
            "ids": b"".join(ids).hex(),
            "skipped": skipped,
            "complaints": errors,
            "checksum": checksum,
        }
        (temporary / _INFO).write_text(json.dumps([info, _checksum(info)]))
        shutil.rmtree(folder, ignore_errors=True)
        move(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _open(folder: Path, size: int, channels: int) -> DecodedImages | None:
    """The images of a cache entry; None if it does not exist or is damaged."""
    try:
        info, checksum = json.loads((folder / _INFO).read_bytes())
        if checksum != _checksum(info):
            return None
        rows = np.array(info["rows"], np.int64)
        ids = join_ids([bytes.fromhex(info["ids"])])
        if len(ids) != len(rows):
            return None
        images = _map(folder / _PIXELS, (len(rows), size, size, channels))
        if images.nbytes <= _CHECKED and zlib.crc32(images.data) != info["checksum"]:
            return None
        errors = tuple(info["complaints"])
        return DecodedImages(images, rows, ids, info["skipped"], errors, folder)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _checksum(info: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(info).encode())


def _map(file: Path, shape: tuple[int, ...]) -> Images:
    """The file's bytes as an array, locked while it exists; writes do not reach the file."""
    if not shape[0]:
        return np.empty(shape, np.uint8)
    if file.stat().st_size != math.prod(shape):
        raise ValueError(f"{file} is not of the expected size")
    with file.open("rb") as opened:
        # The map has a copy of the descriptor, which keeps the lock.
        with contextlib.suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return np.asarray(np.memmap(opened, np.uint8, "c", shape=shape))


def _is_mapped(file: Path) -> bool:
    """Whether the file is in use, or cannot be locked to find out."""
    try:
        # Open for writing: network file systems require that for an exclusive lock.
        with file.open("r+b") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
