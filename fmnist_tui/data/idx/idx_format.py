"""The idx format of MNIST and its relatives: a short header, then the numbers.

Files may be gzipped, whatever their names say. Files are not trusted: the header is checked
before memory is allocated, and decompression stops one byte after the promised size.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import stat
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

LIMIT = 2**30  # bytes of numbers; twice the largest file of the family
MAX_DIMENSIONS = 4

# The header's type byte and the big-endian numbers it announces.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name): code for code, name in _TYPES.items()}
_CHUNK = 2**20
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, eq=False)
class Idx:
    """A file's numbers in native byte order, and the SHA-256 of its bare idx bytes."""

    array: npt.NDArray[Any]
    sha256: str


def read_idx(path: Path, shape: Sequence[int | None] = (), kind: str = "") -> Idx:
    """The file's numbers; raises UserError, one line, for anything but a valid idx file.

    If given, `shape` must match (None matches any length), and so must the numbers' type:
    `kind` is a numpy type such as "u1" or "i4".
    """
    name = safe_text(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{name}: not a regular file; expected an idx file")
        with path.open("rb") as plain:
            zipped = plain.read(2) == _GZIP
            plain.seek(0)
            file = cast(IO[bytes], gzip.GzipFile(fileobj=plain)) if zipped else plain
            return _read(file, name, tuple(shape), kind)
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise UserError(f"{name}: damaged or truncated gzip file; download it again") from None
    except OSError as error:
        cause = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise UserError(f"{name}: cannot be read: {cause or format_error(error)}") from None


def _read(file: IO[bytes], name: str, shape: tuple[int | None, ...], kind: str) -> Idx:
    magic = file.read(4)
    if not magic:
        raise UserError(f"{name}: an empty file; download it again")
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise UserError(f"{name}: not an idx file: it starts with {magic.hex(' ')}")
    if not 1 <= magic[3] <= MAX_DIMENSIONS:
        raise UserError(f"{name}: not an idx file: it claims {magic[3]} dimensions")
    lengths = file.read(4 * magic[3])
    if len(lengths) < 4 * magic[3]:
        raise UserError(f"{name}: truncated in its header; download it again")
    actual = struct.unpack(f">{magic[3]}I", lengths)
    stored = np.dtype(_TYPES[magic[2]])
    matches = len(shape) == len(actual) and all(
        expected in (None, length) for expected, length in zip(shape, actual, strict=True)
    )
    if shape and not matches:
        raise UserError(
            f"{name}: has {_format_shape(actual)} numbers where {_format_shape(shape)} are expected"
        )
    if kind and stored != np.dtype(kind).newbyteorder(">"):
        expected_type = np.dtype(kind).name
        raise UserError(f"{name}: its numbers are {stored.name} where {expected_type} is expected")
    if math.prod(max(length, 1) for length in actual) * stored.itemsize > LIMIT:
        raise UserError(
            f"{name}: claims {_format_shape(actual)} numbers, more than {LIMIT >> 30} GB"
        )

    promised = math.prod(actual) * stored.itemsize
    numbers = np.empty(promised, np.uint8)
    digest = hashlib.sha256(magic + lengths)
    window, filled = numbers.data, 0
    while filled < promised:
        chunk = file.read(min(_CHUNK, promised - filled))
        if not chunk:
            raise UserError(
                f"{name}: truncated: {filled:,} bytes of numbers where its header promises "
                f"{promised:,}; download it again"
            )
        window[filled : filled + len(chunk)] = chunk
        digest.update(chunk)
        filled += len(chunk)
    # Reading one byte more also makes gzip compare its checksum.
    if file.read(1):
        raise UserError(f"{name}: continues after the {promised:,} bytes its header promises")
    array = numbers.view(stored).reshape(actual)
    return Idx(array.astype(stored.newbyteorder("="), copy=False), digest.hexdigest())


def _format_shape(shape: Sequence[int | None]) -> str:
    return "×".join("any" if length is None else f"{length}" for length in shape)


def write_idx(path: Path, array: npt.NDArray[Any]) -> None:
    """Write the array as an idx file, gzipped if the name ends in `.gz`, atomically."""
    stored = array.dtype.newbyteorder(">")
    if stored not in _CODES or not 1 <= array.ndim <= MAX_DIMENSIONS:
        raise UserError(f"{safe_text(path)}: idx cannot hold {array.ndim}-d {array.dtype} numbers")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, _CODES[stored], array.ndim, *array.shape)
    body = header + array.astype(stored).tobytes()
    try:
        atomic_write(path, gzip.compress(body, 6, mtime=0) if path.suffix == ".gz" else body)
    except OSError as error:
        raise UserError(f"{safe_text(path)}: cannot be written: {format_error(error)}") from error
