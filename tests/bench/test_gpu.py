"""The GPU benchmark in a small form on the CPU: every part of it runs, except for the compiler."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch

from fmnist_tui.bench.gpu import loops, measure, sides, worker
from fmnist_tui.bench.gpu.accuracy_time import AccuracyTime, AccuracyTimer, Target
from fmnist_tui.bench.gpu.budget import Budget
from fmnist_tui.bench.gpu.dashboard import DashboardCost
from fmnist_tui.bench.gpu.loops import LoopRow, SideSpeed, compare_loops
from fmnist_tui.bench.gpu.markdown import format_report
from fmnist_tui.bench.gpu.measure import GpuReport, measure_gpu
from fmnist_tui.bench.gpu.memory import MemoryGrowth, measure_growth
from fmnist_tui.bench.gpu.sides import OURS, PLAIN, TUNED, Window, Work
from fmnist_tui.bench.machine import describe_machine
from fmnist_tui.bench.screen import Latency
from fmnist_tui.cli import main
from fmnist_tui.engine.session import run_training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.util.errors import UserError
from tests.engine.conftest import session
from tests.engine.support import blobs

__all__ = ["session"]

WORK = Work("/nowhere", "sketches", "cpu", "linear", 16)
SMALL = {"device": "cpu", "limit": 200, "threads": 1}


@pytest.fixture(autouse=True)
def small_data(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sides, measure):
        monkeypatch.setattr(module, "load_dataset", lambda name, data_dir: blobs(64))
    monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: blobs(64))


def request(**changes: Any) -> str:
    prepare = {"prepare": {**WORK_FIELDS, **changes}, "warm_up": 0.01}
    return json.dumps(prepare)


WORK_FIELDS = {field: getattr(WORK, field) for field in WORK.__slots__}


@pytest.mark.parametrize("name", [PLAIN, TUNED, OURS])
def test_a_side_trains_for_as_long_as_it_is_told_to(name: str) -> None:
    answers = StringIO()
    requests = [request(), json.dumps({"seconds": 0.05}), json.dumps({"seconds": 0.05})]
    worker.answer(name, requests, answers)
    ready, *windows = map(json.loads, answers.getvalue().splitlines())
    assert ready["precision"] in ("fp32", "bf16")
    for window in windows:
        assert window["images"] > 0 and window["images"] % 16 == 0
        assert 0 < window["seconds"] <= window["whole_seconds"]


def test_what_fails_in_a_side_is_told_in_one_line() -> None:
    answers = StringIO()
    worker.answer(TUNED, [request(model="no-such"), json.dumps({"seconds": 1})], answers)
    first, second = map(json.loads, answers.getvalue().splitlines())
    assert "no-such" in first["error"] and "\n" not in first["error"]
    assert "prepared first" in second["error"]


def test_a_process_that_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-c", "import sys; sys.stdin.readline(); sys.exit(3)"]
    monkeypatch.setattr(worker, "program_command", lambda module: command)
    with (
        worker.LoopProcess(PLAIN) as process,
        pytest.raises(UserError, match="plain loop has ended with status 3"),
    ):
        process.prepare(WORK)


class FakeProcess:
    """A process of a side that trains so many images a second, or cannot be prepared."""

    speeds = {PLAIN: iter(()), TUNED: iter(()), OURS: iter(())}
    turns: list[str] = []

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> FakeProcess:
        return self

    def __exit__(self, *_: object) -> None: ...

    def prepare(self, work: Work) -> str:
        if self.name == TUNED and work.batch == 512:
            raise UserError("it does not compile")
        return "bf16"

    def train(self, seconds: float) -> tuple[Window, float | None, float | None]:
        self.turns.append(self.name)
        images = {PLAIN: 10, TUNED: 100, OURS: 50 * len(self.turns)}[self.name]
        return Window(images, 1.0, 2.0), 5.0, 6.0


def test_the_sides_train_in_turns_and_one_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loops, "LoopProcess", FakeProcess)
    said: list[str] = []
    budget = Budget(1000.0, said.append)
    works = [Work("", "fashion", "cuda", "two-conv", batch) for batch in (256, 512)]
    first, second = compare_loops(works, budget, said.append, turns=3, seconds=5.0)
    assert FakeProcess.turns[:9] == [PLAIN, TUNED, OURS] * 3
    # Ours had 150, 300 and 450 images a second.
    assert first.ratio(PLAIN) == 30.0 and first.ratio(TUNED) == 3.0
    assert first.sides[OURS].whole_median == 150.0
    assert set(second.sides) == {PLAIN, OURS} and second.ratio(TUNED) is None
    assert budget.left_out == ["two-conv, batch 512, tuned: it does not compile"]
    assert compare_loops(works, Budget(60.0, said.append), said.append) == ()
    assert "left out: throughput of two-conv, batch 256: takes about 105 s" in said[-2]


@pytest.fixture
def timer(session: Session, tmp_path: Path) -> Iterator[tuple[AccuracyTimer, Budget]]:
    budget = Budget(600.0, lambda line: None)
    yield AccuracyTimer(session, tmp_path / "trials", budget, lambda line: None), budget


def test_the_epochs_are_chosen_on_validation_and_each_seed_reads_the_test_once(
    session: Session, timer: tuple[AccuracyTimer, Budget], tmp_path: Path
) -> None:
    target = Target(0.3, "fast", (1, 2), 1.0, dataset="sketches")
    changes = {**SMALL, "width": 0.1, "batch_size": 16}
    measured = timer[0].measure(target, changes, seeds=2, margin=-0.25)
    assert measured is not None and measured.epochs == 1
    assert len(measured.accuracies) == len(measured.seconds) == 2
    both = zip(measured.seconds, measured.step_seconds, strict=True)
    assert all(warm >= steps > 0 for warm, steps in both)
    trials = [path.read_text() for path in tmp_path.glob("trials/*/events.jsonl")]
    assert len(trials) == 3 and not any('"split":"test"' in record for record in trials)
    runs = [path.read_text() for path in session.runs_dir.glob("*/events.jsonl")]
    assert [record.count('"split":"test"') for record in runs] == [1, 1]


def test_an_accuracy_that_validation_does_not_reach_is_left_out(
    timer: tuple[AccuracyTimer, Budget],
) -> None:
    target = Target(0.99, "one-conv", (1,), 1.0, dataset="sketches")
    assert timer[0].measure(target, {**SMALL, "limit": 50}, margin=0.5) is None
    assert timer[1].left_out == [
        "time to 99 % on sketches by one-conv: none of 1 epochs reach 149.00 % on validation"
    ]


def test_the_memory_after_each_training_is_measured(session: Session, tmp_path: Path) -> None:
    settings = {**SMALL, "model": "linear", "dataset": "sketches", "epochs": 1}
    growth = measure_growth(session, settings, tmp_path, count=3)
    assert len(growth.resident_mb) == 3
    assert growth.growth(growth.resident_mb) == growth.resident_mb[2] - growth.resident_mb[1]
    assert growth.growth(growth.allocated_mb) is None


def test_the_tables_tell_what_was_measured_and_what_was_not() -> None:
    target = Target(0.94, "fast", (10,), 1.0)
    times = AccuracyTime(target, 10, 0.95, (0.939, 0.940), (1.0, 1.2), (0.8, 0.9))
    sides = {
        PLAIN: SideSpeed("fp32", (5000.0,), (5000.0,)),
        OURS: SideSpeed("bf16", (500_000.0,), (300_000.0,), 100.0, 200.0),
    }
    report = GpuReport(
        (times,),
        (LoopRow("two-conv", 256, sides),),
        DashboardCost((Latency("data", 50, 8.0, 20.0),), (100.0,), (98.0,)),
        MemoryGrowth((900.0, 910.0, 911.0), (50.0, 51.0, 51.0), (60.0, 61.0, 61.0)),
        ("time to 96 %: takes about 900 s, 10 s are left",),
    )
    machine = {**describe_machine(), "gpu": "NVIDIA H100", "gpu_memory_mb": 80_000, "driver": "580"}
    text = format_report(report, machine)
    assert text.startswith("One NVIDIA H100 (80,000 MiB, driver 580)")
    assert "| 94 % fashion | `fast` | 10 | 2 | 93.95 ± 0.07 % | 1.10 ± 0.14 |" in text
    assert "| no |" in text, "what is not reached is not shown as reached"
    row = "| `two-conv` | 256 | 5,000 | – | 500,000 | 100.00× | – | 300,000 | 100 / 200 MB |"
    assert row in text
    assert "- time to 96 %: takes about 900 s, 10 s are left" in text
    json.dumps(report.to_plain())


def test_what_fails_or_does_not_fit_is_left_out_and_the_rest_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no terminal\nhere")

    monkeypatch.setattr(loops, "LoopProcess", FakeProcess)
    monkeypatch.setattr(measure, "measure_dashboard", fail)
    monkeypatch.setattr(measure, "measure_growth", partial(measure_growth, count=3))
    monkeypatch.setattr(measure, "QUICK", 1)
    targets = (Target(0.9, "fast", (1,), 1.0, dataset="mnist"), Target(0.96, "best", (1,), 9000.0))
    monkeypatch.setattr(measure, "is_present", lambda name, data_dir: name == "fashion")
    report = measure_gpu(tmp_path, 1000.0, lambda line: None, device="cpu", targets=targets)
    assert len(report.loops) == 3 and report.times == () and report.dashboard is None
    said: list[str] = []
    some = measure_gpu(tmp_path, 1000.0, said.append, ["times"], "cpu", ())
    assert some.to_plain().keys() == report.to_plain().keys() and not said
    assert report.memory is not None and len(report.memory.resident_mb) == 3
    mnist, dashboard, loop, best = report.left_out
    assert mnist == "time to 90 % on mnist by fast: mnist is not on this machine"
    assert loop == "wide-resnet, batch 512, tuned: it does not compile"
    assert dashboard == "dashboard: ValueError: no terminal here"
    assert best.startswith("time to 96 % by best: takes about 9000 s")


def test_without_a_gpu_nothing_is_measured_and_the_status_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no NVIDIA GPU that torch can use: nothing was measured"):
        measure_gpu(tmp_path, 1.0, print)
    assert main.run(["bench", "--part", "gpu"]) == 1
    assert "no NVIDIA GPU that torch can use: nothing was measured" in capsys.readouterr().err


def test_the_gpu_suite_is_collected_and_skipped_with_one_reason() -> None:
    folder = Path(__file__).parents[1] / "gpu"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", folder],
        cwd=folder.parents[1],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    [count] = re.findall(r"collected (\d+) items", done.stdout)
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert skipped == [f"SKIPPED [{count}] tests/gpu: no NVIDIA GPU that torch can use"]
