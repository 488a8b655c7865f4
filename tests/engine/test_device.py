"""The choice of device and precision."""

from __future__ import annotations

import pytest
import torch

from fmnist_tui.engine.device import choose_device
from fmnist_tui.util.errors import UserError
from tests.engine.support import config


def test_a_missing_gpu_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"device cuda.*try --device cpu"):
        choose_device(config(device="cuda"))


@pytest.mark.parametrize("precision", ["fp16", "tf32"])
def test_a_precision_that_a_cpu_does_not_have_is_refused_with_one_that_it_has(
    precision: str,
) -> None:
    with pytest.raises(UserError, match=f"{precision}.*use fp32"):
        choose_device(config(precision=precision))


@pytest.mark.parametrize(("has_instructions", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_on_a_cpu_is_bf16_only_with_bf16_instructions(
    monkeypatch: pytest.MonkeyPatch, has_instructions: bool, precision: str
) -> None:
    monkeypatch.setattr("fmnist_tui.engine.device.multiplies_bf16", lambda: has_instructions)
    device = choose_device(config(precision="auto", threads=1))
    assert (device.precision, device.cuda_graph, device.threads) == (precision, False, 1)
