"""A stand-in for a machine with GPUs: what torch and NVIDIA's library say of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

GB = 1 << 30
NOT_SUPPORTED, GPU_IS_LOST, NOT_FOUND = 3, 15, 6


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


@dataclass
class Gpu:
    """`missing` maps functions of the library to the error that they answer with. `is_part`: it
    is a part of a GPU (MIG)."""

    name: str = "A card"
    load: int = 0
    used: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    is_part: bool = False


class Gpus:
    """The GPUs of the machine; `asked` are the UUIDs that have been looked up."""

    NVMLError = NVMLError
    NVML_ERROR_GPU_IS_LOST = GPU_IS_LOST
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, gpus: Sequence[Gpu], has_library: bool) -> None:
        self._gpus, self._has_library = gpus, has_library
        self.asked: list[str] = []

    def nvmlInit(self) -> None:  # noqa: N802
        if not self._has_library:
            raise NVMLError(12)

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "580.1"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Gpu:  # noqa: N802
        kind, _, number = uuid.partition("-")
        gpu = self._gpus[int(number)]
        if kind != ("MIG" if gpu.is_part else "GPU"):
            raise NVMLError(NOT_FOUND)
        self.asked.append(uuid)
        return gpu

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def read(gpu: Gpu, *_: object) -> Any:
            if name in gpu.missing:
                raise NVMLError(gpu.missing[name])
            return {
                "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=gpu.load),
                "nvmlDeviceGetMemoryInfo": SimpleNamespace(
                    used=gpu.used, free=80 * GB - gpu.used, total=80 * GB
                ),
                "nvmlDeviceGetPowerUsage": 250_000,
                "nvmlDeviceGetTemperature": 60,
            }[name]

        return read


def use_gpus(
    monkeypatch: pytest.MonkeyPatch,
    *gpus: Gpu,
    visible: Sequence[int] | None = None,
    has_library: bool = True,
) -> Gpus:
    """Let torch see the `visible` of these GPUs, in that order."""
    order = list(range(len(gpus))) if visible is None else list(visible)
    library = Gpus(gpus, has_library)
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr("fmnist_tui.engine.gpu.choice.LOAD_SECONDS", 0.0)
    monkeypatch.setattr("fmnist_tui.engine.device._used_gpus", [])
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

    def properties(index: int) -> SimpleNamespace:
        name = gpus[order[index]].name
        return SimpleNamespace(
            name=name, major=9, minor=0, total_memory=80 * GB, uuid=str(order[index])
        )

    for name, answer in {
        "is_available": lambda: True,
        "device_count": lambda: len(order),
        "current_device": lambda: 0,
        "set_device": lambda _: None,
        "get_arch_list": lambda: ["sm_80", "sm_90"],
        "get_device_capability": lambda _: (9, 0),
        "get_device_properties": properties,
        "get_device_name": lambda device: properties(device.index).name,
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    return library
