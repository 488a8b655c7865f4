"""torch's zip format, checked before torch opens a file.

torch.load believes whatever sizes an archive states and ignores the checksums in it, which
torch.save writes by default. Only the list of the archive is read to check it, whatever its size.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

# Bytes of the list; that of a checkpoint of ten thousand tensors has half of it.
LIST_LIMIT = 4 << 20
# Bytes of names, shapes and facts, among which are 8 bytes for every image of a folder.
PICKLE_LIMIT = 32 << 20
_CHUNK = 1 << 20


class ArchiveError(Exception):
    """Why a file is not opened."""


def check_archive(file: IO[bytes]) -> None:
    """Refuse what torch.load must not open: bare pickles, TorchScript programs, zip bombs."""
    file.seek(0)
    if file.read(2) != b"PK":
        raise ArchiveError("refused, not a checkpoint in torch's zip format")
    size = file.seek(0, io.SEEK_END)
    with _open(file) as archive:
        entries = archive.infolist()
    sizes = {entry.filename.split("/", 1)[-1]: entry.file_size for entry in entries}
    if "data.pkl" not in sizes or len(sizes) < len(entries):
        raise ArchiveError("refused, a zip file but not written by torch")
    if "constants.pkl" in sizes or any(name.startswith("code/") for name in sizes):
        raise ArchiveError("refused, a TorchScript program instead of plain weights")
    is_compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if is_compressed or sum(entry.file_size for entry in entries) > size:
        raise ArchiveError("refused, a compressed archive (torch does not compress)")
    if sizes["data.pkl"] > PICKLE_LIMIT:
        raise ArchiveError(f"refused, {sizes['data.pkl'] >> 20} MB of names and facts")


def compare_checksums(file: IO[bytes]) -> bool:
    """Read the whole archive and compare its checksums; whether it has any.

    An ArchiveError names the part that has changed."""
    with _open(file) as archive:
        entries = archive.infolist()
        if not any(entry.CRC for entry in entries):
            return False
        for entry in entries:
            try:
                with archive.open(entry) as part:
                    while part.read(_CHUNK):
                        pass
            except zipfile.BadZipFile:
                name = entry.filename
                raise ArchiveError(f"damaged since it was written ({name} has changed)") from None
    return True


@contextmanager
def _open(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(_BoundedReader(file)) as archive:
            yield archive
    # RuntimeError: an entry is marked as encrypted.
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError):
        raise ArchiveError("the checkpoint is truncated or damaged") from None


class _BoundedReader:
    """A file for zipfile, which reads a list at once, however long the file says that it is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, LIST_LIMIT + 1) if size >= 0 else LIST_LIMIT + 1)
        if len(data) > LIST_LIMIT:
            raise zipfile.BadZipFile("its list is too long")
        return data
