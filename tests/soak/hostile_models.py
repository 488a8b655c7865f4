"""Model files that would execute something, take all memory, or are not what they say."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tests.soak.hostile_files import PROOF, HostileFile, file_made_by, file_of

GIGABYTE = 1 << 30


class _Call:
    """Calls a function when it is loaded without checks."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


def gadgets() -> Iterator[HostileFile]:
    """Pickles that would make the file PROOF, in each of torch's formats and without one."""
    code = f"open({PROOF!r}, 'w').close()"
    calls = {
        "os.system": _Call(os.system, f"touch {PROOF}"),
        "exec": _Call(exec, code),
        "eval": _Call(eval, code),
        "subprocess": _Call(subprocess.call, ["touch", PROOF]),
        "open": _Call(open, PROOF, "w"),
        "torch.load": _Call(torch.load, "/dev/zero"),
    }
    for name, call in calls.items():
        for payload in ({"weights": {"a": call}}, {"weights": {}, "about": call}, call):
            for suffix in ("pt", "pth"):
                where = f"{name} in a {suffix}"
                yield file_of(f"{where}, bare", f"model.{suffix}", pickle.dumps(payload))
                for is_zip in (True, False):
                    yield file_of(where, f"model.{suffix}", saved(payload, is_zip))
    yield file_of("a pickle as safetensors", "model.safetensors", saved({"a": calls["exec"]}))


