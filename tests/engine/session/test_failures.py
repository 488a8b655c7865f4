"""Too little memory and a failed GPU: named in the record, with what helps."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fmnist_tui.engine.run import failures
from fmnist_tui.engine.run.failures import GpuFailed, NoKernels, OutOfMemory, explain
from fmnist_tui.engine.session.run_training import _TrainingRun
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.step.training_step import TrainingStep
from fmnist_tui.engine.training.trainer import Trainer
from fmnist_tui.protocol.events import FAILED
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.util.errors import UserError
from tests.engine.support import PATIENCE, config, train, wait_for_end

CUDA_FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
CPU_FULL = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory:"
    " you tried to allocate 4096 bytes. Error code 12 (Cannot allocate memory)"
)
FAULT = RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be async")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (CUDA_FULL, OutOfMemory, "the GPU has too little memory"),
        (CPU_FULL, OutOfMemory, "this machine has too little memory"),
        (MemoryError("Unable to allocate 3 GiB"), OutOfMemory, "this machine has too little"),
        (RuntimeError("CUDA error: out of memory"), OutOfMemory, "the GPU has too little memory"),
        (FAULT, GpuFailed, "(CUDA error: device-side assert triggered): start fmnist-tui again"),
        (torch.AcceleratorError("an unknown fault"), GpuFailed, "(an unknown fault): start"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), GpuFailed, "start fmnist"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), OutOfMemory, "the GPU has too"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_INTERNAL_ERROR when calling"), GpuFailed, "start"),
        (RuntimeError("NCCL error in: a.cpp, ncclUnhandledCudaError: Call"), GpuFailed, "start"),
        (RuntimeError("CUDA error: no kernel image is available"), NoKernels, "--device cpu"),
    ],
)
def test_a_failure_is_recognised_by_its_words(
    error: Exception, kind: type[UserError], text: str
) -> None:
    failure = explain(error)
    assert isinstance(failure, kind) and text in str(failure) and "\n" not in str(failure)


@pytest.mark.parametrize(
    "error",
    [
        *(RuntimeError("a surprise"), ValueError("out of memory"), OSError()),
        RuntimeError("CUDA error: operation not permitted when stream is capturing"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
    ],
)
def test_any_other_exception_is_none(error: Exception) -> None:
    assert explain(error) is None


def fail_at(monkeypatch: pytest.MonkeyPatch, error: Exception, step: int) -> None:
    apply = Trainer._execute_commands

    def failing(trainer: Trainer) -> None:
        if trainer.learner.step == step:
            raise error
        apply(trainer)

    monkeypatch.setattr(Trainer, "_execute_commands", failing)


@pytest.mark.parametrize(("error", "whose"), [(CUDA_FULL, "the GPU"), (CPU_FULL, "this machine")])
def test_running_out_of_memory_says_with_which_batch_size_the_run_goes_on(
    session: Session, monkeypatch: pytest.MonkeyPatch, error: Exception, whose: str
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, error, 6)
        run, _ = wait_for_end(session, session.train(config(batch_size=16, epochs=3)), FAILED)
    assert replay(run.events).message == (
        f"{whose} has too little memory for batch_size = 16; try batch_size = 8;"
        f" `fmnist-tui train --fork {run.id} --batch-size 8` goes on from step 4"
    )
    wait_for_end(session, session.fork(run, "last", config(batch_size=8, epochs=3)))


@pytest.fixture
def lost_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the GPU of this process has failed with is forgotten after the test."""
    monkeypatch.setattr(failures, "_failed", [])


def test_after_a_device_fault_the_process_refuses_the_gpu_and_names_the_command(
    session: Session, monkeypatch: pytest.MonkeyPatch, lost_later: None
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, FAULT, 6)
        run, _ = wait_for_end(session, session.train(config(epochs=3)), FAILED)
    message = replay(run.events).message
    assert message.startswith("the GPU failed in this process (CUDA error: device-side assert")
    assert message.endswith(f"`fmnist-tui train --resume {run.id}` goes on from step 4")
    refused = session.resume(run, config(epochs=3, device="auto"))
    assert refused.wait(PATIENCE)
    assert isinstance(refused.error, GpuFailed) and "start fmnist-tui again" in str(refused.error)
    with pytest.raises(GpuFailed, match=r"device-side assert.*start fmnist-tui again"):
        session.evaluate(run, "val").result(PATIENCE)
    # "or use --device cpu" is true.
    wait_for_end(session, session.resume(run, config(epochs=3)))


class FailedGpu(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A GPU that answers every call with an error, as after a device fault."""

    def __torch_dispatch__(self, func: Any, *_: Any) -> Any:
        raise RuntimeError(f"CUDA error: {func} was called after the fault")


@pytest.mark.parametrize("where", ["in a step", "in a validation", "in a search"])
def test_after_a_device_fault_no_later_call_hides_it(
    session: Session, monkeypatch: pytest.MonkeyPatch, lost_later: None, where: str
) -> None:
    with contextlib.ExitStack() as gpu:

        def fail(*_: object) -> None:
            gpu.enter_context(FailedGpu())  # type: ignore[no-untyped-call]
            raise FAULT

        def run_to_end(run: _TrainingRun, *arguments: Any) -> None:
            with gpu:
                run_anyhow(run, *arguments)

        run_anyhow = _TrainingRun.run
        monkeypatch.setattr(_TrainingRun, "run", run_to_end)
        settings = config(ema=0.9)
        if where == "in a search":
            monkeypatch.setattr(
                "fmnist_tui.engine.training.lr_finder.check_batch_count", lambda *_: None
            )
            monkeypatch.setattr(TrainingStep, "read_totals", fail)
            training = session.find_lr(settings)
        else:
            if where == "in a step":
                monkeypatch.setattr(TrainingStep, "run", fail)
            else:
                monkeypatch.setattr("fmnist_tui.engine.training.learner.predict_logits", fail)
            training = session.train(settings)
        run, _ = wait_for_end(session, training, FAILED)
    assert "(CUDA error: device-side assert triggered)" in replay(run.events).message
    assert not (run.path / "traceback.txt").exists()
    assert training.error is None


def test_a_device_fault_before_the_first_checkpoint_names_the_command_that_begins_again(
    session: Session, monkeypatch: pytest.MonkeyPatch, lost_later: None
) -> None:
    fail_at(monkeypatch, FAULT, 0)
    run, _ = wait_for_end(session, session.train(config()), FAILED)
    assert replay(run.events).message.endswith(f"`fmnist-tui train --resume {run.id}` begins again")


def test_a_device_fault_in_a_small_job_is_remembered_also_for_classifiers_in_use(
    session: Session, lost_later: None
) -> None:
    run = train(session, config())
    session.evaluate(run, "val", device="auto").result(PATIENCE)

    def fault(_: Any) -> None:
        raise FAULT

    with pytest.raises(GpuFailed):
        session.submit(fault).result(PATIENCE)
    with pytest.raises(GpuFailed, match="start fmnist-tui again"):
        session.evaluate(run, "val", device="auto").result(PATIENCE)
    session.evaluate(run, "val", device="cpu").result(PATIENCE)


def test_a_small_job_that_finds_no_memory_says_so(session: Session) -> None:
    def full(_: Any) -> None:
        raise CPU_FULL

    with pytest.raises(UserError, match="too little memory for this: close other programs"):
        session.submit(full).result(PATIENCE)
