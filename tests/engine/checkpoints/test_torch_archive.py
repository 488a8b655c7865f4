"""Archives of torch are judged by their lists, whose size is limited."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch

from fmnist_tui.engine.checkpoints import torch_archive
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, read_checkpoint
from fmnist_tui.engine.checkpoints.torch_archive import ArchiveError

GIGABYTE = 1 << 30


def sparse_file(path: Path, size: int, end: bytes) -> Path:
    """A large file that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.seek(size - len(end))
        file.write(end)
    return path


def list_end(size: int, offset: int) -> bytes:
    """The end of a zip file that says how large its list is and where it begins."""
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, offset, 0)


@pytest.mark.parametrize("end", [b"\0", list_end(3 * GIGABYTE - 22, 0)], ids=["none", "all of it"])
def test_a_file_of_three_gigabytes_is_refused_without_being_read(
    tmp_path: Path, end: bytes
) -> None:
    path = sparse_file(tmp_path / "model.pt", 3 * GIGABYTE, end)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="truncated or damaged"):
            read_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_an_archive_of_too_many_facts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", bytes(torch_archive.PICKLE_LIMIT + 1))
    with pytest.raises(CheckpointError, match="32 MB of names and facts"):
        read_checkpoint(path)


def test_a_changed_number_does_not_have_its_checksum() -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(100)}, buffer)
    data = buffer.getvalue()
    assert torch_archive.compare_checksums(io.BytesIO(data))
    place = data.index(b"\0\0\x80?")
    changed = io.BytesIO(data[:place] + b"\1" + data[place + 1 :])
    torch_archive.check_archive(changed)
    with pytest.raises(ArchiveError, match=r"archive/data/0 has changed"):
        torch_archive.compare_checksums(changed)
