"""Two GPUs train the run that one trains, started by torchrun over NCCL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.e2e.support import Home, events
from tests.e2e.test_several_processes import RICH, losses, newest

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two NVIDIA GPUs"),
    pytest.mark.timeout(300),
]
ON_GPUS = [*RICH, "--device", "cuda", "--epochs", "2"]


def test_two_gpus_train_the_run_that_one_trains(tmp_path: Path) -> None:
    home = Home(tmp_path)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node=2", "-m", "fmnist_tui", "train", *ON_GPUS]
    done = subprocess.run(command, env=home.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shared = newest(home)
    (started,) = (event for event in events(shared) if event["is"] == "RunStarted")
    assert (started["device"], started["processes"]) == ("cuda:0", 2)
    assert home.run_cold("train", *ON_GPUS).returncode == 0
    assert losses(shared) == pytest.approx(losses(newest(home)), rel=1e-4)
