"""The load of the machine, read from psutil and NVIDIA's management library."""

from __future__ import annotations

import time
from typing import Any

import psutil

from fmnist_tui.engine.cpu.openmp_wait import WAIT
from fmnist_tui.engine.cpu.sharing import SHARING
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.protocol.events import Telemetry
from fmnist_tui.util.formatting import MEGABYTE


class TelemetryReader:
    """Reads the load of this process and its GPU; None for what cannot be read."""

    def __init__(self, device: TrainingDevice) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first reading only starts the measurement
        self._gpu = _open_gpu(device) if device.is_cuda else None

    def read(self) -> Telemetry:
        """Read the current load. CPU load counts cores: two busy ones are 200 %."""
        return Telemetry(
            t=time.time(),
            cpu_percent=self._process.cpu_percent(),
            memory_mb=self._process.memory_info().rss / MEGABYTE,
            other_cpus=SHARING.others,
            waits_briefly=WAIT.is_brief,
            **self._read_gpu(),
        )

    def _read_gpu(self) -> dict[str, float]:
        if self._gpu is None:
            return {}
        import pynvml

        try:
            memory = pynvml.nvmlDeviceGetMemoryInfo(self._gpu)
            return {
                "gpu_percent": float(pynvml.nvmlDeviceGetUtilizationRates(self._gpu).gpu),
                "gpu_memory_mb": memory.used / MEGABYTE,
                "gpu_memory_total_mb": memory.total / MEGABYTE,
                "gpu_watts": pynvml.nvmlDeviceGetPowerUsage(self._gpu) / 1000,
                "gpu_celsius": float(
                    pynvml.nvmlDeviceGetTemperature(self._gpu, pynvml.NVML_TEMPERATURE_GPU)
                ),
            }
        except pynvml.NVMLError:
            return {}


def _open_gpu(device: TrainingDevice) -> Any:
    import pynvml
    import torch

    try:
        pynvml.nvmlInit()
        # NVML counts all GPUs of the machine, torch only the visible ones: match by UUID.
        uuid = str(torch.cuda.get_device_properties(device.torch_device).uuid)
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except (pynvml.NVMLError, AttributeError):
        return None
