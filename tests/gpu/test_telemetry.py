"""The load of the GPU."""

from __future__ import annotations

import pytest
import torch

from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.training.telemetry import TelemetryReader
from fmnist_tui.protocol.events import Event
from fmnist_tui.util.formatting import MEGABYTE
from tests.engine.support import config


def test_the_load_of_the_gpu_is_read() -> None:
    pytest.importorskip("pynvml")
    device = choose_device(config(device="cuda"))
    block = torch.ones(64 * MEGABYTE, dtype=torch.uint8, device=device.torch_device)
    device.synchronize()
    telemetry = TelemetryReader(device, list[Event]().append).read()
    used, total = telemetry.gpu_memory_mb, telemetry.gpu_memory_total_mb
    assert used is not None and total is not None
    assert block.nbytes / MEGABYTE <= used <= total
    assert (
        total >= 0.9 * torch.cuda.get_device_properties(device.torch_device).total_memory / MEGABYTE
    )
    assert telemetry.gpu_percent is not None and 0 <= telemetry.gpu_percent <= 100
    for value in (telemetry.gpu_watts, telemetry.gpu_celsius):
        assert value is not None and value > 0
