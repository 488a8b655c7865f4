"""The kernels and number formats of CUDA: set for a run or an evaluation, and restored.

The settings exist without a GPU, and some operations of the CPU have no kernel that repeats."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch

from fmnist_tui.engine.device import TrainingDevice, choose_device
from fmnist_tui.engine.gpu import numerics
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.training.trainer import Trainer
from fmnist_tui.engine.training.training_end import TrainingEnd
from fmnist_tui.protocol.events import STOPPED
from fmnist_tui.runs.jsonl_reader import replay
from tests.engine.support import config, wait_for_end

Flags = tuple[bool, ...]
REPEATABLE = (False, False, True, False, True)


def flags() -> Flags:
    """TF32 in products and in convolutions, repeatable and fastest kernels of cuDNN, repeatable
    operations of torch."""
    cudnn = torch.backends.cudnn
    return (
        *(torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32),
        *(cudnn.deterministic, cudnn.benchmark, torch.are_deterministic_algorithms_enabled()),
    )


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Every test leaves the process as it was: that is half of what they are about."""
    before = flags(), warnings.showwarning, list(warnings.filters)
    yield
    assert (flags(), warnings.showwarning, list(warnings.filters)) == before


@pytest.fixture
def as_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let devices call themselves GPUs: the settings are then made as on one."""
    monkeypatch.setattr(TrainingDevice, "is_cuda", True)


def vary() -> None:
    """An operation that has no kernel whose results repeat, on the CPU either."""
    torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"precision": "fp32"}, REPEATABLE),
        ({"precision": "bf16"}, REPEATABLE),
        ({"precision": "tf32"}, (True, True, True, False, True)),
        ({"precision": "fp32", "deterministic": False}, (False, False, False, True, False)),
    ],
)
def test_fp32_has_no_tf32_and_what_need_not_repeat_may_be_fast(
    as_cuda: None,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, object],
    expected: Flags,
) -> None:
    monkeypatch.setattr("fmnist_tui.engine.device._resolve_precision", lambda asked, _: asked)
    device = choose_device(config(**settings))
    with device.training_numerics(pytest.fail):
        assert flags() == expected


def test_an_evaluation_during_a_training_is_exact_and_the_training_goes_on_as_before(
    as_cuda: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fmnist_tui.engine.device._resolve_precision", lambda asked, _: asked)
    device = choose_device(config(precision="tf32", deterministic=False))
    with device.training_numerics(pytest.fail):
        during = flags()
        with device.evaluation_numerics():
            assert flags()[:4] == REPEATABLE[:4]
        assert flags() == during


def test_a_run_that_fails_leaves_the_settings_as_they_were(as_cuda: None) -> None:
    device = choose_device(config(deterministic=False))
    with pytest.raises(ZeroDivisionError), device.training_numerics(pytest.fail):
        raise ZeroDivisionError


def test_each_operation_that_varies_is_told_once_in_each_run_and_other_warnings_pass() -> None:
    for _ in range(2):
        told: list[str] = []
        with pytest.warns(UserWarning, match="another") as others:  # noqa: SIM117
            with numerics.use_repeatable_kernels(told.append):
                vary()
                vary()
                warnings.warn("another", stacklevel=1)
        assert told == ["put_"] and len(others) == 1


def test_an_operation_that_varies_is_one_line_in_the_record(
    as_cuda: None, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(trainer: Trainer) -> TrainingEnd:
        assert flags() == REPEATABLE
        vary()
        vary()
        return TrainingEnd(STOPPED)

    monkeypatch.setattr(Trainer, "run", run)
    monkeypatch.setattr(TrainingDevice, "apply_to_thread", lambda _: None)
    monkeypatch.setattr("fmnist_tui.engine.training.telemetry.nvml.find_handle", lambda _: None)
    folder, _ = wait_for_end(session, session.train(config()), STOPPED)
    told = [alert.message for alert in replay(folder.events).alerts if "repeat" in alert.message]
    assert told == ["not exactly repeatable on this GPU: put_ has no kernel that repeats"]


def test_cublas_gets_buffers_whose_results_repeat_unless_the_user_has_chosen_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    numerics.fix_cublas_workspace()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    numerics.fix_cublas_workspace()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
