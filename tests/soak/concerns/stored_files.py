"""What the program keeps beside runs, in any state: predictions, datasets, caches, studies."""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.data.folders import decoded_cache
from fmnist_tui.data.folders.decoded_cache import DecodedImages
from fmnist_tui.data.folders.folder_listing import list_folder
from fmnist_tui.data.idx.checksums import RECORD, ChecksumFile
from fmnist_tui.data.idx.idx_format import read_idx, write_idx
from fmnist_tui.data.load_progress import LoadReporter
from fmnist_tui.sweeps import spec
from fmnist_tui.sweeps.snapshot import SnapshotReader
from fmnist_tui.sweeps.storage import connect, parse_location
from fmnist_tui.sweeps.study import StudyLedger
from tests.soak.concern import Concern, Tally, spread
from tests.soak.hostile_files import (
    HostileFile,
    file_made_by,
    file_of,
    mutations,
    read_all,
    truncations,
)
from tests.soak.json_values import json_variants

Kinds = dict[Callable[[Path], object], list[HostileFile]]
PIXELS = np.random.default_rng(1).integers(0, 256, (60, 28, 28)).astype(np.uint8)


def run(tally: Tally, tries: int) -> None:
    place = tally.folder / "good"
    place.mkdir()
    kinds = _predictions(place) | _idx_files(place) | _decoded(place) | _studies(place)
    total = sum(map(len, kinds.values()))
    for read, files in kinds.items():
        read_all(tally, spread(files, -(-tries * len(files) // total)), read)


def _damaged(name: str, data: bytes, count: int) -> list[HostileFile]:
    return [*mutations(name, name, data, count), *truncations(name, name, data)]


# -- predictions ---------------------------------------------------------------------------


def _predictions(place: Path) -> Kinds:
    name, dice = "test.npz", np.random.default_rng(2)
    whole = Predictions(
        "test",
        dice.normal(size=(60, 3)).astype(np.float32),
        dice.integers(0, 3, 60),
        np.arange(60),
        ("a", "b", "c"),
        ids=dice.integers(0, 1 << 60, 60).astype(np.uint64),
    )
    whole.save(place / name)
    data = (place / name).read_bytes()
    bombs = {
        "a shape of 2^60": _npz({"logits": (1 << 60, "<f4", 16)}),
        "a shape of -1": _npz({"logits": (-1, "<f4", 16)}),
        "objects": _npz({"logits": (2, "|O", 16)}),
        "nothing": b"",
        "a text": b"logits",
        "one array": data[:0] + b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False}",
    }

    def read(path: Path) -> None:
        read = Predictions.load(path)
        assert np.array_equal(read.logits, whole.logits), "other numbers"
        assert np.array_equal(read.labels, whole.labels), "other labels"
        assert (read.classes, read.split) == (whole.classes, whole.split), "other names"
        read.evaluation()

    odd = [file_of(f"predictions: {what}", name, bomb) for what, bomb in bombs.items()]
    zeros = partial(_npz, {"logits": (1 << 28, "<f4", 1 << 30)})
    odd.append(file_made_by("predictions: a gigabyte of zeros", name, zeros))
    return {read: [*_damaged(name, data, 400), *odd]}


def _npz(arrays: dict[str, tuple[int, str, int]]) -> bytes:
    """Compressed arrays that claim a length and a type, and hold so many zero bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (length, kind, size) in arrays.items():
            header = repr({"descr": kind, "fortran_order": False, "shape": (length,)}).encode()
            with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                part.write(b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header)
                for _ in range(0, size, 1 << 24):
                    part.write(bytes(min(size, 1 << 24)))
    return buffer.getvalue()


# -- datasets ------------------------------------------------------------------------------


def _idx_files(place: Path) -> Kinds:
    name = "train-images-idx3-ubyte"
    write_idx(place / name, PIXELS)
    plain = (place / name).read_bytes()
    zipped = gzip.compress(plain)
    header = b"\0\0\x08\x03"
    odd = {
        "2^32 images": header + b"\xff" * 4 + plain[8:],
        "2^96 pixels": header + b"\xff" * 12,
        "a gigabyte of images": header + b"\0\x14\0\0" + plain[8:],
        "200 dimensions": b"\0\0\x08\xc8" + b"\0\0\0\1" * 200,
        "gzip in gzip": gzip.compress(zipped),
        "1,000 gzip parts": zipped[:10] * 1000,
        "nothing": b"",
    }

    def zeros() -> bytes:
        return gzip.compress(header + bytes(12) + bytes(1 << 28), 1)

    def read(path: Path) -> None:
        read_idx(path, (None, 28, 28), "u1")

    def read_zipped(path: Path) -> None:
        assert np.array_equal(read_idx(path).array, PIXELS), "other pixels"

    def read_record(path: Path) -> None:
        ChecksumFile(path.parent).check(path.with_name(name), "0" * 64, "", verified=True)

    record = b'{"train-images-idx3-ubyte": {"sha256": "00", "published": true}}'
    return {
        read: [
            *_damaged(name, plain, 200),
            *(file_of(f"idx: {what}", name, data) for what, data in odd.items()),
            file_made_by("idx: 256 MB of zeros", name, zeros),
        ],
        read_zipped: _damaged(f"{name}.gz", zipped, 300),
        read_record: [
            *mutations(RECORD, RECORD, record, 100),
            *(file_of(f"{RECORD}: {what}", RECORD, data) for what, data in json_variants(record)),
        ],
    }


def _decoded(place: Path) -> Kinds:
    """A cache entry of which one file has changed: the images are as before, whatever it takes."""
    images = place / "images"
    for number, pixels in enumerate(PIXELS[:20]):
        folder = images / f"class-{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    listing = list_folder(images).entries

    def decode(cache: Path) -> DecodedImages:
        return decoded_cache.decode(listing, 28, 1, cache, LoadReporter("images", None))

    whole = decode(place / "cache")

    def read(path: Path) -> None:
        cache = path.parent / "cache"
        shutil.copytree(place / "cache", cache)
        entry = next(each for each in cache.iterdir() if each.is_dir())
        shutil.copy(path, entry / path.name)
        read = decode(cache)
        assert np.array_equal(read.images, whole.images), "other pixels"
        assert np.array_equal(read.rows, whole.rows), "other images"
        assert np.array_equal(read.ids, whole.ids), "other identities"

    files = []
    for path in sorted(whole.folder.iterdir()):
        files += _damaged(path.name, path.read_bytes(), 100)
        if path.suffix == ".json":
            variants = json_variants(path.read_bytes(), 2)
            files += [file_of(f"{path.name}: {what}", path.name, data) for what, data in variants]
    return {read: files}


# -- studies -------------------------------------------------------------------------------


def _studies(place: Path) -> Kinds:
    """A study of a few trials, in a database and in a journal."""
    sweep = spec.parse("[space.lr]\nlow = 0.01\nhigh = 0.1\n[sweep]\nname = 'study'\n", "sweep")
    files = []
    for name, storage in (("sweeps.db", "sqlite:///{}"), ("sweeps.journal", "journal:{}")):
        location = parse_location(storage.format(place / name), place)
        ledger = StudyLedger.join(location, connect(location), sweep)
        for value in (0.1, 0.2):
            trial = ledger.claim()
            ledger.report(trial, 1, value)
            ledger.end(trial, "complete", value)
        ledger.claim()
        ledger._storage.remove_session()
        files += _damaged(name, (place / name).read_bytes(), 150)
    lines = (place / "sweeps.journal").read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines):
        for what, data in [*json_variants(line)][number % 5 :: 5]:
            changed = b"".join([*lines[:number], data + b"\n", *lines[number + 1 :]])
            files.append(file_of(f"journal, line {number}: {what}", "sweeps.journal", changed))
    return {_read_study: files}


def _read_study(path: Path) -> None:
    kind = "journal:" if path.suffix == ".journal" else "sqlite:///"
    location = parse_location(f"{kind}{path}", path.parent)
    reader = SnapshotReader()
    reader.list_studies(location)
    snapshot = reader.read(location, "study")
    assert snapshot.total > 0
    snapshot.best_so_far()


CONCERN = Concern("stored files", run, short=25, full=3000)
