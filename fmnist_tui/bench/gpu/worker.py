"""One side of the comparison in a process of its own, so that none changes another's settings.

Run as `python -m fmnist_tui.bench.gpu.worker SIDE`; it reads requests and writes answers, JSON in
lines: `{"prepare": …}` with the fields of a `Work`, then `{"seconds": …}` for each window.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict
from typing import IO, Any, Self

from fmnist_tui.bench.gpu.budget import first_line
from fmnist_tui.bench.gpu.sides import SIDES, ComparedLoop, Window, Work
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import MEGABYTE
from fmnist_tui.util.paths import program_command

# Compiling and capturing are over by then.
WARM_UP_SECONDS = 2.0
# The limit of an answer
TIMEOUT_SECONDS = 300.0


def answer(name: str, requests: Iterable[str], answers: IO[str]) -> None:
    """Answer requests until there are no more."""
    side: ComparedLoop | None = None
    try:
        for line in requests:
            try:
                request = json.loads(line)
                if "prepare" in request:
                    if side is not None:
                        side.close()
                    side, reply = _prepare(name, Work(**request["prepare"]), request["warm_up"])
                else:
                    assert side is not None, "a side is prepared first"
                    reply = {**asdict(side.train(request["seconds"])), **_peak_memory()}
            except Exception as error:  # noqa: BLE001 - it is told to whoever asked
                reply = {"error": first_line(error)}
            answers.write(json.dumps(reply) + "\n")
            answers.flush()
    finally:
        if side is not None:
            side.close()


def _prepare(name: str, work: Work, warm_up: float) -> tuple[ComparedLoop, dict[str, Any]]:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    side: ComparedLoop = SIDES[name](work)
    side.train(warm_up)
    return side, {"precision": side.precision}


def _peak_memory() -> dict[str, float | None]:
    """The most that tensors have taken on the GPU, and that torch has reserved for them."""
    import torch

    if not torch.cuda.is_available():
        return {"allocated_mb": None, "reserved_mb": None}
    return {
        "allocated_mb": torch.cuda.max_memory_allocated() / MEGABYTE,
        "reserved_mb": torch.cuda.max_memory_reserved() / MEGABYTE,
    }


class LoopProcess:
    """The process of a side, seen from outside. Errors there are UserErrors here."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [*program_command("fmnist_tui.bench.gpu.worker"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def prepare(self, work: Work, warm_up: float = WARM_UP_SECONDS) -> str:
        """Build, compile and warm up; returns the precision."""
        return str(self._ask({"prepare": asdict(work), "warm_up": warm_up})["precision"])

    def train(self, seconds: float) -> tuple[Window, float | None, float | None]:
        """Train for at least so long; returns the peaks of memory with it, in MB."""
        reply = self._ask({"seconds": seconds})
        peaks = reply.pop("allocated_mb"), reply.pop("reserved_mb")
        return Window(**reply), *peaks

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        timer = threading.Timer(TIMEOUT_SECONDS, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            raise UserError(f"the {self._name} loop has ended with status {process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise UserError(f"the {self._name} loop has failed: {reply['error']}")
        return reply


if __name__ == "__main__":
    # What libraries print must not come between the answers.
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        answer(sys.argv[1], sys.stdin, out)