def saved(payload: object, is_zip: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(payload, buffer, _use_new_zipfile_serialization=is_zip)
    return buffer.getvalue()


# -- archives ------------------------------------------------------------------------------


def archive(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in parts.items():
            file.writestr(f"archive/{name}", data)
    return buffer.getvalue()


def pickled(operations: bytes) -> bytes:
    """An archive whose pickle has these operations."""
    return archive({"data.pkl": b"\x80\x02" + operations + b".", "version": b"3\n"})


def archives() -> Iterator[HostileFile]:
    """Zip files that claim, hide or repeat what they hold, and pickles of many operations."""
    warnings.simplefilter("ignore")
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 3 * GIGABYTE - 22, 0, 0)
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as file:
        for data in (b"}.", b"].", b"}."):
            file.writestr(zipfile.ZipInfo("archive/data.pkl"), data)
    small = saved({"a": torch.ones(3)})
    cases: dict[str, Callable[[], bytes]] = {
        "compressed zeros": lambda: archive(
            {"data.pkl": b"}.", "data/0": bytes(100 << 20)}, zipfile.ZIP_DEFLATED
        ),
        "a compressed pickle": lambda: archive({"data.pkl": bytes(100 << 20)}, zipfile.ZIP_BZIP2),
        "TorchScript": lambda: archive(
            {"data.pkl": b"}.", "constants.pkl": b"}.", "code/a.py": b""}
        ),
        "60,000 parts": lambda: archive(
            {"data.pkl": b"}."} | {f"data/{n}": b"" for n in range(60_000)}
        ),
        "three pickles": lambda: twice.getvalue(),
        "marked as encrypted": lambda: small.replace(
            b"PK\x01\x02\0\0\0\0\x08\x08", b"PK\x01\x02" + b"\1" * 6
        ),
        "a zip in a zip": lambda: archive({"data.pkl": small}),
        "nothing": lambda: b"",
        "PK": lambda: b"PK",
        "an empty archive": lambda: archive({}),
        "40 MB of pickle": lambda: archive({"data.pkl": bytes(40 << 20)}),
        "a million lists": lambda: pickled(b"]" * 1_000_000),
        "lists in lists": lambda: pickled(b"]" * 100_000 + b"a" * 99_999),
        "tuples in tuples": lambda: pickled(b")" + b"\x85" * 200_000),
        "doubled tuples": lambda: pickled(b")" + b"q\0h\0\x86" * 200),
        "a huge number": lambda: pickled(
            b"\x8b" + struct.pack("<i", 4_000_000) + b"\x7f" * 4_000_000
        ),
        "a text of 4 GB": lambda: pickled(b"X\xff\xff\xff\xff"),
        "a text of 2^63 bytes": lambda: pickled(b"\x8d" + b"\xff" * 7 + b"\x7f"),
        "an unknown operation": lambda: pickled(b"\xff"),
        "an endless memo": lambda: pickled(b"}" + b"r\xff\xff\xff\x7f"),
        "a storage of 2^60": lambda: _storage(1 << 60),
        "a negative storage": lambda: _storage(-1),
    }
    for what, make in cases.items():
        yield file_made_by(what, "model.pt", make)
    for size, tail in ((3 * GIGABYTE, b"\0"), (3 * GIGABYTE, end), (5 * GIGABYTE, b"\0")):
        for name in ("model.pt", "model.pth", "model.safetensors"):
            what = f"{size >> 30} GB that end in {tail[:2]!r}, {name}"
            yield HostileFile(what, name, partial(write_sparse, size, b"PK\x03\x04", tail))


def _storage(count: int) -> bytes:
    """One tensor whose storage claims so many numbers, where the file has one."""
    data = saved({"a": torch.ones(1)})
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        parts = {entry.partition("/")[2]: file.read(entry) for entry in file.namelist()}
    number = b"\x8a\x08" + count.to_bytes(8, "little", signed=True)
    parts["data.pkl"] = parts["data.pkl"].replace(b"cpuq\x05K\x01", b"cpuq\x05" + number)
    return archive(parts)


def write_sparse(size: int, start: bytes, end: bytes, path: Path) -> None:
    """A file of any size that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(start)
        file.seek(size - len(end))
        file.write(end)


# -- tensors -------------------------------------------------------------------------------


def tensors() -> Iterator[HostileFile]:
    """Payloads with tensors of every kind but plain ones, and values that are none."""
    warnings.simplefilter("ignore")
    one = torch.ones(1 << 20)
    values: dict[str, object] = {
        "expanded": torch.ones(1).expand(1 << 40),
        "expanded twice": torch.ones(1, 1).expand(1 << 20, 1 << 20),
        "sparse": torch.ones(3).to_sparse(),
        "compressed rows": torch.eye(3).to_sparse_csr(),
        "quantised": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "without values": torch.ones(3, device="meta"),
        "complex": torch.ones(3, dtype=torch.complex64),
        "of eight bits": torch.ones(3).to(torch.float8_e4m3fn),
        "a part of a storage": torch.ones(1 << 20)[5:7],
        "upside down": torch.ones(4, 5).t(),
        "empty": torch.ones(0, 5),
        "a parameter": torch.nn.Parameter(torch.ones(3)),
        "a number": 1.5,
        "None": None,
        "a text": "\x1b[31m",
        "a list": [one],
    }
    for what, value in values.items():
        for name, payload in (("model.pth", {"a": value}), ("model.pt", {"weights": {"a": value}})):
            yield file_made_by(f"a tensor that is {what}, {name}", name, partial(saved, payload))
    names: dict[str, object] = {
        "one storage 5,000 times": {f"t{number}": one for number in range(5_000)},
        "8,000 tensors": {f"t{number}": torch.ones(1) for number in range(8_000)},
        "a hostile name": {"\x1b[31m\u202e\n" + "a" * 5000: torch.ones(1)},
        "names that are numbers": {1: torch.ones(1)},
        "no names": [torch.ones(1)],
    }
    for what, named in names.items():
        yield file_made_by(what, "model.pth", partial(saved, named))


# -- safetensors ---------------------------------------------------------------------------


def safetensors() -> Iterator[HostileFile]:
    """Headers that lie about the file."""

    def file(what: str, header: object, size: int | None = None) -> HostileFile:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        length = len(text) if size is None else size
        start = struct.pack("<Q", length)
        return file_of(f"safetensors: {what}", "model.safetensors", start + text + bytes(16))

    def part(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
        return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}

    good = part(0, 16, [4])
    for size in (0, 1, 1000, 1 << 24, 1 << 31, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        yield file(f"a header of {size} bytes", {"a": good}, size=size)
    headers: dict[str, object] = {
        "no tensors": {},
        "a list": [],
        "overlapping": {"a": part(0, 16, [4]), "b": part(8, 16, [2])},
        "the same twice": {"a": good, "b": good},
        "backwards": {"a": part(16, 0, [4])},
        "beyond the end": {"a": part(0, 1 << 40, [1 << 38])},
        "a gap": {"a": part(8, 16, [2])},
        "a shape that overflows": {"a": part(0, 16, [1 << 32, 1 << 32, 4])},
        "a negative shape": {"a": part(0, 16, [-4])},
        "a huge shape": {"a": part(0, 16, [10**30])},
        "another size": {"a": part(0, 16, [5])},
        "an unknown type": {"a": part(0, 16, [4], "F99")},
        "a part without a shape": {"a": {"dtype": "F32", "data_offsets": [0, 16]}},
        "metadata that are numbers": {"a": good, "__metadata__": {"a": 1}},
        "metadata that are deep": {"a": good, "__metadata__": {"fmnist_tui": "[" * 100_000}},
        "50,000 dimensions": {"a": part(0, 16, [1] * 50_000)},
        "100,000 tensors": {f"t{number}": part(0, 0, [0]) for number in range(100_000)},
        "a hostile name": {"\x1b[31m\u202e" + "a" * 5000: good},
    }
    for what, header in headers.items():
        yield file(what, header)
    yield file("one name twice", b'{"a":' + json.dumps(good).encode() + b',"a":{}}')
    yield file("deep", b"[" * 1_000_000)
    yield file("a BOM", b"\xef\xbb\xbf{}")
    yield file("NUL", bytes(1000))
    yield file("spaces", b"{}" + b" " * 10_000_000)
    yield file("a number of 1 MB", b'{"a":' + b"9" * 1_000_000 + b"}")


def onnx_files() -> Iterator[HostileFile]:
    """What predict does not read, with every suffix that it does."""
    # A graph with one initialiser of 2^40 numbers, in a file outside of this folder.
    external = b"\x08\x40\x28\x01B\x01w\x6a\x18\x0a\x08location\x12\x0c/etc/passwd\x70\x01"
    graph = b"\x08\x0a:" + bytes([len(external) + 2]) + b"*" + bytes([len(external)]) + external
    for suffix in ("onnx", "pt", "pth", "safetensors"):
        yield file_of(f"an ONNX graph as {suffix}", f"model.{suffix}", graph)
