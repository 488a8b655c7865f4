"""How a training on several devices is started, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from fmnist_tui.config import gpu_detect
from fmnist_tui.config.plans import Plan, TrainStep
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.distributed import launch
from fmnist_tui.engine.session.session import Session
from fmnist_tui.runs.handover import ALONE, Launch
from fmnist_tui.util.errors import UserError


@pytest.fixture(autouse=True)
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_detect, "has_gpu", lambda: True)
    monkeypatch.setattr(launch, "visible_gpus", lambda: ("0", "1"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def choose(**settings: Any) -> Launch:
    return launch.choose_launch([RunConfig(**settings)])


def test_several_devices_are_processes_of_torchrun_with_their_share_of_the_cpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch, "count_cpus", lambda: 9)
    chosen = choose(devices=2)
    assert chosen.command[1:] == (
        *("-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *("-m", "fmnist_tui"),
    )
    assert chosen.environment["OMP_NUM_THREADS"] == "4"
    assert choose(devices=8, device="cpu").environment["OMP_NUM_THREADS"] == "1"
    assert choose() is ALONE


def test_a_process_of_torchrun_starts_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    assert choose(devices=2) is ALONE


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"devices": 3}, "devices = 3: there are 2 GPUs here; set fewer, or device = cpu"),
        ({"devices": 2, "device": "cuda:1"}, "device cuda:1 is one device, and devices = 2"),
        ({"devices": 2, "device": "mps"}, "device mps is one device"),
    ],
)
def test_missing_devices_are_refused_in_one_line(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        choose(**settings)


def test_steps_on_different_numbers_of_devices_are_refused() -> None:
    steps = [TrainStep(str(count), RunConfig(devices=count)) for count in (1, 2)]
    with pytest.raises(UserError, match=r"devices differs between the steps \(1 and 2\)"):
        launch.choose_launch(launch.plan_configs(Plan("two", tuple(steps))))


def test_a_learning_rate_for_several_devices_is_searched_on_one(session: Session) -> None:
    training = session.find_lr(RunConfig(devices=2, device="cpu"))
    assert training.config.devices == 1
    training.stop("enough")
