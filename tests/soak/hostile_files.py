"""Reading hostile files in forked processes: each must be read or refused in one line.

Within limits of time and memory, without a word on the standard streams, and without executing
anything. A file that ends its process or never comes back loses its own trial only.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text
from tests.soak.concern import Tally

SECONDS = 1.0
"""Of CPU time, for one file."""
MEMORY = 256 << 20
"""Bytes beyond those of the process before it reads a file."""
# A process that needs more is stopped by the kernel: its own limit comes first.
ADDRESS_SPACE = 2 << 30
# Until a process that says nothing is killed; a busy machine makes it slow.
PATIENCE = 120.0
LINE_LIMIT, MAX_LINES = 1500, 25
PROOF = "executed"
"""The file that is made beside the hostile ones by whatever in them is executed."""


@dataclass(frozen=True)
class HostileFile:
    """A file of this name in a folder of its own, and what writes it there."""

    what: str
    name: str
    write: Callable[[Path], object]


def file_of(what: str, name: str, data: bytes) -> HostileFile:
    """A file of these bytes."""
    return HostileFile(what, name, partial(_write_bytes, data))


def file_made_by(what: str, name: str, make: Callable[[], bytes]) -> HostileFile:
    """A file of bytes that take long to make, and are made only where it is read."""
    return HostileFile(what, name, lambda path: path.write_bytes(make()))


def _write_bytes(data: bytes, path: Path) -> None:
    path.write_bytes(data)


def mutations(what: str, name: str, data: bytes, count: int) -> list[HostileFile]:
    """The data with a few bytes changed, removed, doubled or moved, differently each time."""
    return [
        HostileFile(f"{what}, mutation {seed}", name, partial(_write_mutation, data, seed))
        for seed in range(count)
    ]


def truncations(what: str, name: str, data: bytes) -> list[HostileFile]:
    """The data cut off at every hundredth of its length."""
    return [
        file_of(f"{what}, {percent} % of it", name, data[: len(data) * percent // 100])
        for percent in range(100)
    ]


def _write_mutation(data: bytes, seed: int, path: Path) -> None:
    path.write_bytes(mutate(data, random.Random(f"{len(data)} {seed}")))


def mutate(data: bytes, dice: random.Random) -> bytes:
    """The data with one to four changes; half of them in its first part, where headers are."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        end = len(changed) if dice.random() < 0.5 else min(len(changed), 64)
        start = dice.randrange(max(1, end))
        length = dice.choice((1, 1, 2, 4, 8, 64))
        part = bytes(changed[start : start + length])
        kind = dice.randrange(6)
        if kind == 0 and part:
            changed[start] ^= 1 << dice.randrange(8)
        elif kind == 1:
            changed[start : start + length] = dice.randbytes(length)
        elif kind == 2:
            changed[start : start + length] = dice.choice((b"\0", b"\xff", b"\x7f")) * length
        elif kind == 3:
            del changed[start : start + length]
        elif kind == 4:
            changed[start:start] = part * dice.choice((1, 2, 50))
        else:
            other = dice.randrange(max(1, len(changed)))
            changed[start : start + length] = changed[other : other + length]
    return bytes(changed)


def read_all(
    tally: Tally,
    files: Sequence[HostileFile],
    read: Callable[[Path], object],
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> None:
    """Read every file with `read`, which may raise a UserError; what is lost is in the tally."""
    folder = tally.folder / f"files-{tally.tried}"
    folder.mkdir()
    position = 0
    while position < len(files):
        with _Reader(folder, files[position:], read, (seconds, memory)) as reader:
            for done, faults in reader.results():
                tally.tried += 1
                for fault in faults:
                    tally.lose(files[position + done].what, fault)
            position += reader.done
    if (folder / PROOF).exists():
        tally.lose(f"{files[0].what} and the like", "something in them was executed")


class _Reader:
    """A forked process that reads files until one of them ends it."""

    def __init__(
        self,
        folder: Path,
        files: Sequence[HostileFile],
        read: Callable[[Path], object],
        limits: tuple[float, int],
    ) -> None:
        self._files, self.done = files, 0
        out, into = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                os.close(out)
                with os.fdopen(into, "w", buffering=1) as answers:
                    _read_in_child(folder, files, read, limits, answers)
                status = 0
            finally:
                os._exit(status)
        os.close(into)
        self._answers = os.fdopen(out)

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._answers.close()

    def results(self) -> list[tuple[int, list[str]]]:
        """The faults of every file, until the process ends; those of the last one say how."""
        results: list[tuple[int, list[str]]] = []
        while self.done < len(self._files):
            is_ready = select.select([self._answers], [], [], PATIENCE)[0]
            line = self._answers.readline() if is_ready else ""
            faults = json.loads(line) if line.endswith("\n") else [self._how_it_ended(is_ready)]
            results.append((self.done, faults))
            self.done += 1
            if not line.endswith("\n"):
                break
        return results

    def _how_it_ended(self, has_ended: object) -> str:
        if not has_ended:
            return f"no answer within {PATIENCE:.0f} s"
        ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        status = ended.si_status if ended else 0
        return f"the process that read it ended with status {status}"


def _read_in_child(
    folder: Path,
    files: Sequence[HostileFile],
    read: Callable[[Path], object],
    limits: tuple[float, int],
    answers: IO[str],
) -> None:
    os.chdir(folder)
    said = os.open("said", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    gc.freeze()
    if "torch" in sys.modules:
        # The threads of the parent do not exist here.
        sys.modules["torch"].set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = _memory("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE, resource.RLIM_INFINITY))
    for number, file in enumerate(files):
        place = folder / f"{number}-{os.getpid()}"
        place.mkdir()
        file.write(place / file.name)
        faults = _read_one(place / file.name, read, limits)
        os.lseek(said, 0, os.SEEK_SET)
        if printed := os.read(said, 300):
            faults.append(f"it printed {printed!r}")
            os.ftruncate(said, 0)
        answers.write(json.dumps(faults) + "\n")
        _remove(place)


def _read_one(path: Path, read: Callable[[Path], object], limits: tuple[float, int]) -> list[str]:
    faults = []
    before = _reset_peak()
    start = time.process_time()
    try:
        read(path)
    except UserError as error:
        faults += find_unsafe_lines(str(error))
    except BaseException as error:  # noqa: BLE001
        faults.append(f"{type(error).__name__}: {str(error)[:300]}")
    seconds, memory = time.process_time() - start, _memory("VmHWM") - before
    if seconds > limits[0]:
        faults.append(f"{seconds:.1f} s of CPU time")
    if memory > limits[1]:
        faults.append(f"{memory >> 20} MB")
    return faults


def find_unsafe_lines(message: str) -> list[str]:
    """What is wrong with a message; a config's has a line for each problem."""
    lines = message.split("\n")
    bad = [line for line in lines if line != safe_text(line) or not 0 < len(line) < LINE_LIMIT]
    faults = [f"not a safe line: {line[:300]!r}" for line in bad[:1]]
    return faults if len(lines) <= MAX_LINES else [*faults, f"{len(lines)} lines"]


def _reset_peak() -> int:
    """Start to measure the greatest amount of memory again; returns the present one."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"/proc/self/status has no {key}")


def _remove(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
