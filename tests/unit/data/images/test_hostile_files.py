"""Opening any file gives an image or a one-line error, in little time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fmnist_tui.data.images import decode_limits
from fmnist_tui.data.images.decode import open_image
from fmnist_tui.util.errors import UserError
from tests.unit.data.images import hostile

SECONDS, MEMORY = 1.0, 256 * 2**20

# Opens every file and prints the errors, in a separate process to measure its memory.
_OPENER = """
import json, sys, time
from fmnist_tui.data.images.decode import open_image
from fmnist_tui.util.errors import UserError

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

results, before = {}, peak()
for path in sys.argv[1:]:
    start = time.thread_time()
    try:
        open_image(path)
        results[path] = ["", 0]
    except UserError as error:
        results[path] = [str(error), time.thread_time() - start]
print(json.dumps({"results": results, "memory": peak() - before}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_every_hostile_file_is_refused_in_one_line_with_little_time_and_memory(
    tmp_path: Path,
) -> None:
    files = {**hostile.bombs(), **hostile.broken()}
    paths = []
    for name, data in files.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    command = [sys.executable, "-c", _OPENER, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stderr == ""
    report = json.loads(done.stdout)
    for path, (message, seconds) in report["results"].items():
        assert message.startswith(f"{path}: "), path
        assert message.count("\n") == 0, path
        assert seconds < SECONDS, path
    assert report["memory"] < MEMORY


def refusal(path: str | Path) -> str:
    with pytest.raises(UserError) as caught:
        open_image(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


FALSE_START = hostile.segment(0xE5, b"\xff\xda\0\x0c\x03")
RESTARTS = b"\xff\xd0\xff\xd1"


TOO_MANY = {
    "webp": hostile.webp_claiming(5_000, 5_000),
    "tiff": hostile.tiff((256, 4, 1, 5_000), (257, 4, 1, 5_000), (273, 4, 1, 8)),
    "png": hostile.png(7_000, 7_000),
    "long png": hostile.png(1, 70_000),
    "bitmap of runs": hostile.rle_bitmap(2_000, 2_000),
    "jpeg": hostile.jpeg_claiming(11_000, 11_000),
    "progressive jpeg": hostile.jpeg_claiming(5_000, 5_000, progressive=True),
    "jpeg in stages": hostile.jpeg_a_colour_at_a_time(5_000, 5_000),
    "jpeg in stages, disguised": hostile.jpeg_a_colour_at_a_time(5_000, 5_000, FALSE_START),
    "jpeg in stages, out of step": hostile.jpeg_a_colour_at_a_time(
        5_000, 5_000, RESTARTS + FALSE_START
    ),
}


@pytest.mark.parametrize("data", TOO_MANY.values(), ids=TOO_MANY)
def test_each_format_has_its_own_pixel_limit(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    assert "image bomb" in refusal(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("is compressed as lzma.tif", "compressed as lzma"),
        ("has a huge table.tif", "impossible tables"),
        ("has overlapping tables.tif", "impossible tables"),
        ("has thousands of scans.jpg", "too many scans"),
        ("has thousands of profiles.png", "too long to read"),
        ("has no pixels.png", "damaged"),
    ],
)
def test_files_that_cost_too_much_are_an_error(tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(hostile.bombs()[name])
    assert reason in refusal(path)


def test_a_baseline_jpeg_with_many_pixels_is_decoded_at_a_reduced_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("L", (5_000, 5_000), 77).save(path)
    decoded = open_image(path)
    assert decoded.size == (5_000, 5_000)
    assert decoded.colour == pytest.approx(77)


@pytest.mark.parametrize("data", hostile.broken().values(), ids=hostile.broken())
def test_broken_files_are_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    assert any(word in refusal(path) for word in ("damaged", "empty", "tables"))


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "round.png").symlink_to(tmp_path / "round.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket.png"))
        assert "not a regular file" in refusal(tmp_path / "socket.png")
    assert "not a regular file" in refusal(tmp_path / "pipe.png")
    assert "not a regular file" in refusal("/dev/zero")
    assert "a folder" in refusal(tmp_path / "folder.png")
    assert "a folder" in refusal("")
    assert "No such file" in refusal(tmp_path / "dangling.png")
    assert "cannot be read" in refusal(tmp_path / "round.png")
    assert "not a valid file name" in refusal("a\0b.png")


def test_a_pipe_that_replaces_a_file_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    regular, pipe = tmp_path / "a.png", tmp_path / "b.png"
    regular.write_bytes(hostile.png(3, 3))
    os.mkfifo(pipe)
    status = regular.stat()
    monkeypatch.setattr(Path, "stat", lambda _: status)
    assert "empty" in refusal(pipe)


def test_control_characters_in_file_names_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31mred\n\u202e.png"
    path.write_bytes(b"nothing")
    message = refusal(path)
    assert "\x1b" not in message
    assert "\u202e" not in message


def test_running_out_of_memory_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(hostile.png(3, 3))

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("fmnist_tui.data.images.decode.extract_planes", full)
    assert "not enough memory" in refusal(path)


def test_decoders_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Not even libtiff, which prints from C."""
    for compression in ("tiff_adobe_deflate", "tiff_lzw", "group4", "jpeg"):
        mode = "1" if compression == "group4" else "RGB"
        data = bytearray(hostile.encode_noise("TIFF", mode, compression=compression))
        data[len(data) // 2 :: 97] = b"\xa5" * len(data[len(data) // 2 :: 97])
        for length in (len(data), len(data) - 3):
            path = tmp_path / "a.tif"
            path.write_bytes(bytes(data[:length]))
            with contextlib.suppress(UserError):
                open_image(path)
    assert capfd.readouterr() == ("", "")


def test_warnings_are_silenced_only_while_decoding(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(hostile.png(3, 3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_image(path)
        warnings.warn("heard", stacklevel=1)
    assert [str(one.message) for one in caught] == ["heard"]


def test_many_threads_may_open_images(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(hostile.encode_noise("PNG", size=(200, 200)))
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        sizes = {decoded.size for decoded in pool.map(open_image, [path] * 64)}
    assert sizes == {(200, 200)}
    assert list(warnings.filters) == filters


def test_reading_stops_at_the_time_limit() -> None:
    file = decode_limits.MeteredFile(bytes(1_000_000))
    file.set_time_limit(-1)
    assert file.read(4) == bytes(4)
    with pytest.raises(decode_limits.DecodeLimitError):
        file.read(100_000)
    with pytest.raises(decode_limits.DecodeLimitError):
        while True:
            file.read(1)


@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(0, 5_000),
)
@settings(max_examples=150, deadline=None)
def test_any_damaged_file_is_an_image_or_an_error_in_one_line(
    kind: str, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(_valid_file(kind))
    for position, value in changes:
        data[position % len(data)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        path.write_bytes(data[: len(data) - cut] if cut < len(data) else data)
        try:
            decoded = open_image(path)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert np.isfinite(decoded.colour).all()


@cache
def _valid_file(kind: str) -> bytes:
    return hostile.encode_noise(kind, "L" if kind == "GIF" else "RGB", (40, 30))
