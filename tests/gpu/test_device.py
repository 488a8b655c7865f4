"""Number formats, repeatable kernels, the choice of a GPU, and a GPU that fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from fmnist_tui.cli.commands import doctor
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.engine.device import TrainingDevice, choose_device
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import Alert, RunStarted
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader, replay
from tests.engine.support import Listener, config, digest, train


def largest_errors(device: TrainingDevice) -> tuple[float, float]:
    """Of a product and of a convolution as in a training, relative to the largest value."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(512, 512, generator=generator) for _ in range(2))
    images = torch.randn(16, 32, 24, 24, generator=generator)
    filters = torch.randn(32, 32, 3, 3, generator=generator)
    place = device.torch_device
    with device.training_numerics(pytest.fail):
        product = (left.to(place) @ right.to(place)).cpu().double()
        convolved = F.conv2d(images.to(place), filters.to(place)).cpu().double()
    exact = left.double() @ right.double(), F.conv2d(images.double(), filters.double())
    errors = [
        float((found - true).abs().max() / true.abs().max())
        for found, true in zip((product, convolved), exact, strict=True)
    ]
    return errors[0], errors[1]


def test_fp32_is_true_single_precision() -> None:
    assert max(largest_errors(choose_device(config(device="cuda", precision="fp32")))) < 1e-5


def test_tf32_rounds_factors_to_ten_bits() -> None:
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("needs an NVIDIA GPU of the Ampere generation or newer")
    errors = largest_errors(choose_device(config(device="cuda", precision="tf32")))
    assert min(errors) > 1e-5 and max(errors) < 1e-2


def last_weights(run: RunFolder) -> str:
    return digest(CheckpointStore(run.checkpoints).load("last")[0]["weights"])


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_two_runs_with_the_same_settings_have_the_same_weights(
    session: Session, precision: str
) -> None:
    settings = config(
        device="cuda", precision=precision, model="custom-cnn", epochs=2, ema=0.9, mixup=0.4, crop=2
    )
    first, second = (train(session, settings) for _ in range(2))
    assert last_weights(first) == last_weights(second)
    alerts = [event for event in EventReader(first.events).read_all() if isinstance(event, Alert)]
    assert not [alert.message for alert in alerts if "repeatable" in alert.message]


def test_a_run_with_the_fastest_kernels_does_not_change_the_runs_after_it(
    session: Session,
) -> None:
    settings = config(device="cuda", model="custom-cnn", epochs=2)
    before = train(session, settings)
    train(session, settings.changed(deterministic=False))
    assert last_weights(train(session, settings)) == last_weights(before)


def test_an_operation_that_varies_is_named() -> None:
    told: list[str] = []
    device = choose_device(config(device="cuda"))
    images = torch.randn(2, 3, 8, 8, device=device.torch_device, requires_grad=True)
    with device.training_numerics(told.append):
        F.interpolate(images, scale_factor=2, mode="bilinear").sum().backward()  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    assert len(told) == 1 and "upsample_bilinear2d_backward" in told[0]


def test_a_run_on_the_second_gpu_uses_no_memory_of_the_first(session: Session) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    before = torch.cuda.memory_allocated(0)
    listener = Listener(session.train(config(device="cuda:1", model="two-conv", epochs=2)))
    listener.wait_for_end()
    started = next(event for event in listener.events if isinstance(event, RunStarted))
    assert started.device == "cuda:1" and torch.cuda.memory_allocated(0) == before
    assert torch.cuda.max_memory_allocated(1) > 0


def test_doctor_lists_the_gpus_and_names_the_one_that_auto_takes() -> None:
    *gpus, all_of_them = doctor._check_gpus()
    assert len(gpus) == torch.cuda.device_count() and all(gpu.ok for gpu in gpus)
    assert "GB free" in gpus[0].found and "compute capability" in gpus[0].found
    assert "driver" in all_of_them.found and "`auto` takes cuda:" in all_of_them.found


FAULT = """
import sys
from pathlib import Path

import torch

from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.training.trainer import Trainer
from tests.engine.support import config

take = Trainer._execute_commands

def fault(trainer):
    if trainer.learner.step >= 40:
        numbers = torch.zeros(4, device="cuda")
        numbers[torch.tensor([99], device="cuda")].sum().item()
    take(trainer)

Trainer._execute_commands = fault
with Session(Path(sys.argv[1]), Path("/nonexistent")) as session:
    training = session.train(config(device="cuda", model="two-conv", epochs=9, limit=512))
    assert training.wait(120)
    try:
        session.evaluate(training.folder, "val", device="cuda").result(60)
    except Exception as error:
        print(error)
"""


def test_after_a_device_fault_the_run_names_the_command_and_the_process_ends(
    tmp_path: Path,
) -> None:
    """In a process of its own: the fault is real, and the GPU is lost to it."""
    done = subprocess.run(
        [sys.executable, "-c", FAULT, str(tmp_path)], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    (folder,) = [RunFolder.open(path) for path in tmp_path.iterdir() if path.is_dir()]
    message = replay(folder.events).message
    assert message.startswith("the GPU failed in this process (CUDA error: device-side assert")
    command = f"`fmnist-tui train --resume {folder.id}`"
    assert f"start fmnist-tui again, or use --device cpu; {command} goes on from step" in message
    assert "start fmnist-tui again" in done.stdout
