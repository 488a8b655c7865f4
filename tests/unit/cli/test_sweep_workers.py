"""Several workers of a sweep: their shares of the machine, and how they are followed."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

import pytest

from fmnist_tui.cli.support import console
from fmnist_tui.cli.support.sweeps import workers
from fmnist_tui.cli.support.sweeps.result import SweepResult
from fmnist_tui.cli.support.sweeps.shares import Share, share_machine
from fmnist_tui.config import gpu_detect
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.tui.state import job
from tests.unit.sweeps.support import join_study, journal_in

# Behaves as the name of its GPU says.
SCRIPT = """
import json, os, signal, sys
def report(done, what):
    print(json.dumps({"done": done, "total": 6, "what": what}), file=sys.stderr, flush=True)
def end(state, status):
    print(json.dumps({"run": "run", "path": "/run", "state": state, "message": ""}))
    sys.stdout.flush()
    os._exit(status)
signal.signal(signal.SIGTERM, lambda *_: end("stopped", 143))
kind = os.environ["CUDA_VISIBLE_DEVICES"]
report(1.5, "trial 1")
print("trial 0 complete", file=sys.stderr, flush=True)
if kind == "fails":
    print("fmnist-tui: the disk is full", file=sys.stderr)
    sys.exit(1)
if kind == "is killed":
    os.kill(os.getpid(), signal.SIGKILL)
if kind == "interrupts":
    os.kill(os.getppid(), signal.SIGTERM)
if kind in ("interrupts", "runs on"):
    signal.pause()
end("finished", 0)
"""


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> workers.WorkerGroup:
    """A group of which each worker is a script that behaves as its share says."""
    script = tmp_path / "worker.py"
    script.write_text(SCRIPT)
    monkeypatch.setattr(job, "program_command", lambda: ["python", "-S", "-I", str(script)])
    args = argparse.Namespace(runs=str(tmp_path), data=str(tmp_path), trials=None, storage=None)
    return workers.WorkerGroup(args, join_study(journal_in(tmp_path)), tmp_path)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(console, "note", lines.append)
    return lines


def run(group: workers.WorkerGroup, *kinds: str) -> SweepResult:
    return group.run([Share(1, kind) for kind in kinds])


@pytest.mark.parametrize(
    ("settings", "workers", "threads", "gpus", "notes"),
    [
        ({}, 2, [3, 2], ["", ""], []),
        ({"threads": 4}, 6, [4] * 6, [""] * 6, []),
        ({"device": "cpu"}, 6, [1] * 6, [""] * 6, ["6 workers share 5 CPUs"]),
        ({"device": "cuda"}, 2, [3, 2], ["0", "3"], []),
        ({"device": "cuda"}, 3, [2, 2, 1], ["0", "3", "0"], ["3 workers share 2 GPUs"]),
        ({"device": "cuda:1"}, 2, [3, 2], ["", ""], ["2 workers share device cuda:1"]),
    ],
)
def test_each_worker_gets_a_gpu_and_its_share_of_the_cpus(
    settings: dict[str, object],
    workers: int,
    threads: list[int],
    gpus: list[str],
    notes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu_detect, "has_gpu", lambda: False)
    shares, said = share_machine(RunConfig.build(settings), workers, ["0", "3"], cpus=5)
    assert [share.threads for share in shares] == threads
    assert [share.gpu for share in shares] == gpus and said == notes


def test_a_killed_worker_is_said_in_one_line_and_the_others_finish_the_sweep(
    group: workers.WorkerGroup, notes: list[str]
) -> None:
    result = run(group, "finishes", "is killed")
    assert (result.reason, result.status) == ("finished", 0)
    assert [worker["state"] for worker in result.workers] == ["finished", "failed"]
    (line,) = (line for line in notes if "SIGKILL" in line)
    assert line.startswith("worker 2 ended: it was ended by SIGKILL")
    assert "worker 1: trial 0 complete" in notes


def test_the_sweep_fails_where_all_workers_fail(
    group: workers.WorkerGroup, notes: list[str]
) -> None:
    result = run(group, "fails", "fails")
    assert (result.reason, result.message) == ("failed", "the disk is full")
    assert sum("the disk is full" in line for line in notes) == 2


def test_a_signal_stops_all_workers_and_is_the_exit_status(
    group: workers.WorkerGroup, notes: list[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    result = run(group, "runs on", "interrupts")
    assert (result.reason, result.message, result.status) == ("stopped", "SIGTERM", 143)
    assert "SIGTERM: returning the trials to the study" in notes
    assert signal.getsignal(signal.SIGTERM) is before
