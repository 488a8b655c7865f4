"""The load of a GPU, each value by itself, with a stand-in for NVIDIA's library."""

from __future__ import annotations

import pytest

from fmnist_tui.engine.device import TrainingDevice, choose_device
from fmnist_tui.engine.training.telemetry import TelemetryReader
from fmnist_tui.protocol.events import Alert, Event, Telemetry
from tests.engine.gpu.stand_in import GB, GPU_IS_LOST, NOT_SUPPORTED, Gpu, use_gpus
from tests.engine.support import config

FUNCTIONS = {
    "gpu_percent": ("nvmlDeviceGetUtilizationRates", 35.0),
    "gpu_memory_mb": ("nvmlDeviceGetMemoryInfo", 8 * 1024.0),
    "gpu_watts": ("nvmlDeviceGetPowerUsage", 250.0),
    "gpu_celsius": ("nvmlDeviceGetTemperature", 60.0),
}


def on_gpu() -> TrainingDevice:
    return choose_device(config(device="cuda", precision="fp32"))


def values(telemetry: Telemetry) -> dict[str, float | None]:
    return {name: getattr(telemetry, name) for name in FUNCTIONS}


@pytest.mark.parametrize("missing", [None, *FUNCTIONS])
def test_a_value_that_a_gpu_does_not_have_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, missing: str | None
) -> None:
    gpu = Gpu(load=35, used=8 * GB)
    if missing is not None:
        gpu.missing[FUNCTIONS[missing][0]] = NOT_SUPPORTED
    use_gpus(monkeypatch, gpu)
    expected = {name: None if name == missing else value for name, (_, value) in FUNCTIONS.items()}
    read = values(TelemetryReader(on_gpu(), list[Event]().append).read())
    assert read == expected


def test_of_a_part_of_a_gpu_the_memory_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = dict.fromkeys((name for name, _ in FUNCTIONS.values()), NOT_SUPPORTED)
    del missing["nvmlDeviceGetMemoryInfo"]
    use_gpus(monkeypatch, Gpu(used=8 * GB, missing=missing, is_part=True))
    read = values(TelemetryReader(on_gpu(), list[Event]().append).read())
    assert read == {**dict.fromkeys(FUNCTIONS), "gpu_memory_mb": 8 * 1024.0}


def test_a_gpu_that_the_driver_has_lost_is_said_once_and_not_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu, said = Gpu(load=35), list[Event]()
    use_gpus(monkeypatch, gpu)
    reader = TelemetryReader(on_gpu(), said.append)
    assert reader.read().gpu_percent == 35
    gpu.missing["nvmlDeviceGetMemoryInfo"] = GPU_IS_LOST
    for _ in range(2):
        telemetry = reader.read()
        assert values(telemetry) == dict.fromkeys(FUNCTIONS) and telemetry.memory_mb
    (alert,) = said
    assert isinstance(alert, Alert) and "the driver has lost this GPU" in alert.message
