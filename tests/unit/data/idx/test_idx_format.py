"""idx files, valid and hostile."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fmnist_tui.data.idx.idx_format import LIMIT, read_idx, write_idx
from fmnist_tui.util.errors import UserError
from tests.unit.data.support import idx_bytes

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)


def header(*lengths: int, code: int = 0x08) -> bytes:
    return struct.pack(f">BBBB{len(lengths)}I", 0, 0, code, len(lengths), *lengths)


def error_of(path: Path, *args: object) -> str:
    with pytest.raises(UserError) as caught:
        read_idx(path, *args)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


@settings(max_examples=60, deadline=None)
@given(
    array=arrays.arrays(
        st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]),
        arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
    ),
    zipped=st.booleans(),
)
def test_written_arrays_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if zipped else "a")
    write_idx(path, array)
    loaded = read_idx(path)
    np.testing.assert_array_equal(loaded.array, array)
    assert loaded.array.dtype == array.dtype
    raw = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    assert loaded.sha256 == hashlib.sha256(raw).hexdigest()


def test_a_file_is_written_in_the_published_format(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", IMAGES)
    assert (tmp_path / "a").read_bytes() == idx_bytes(IMAGES)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_gzip_file_is_recognised_by_its_content_not_its_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(idx_bytes(IMAGES)))
    np.testing.assert_array_equal(read_idx(tmp_path / "a").array, IMAGES)


def test_int32_tables_are_in_native_byte_order(tmp_path: Path) -> None:
    table = np.array([[1, -2], [300_000, 4]], np.int32)
    (tmp_path / "a").write_bytes(idx_bytes(table))
    loaded = read_idx(tmp_path / "a", (2, 2), "i4").array
    assert loaded.dtype.isnative
    np.testing.assert_array_equal(loaded, table)


def test_an_array_that_idx_cannot_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="int64"):
        write_idx(tmp_path / "a", np.zeros(3, np.int64))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\x00\x00", "not an idx file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "not an idx file: it starts with 89 50 4e 47"),
        (b"\0\0\x07\x01" + bytes(8), "not an idx file"),
        (b"\0\0\x08\x00", "0 dimensions"),
        (b"\0\0\x08\xff" + bytes(2000), "255 dimensions"),
        (b"\0\0\x08\x03\0\0", "truncated in its header"),
        (header(3, 4, 5) + bytes(59), "59 bytes of numbers where its header promises 60"),
        (header(3, 4, 5) + bytes(61), "continues after the 60 bytes"),
        (header(2**31, 2**31, 2**31), "more than 1 GB"),
        (header(0, 2**32 - 1, 2**32 - 1, 2**32 - 1), "more than 1 GB"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_broken_file_is_explained_in_one_line(
    tmp_path: Path, data: bytes, words: str, zipped: bool
) -> None:
    path = tmp_path / "broken"
    path.write_bytes(gzip.compress(data) if zipped else data)
    assert words in error_of(path)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    assert "no such file" in error_of(tmp_path / "nowhere")


def test_folders_and_pipes_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in error_of(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert "not a regular file" in error_of(tmp_path / "folder")


def test_a_wrong_shape_is_reported_with_the_expected_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(idx_bytes(IMAGES))
    message = error_of(path, (60000, 28, 28))
    assert "3×4×5" in message
    assert "60000×28×28" in message
    assert "any×28×28" in error_of(path, (None, 28, 28))
    assert "3" in error_of(path, (3,))


def test_a_wrong_number_type_is_reported_with_the_expected_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(idx_bytes(IMAGES))
    assert "uint8 where int32" in error_of(tmp_path / "a", (3, 4, 5), "i4")


@pytest.mark.parametrize("keep", [5, 20, 60, -1, -5])
def test_a_gzip_file_truncated_anywhere_is_detected(tmp_path: Path, keep: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 4, 5), np.uint8)
    data = gzip.compress(idx_bytes(noise))
    (tmp_path / "a").write_bytes(data[:keep])
    assert "a: " in error_of(tmp_path / "a")


def test_a_flipped_bit_in_a_gzip_file_is_detected(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 4, 5), np.uint8)
    data = bytearray(gzip.compress(idx_bytes(noise)))
    data[60] ^= 4
    (tmp_path / "a").write_bytes(data)
    error_of(tmp_path / "a")


def test_a_gzip_bomb_is_not_decompressed(tmp_path: Path) -> None:
    # 200 MB of zeros behind a header that promises 60 bytes.
    (tmp_path / "a").write_bytes(gzip.compress(header(3, 4, 5) + bytes(200 * 2**20), 1))
    tracemalloc.start()
    try:
        assert "continues after" in error_of(tmp_path / "a")
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_a_header_alone_does_not_allocate_memory(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(header(LIMIT) + bytes(10))
    assert "10 bytes of numbers" in error_of(tmp_path / "a")


def test_control_characters_in_file_names_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31mred"
    path.write_bytes(b"")
    with pytest.raises(UserError) as caught:
        read_idx(path)
    assert "\x1b" not in str(caught.value)
