"""Several processes on GPUs: the workers of a sweep, and one run on all GPUs.

One GPU shows what a layer computes over NCCL, with a single process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import HashStore  # type: ignore[attr-defined]

from fmnist_tui.config.gpu_detect import visible_gpus
from fmnist_tui.engine.distributed.batch_norm import share_batch_statistics
from tests.e2e.support import QUICK, Home, events
from tests.e2e.test_several_processes import RICH, losses, newest
from tests.e2e.test_sweep import SEARCH, write_sweep
from tests.engine.distributed.test_batch_norm import normalise

# Without any, all tests of this folder are skipped for that reason.
NEEDS_TWO = pytest.mark.skipif(
    torch.cuda.is_available() and len(visible_gpus()) < 2, reason="needs two NVIDIA GPUs"
)


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


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 5e-2)])
def test_batch_normalisation_over_processes_works_on_channels_last_images(
    dtype: torch.dtype, tolerance: float
) -> None:
    images = torch.randn(8, 4, 6, 6, device="cuda", dtype=dtype)
    plain, shared = (nn.BatchNorm2d(4, device="cuda") for _ in range(2))
    dist.init_process_group("nccl", store=HashStore(), rank=0, world_size=1)
    try:
        share_batch_statistics(shared)
        for mine, expected in zip(normalise(shared, images), normalise(plain, images), strict=True):
            torch.testing.assert_close(mine, expected, rtol=tolerance, atol=tolerance)
    finally:
        dist.destroy_process_group()


@NEEDS_TWO
def test_one_run_trains_on_all_gpus_and_resumes_on_one(home: Home) -> None:
    count = len(visible_gpus())
    words = [*QUICK, "--batch-size", str(32 * count), "--device", "cuda"]
    run_cold(home, "train", *words, "--epochs", "2", "--devices", str(count))
    run_cold(home, "train", "--resume", "last", "--epochs", "3", "--devices", "1")
    (run,) = (path for path in home.runs.iterdir() if path.is_dir())
    started = [event for event in events(run) if event["is"] == "RunStarted"]
    assert [event["processes"] for event in started] == [count, 1]


@NEEDS_TWO
@pytest.mark.timeout(300)
def test_two_gpus_train_the_run_that_one_trains(home: Home) -> None:
    train = ["train", *RICH, "--device", "cuda", "--epochs", "2"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node=2", "-m", "fmnist_tui", *train]
    done = subprocess.run(command, env=home.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shared = newest(home)
    (started,) = (event for event in events(shared) if event["is"] == "RunStarted")
    assert (started["device"], started["processes"]) == ("cuda:0", 2)
    run_cold(home, *train)
    assert losses(shared) == pytest.approx(losses(newest(home)), rel=1e-4)
