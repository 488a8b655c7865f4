"""Running the program like a user: as a process, with real signals and files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.e2e.fork_server import ForkedProcess, ForkServer

# Seconds to wait for anything; a busy machine takes long to start a process.
LIMIT = 120.0
QUICK = [
    "--dataset",
    "sketches",
    "--model",
    "linear",
    "--limit",
    "500",
    "--batch-size",
    "64",
    "--threads",
    "1",
]
FORK_SERVER = ForkServer()
Found = TypeVar("Found")


class Home:
    """The program with a runs folder and a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.runs, self.data = folder / "runs", folder / "data"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("FMNIST_TUI_")},
            "FMNIST_TUI_RUNS": str(self.runs),
            "FMNIST_TUI_DATA": str(self.data),
            "FMNIST_TUI_SETTINGS": str(folder / "settings"),
            "FMNIST_TUI_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "100",
        }

    def start(self, *arguments: str, code: str | None = None) -> ForkedProcess:
        """Start the program in a forked process, which has torch imported already; run `code`
        there before."""
        return FORK_SERVER.start(arguments, self.environment, code)

    def start_cold(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the program in a new interpreter."""
        return subprocess.Popen(
            [sys.executable, "-m", "fmnist_tui", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program in a forked process until it ends."""
        return FORK_SERVER.run(arguments, self.environment)

    def run_cold(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program in a new interpreter until it ends."""
        process = self.start_cold(*arguments)
        out, err = process.communicate(timeout=LIMIT)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def error_line(self, *arguments: str, status: int) -> str:
        """Run the program, which must fail with this status; returns its only error line."""
        done = self.run(*arguments)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        lines = [line for line in done.stderr.splitlines() if line.startswith("fmnist-tui: ")]
        assert len(lines) == 1, done.stderr
        return lines[0]

    def wait_for_steps(self, process: ForkedProcess, steps: int = 20) -> Path:
        """Wait until a training has done so many steps; returns its run folder."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()[1]
            for record in self.runs.glob("*/events.jsonl"):
                progress = [e for e in events(record.parent) if e["is"] == "Progress"]
                if progress and progress[-1]["step"] >= steps:
                    return record.parent
            time.sleep(0.05)
        raise AssertionError(f"the training has not reached step {steps}")


def events(run: Path) -> list[dict[str, Any]]:
    """The events of a run; a line that is still being written is left out."""
    lines = (run / "events.jsonl").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for(condition: Callable[[], Found], seconds: float = LIMIT) -> Found:
    """Wait until a condition is met; returns its value."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)
    return found
