"""Several processes on GPUs: the workers of a sweep, and one run on all GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.config.gpu_detect import visible_gpus
from tests.e2e.support import QUICK, Home, events
from tests.e2e.test_sweep import SEARCH, write_sweep


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def run_cold(home: Home, *words: str) -> None:
    """Run the program in a new interpreter: CUDA cannot be used in forks."""
    done = home.run_cold(*words)
    assert done.returncode == 0, done.stderr


def test_the_workers_of_a_sweep_train_on_gpus(home: Home) -> None:
    path = write_sweep(home.runs.parent, SEARCH)
    run_cold(home, "sweep", path, "--workers", "2", "--device", "cuda")
    started = [
        event
        for run in home.runs.glob("*/trials/*")
        for event in events(run)
        if event["is"] == "RunStarted"
    ]
    assert len(started) == 3 and all(event["device"].startswith("cuda") for event in started)


def test_one_run_trains_on_all_gpus_and_resumes_on_one(home: Home) -> None:
    count = len(visible_gpus())
    if count < 2:
        pytest.skip("needs two GPUs")
    words = [*QUICK, "--batch-size", str(32 * count), "--device", "cuda"]
    run_cold(home, "train", *words, "--epochs", "2", "--devices", str(count))
    run_cold(home, "train", "--resume", "last", "--epochs", "3", "--devices", "1")
    (run,) = (path for path in home.runs.iterdir() if path.is_dir())
    started = [event for event in events(run) if event["is"] == "RunStarted"]
    assert [event["processes"] for event in started] == [count, 1]
