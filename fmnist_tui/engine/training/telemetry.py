"""The load of the machine, read from psutil and NVIDIA's management library."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from fmnist_tui.engine.cpu.openmp_wait import WAIT
from fmnist_tui.engine.cpu.sharing import SHARING
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.gpu import nvml
from fmnist_tui.protocol.events import Alert, Event, Telemetry
from fmnist_tui.util.formatting import MEGABYTE

TELEMETRY_SECONDS = 1.0


class TelemetryReader:
    """Reports the load of this process and its GPU once a second; None for what cannot be read.
    That the GPU is lost is told once."""

    def __init__(self, device: TrainingDevice, emit: Callable[[Event], None]) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first reading only starts the measurement
        self._emit, self._time = emit, time.perf_counter()
        self._gpu = nvml.find_handle(device.torch_device.index) if device.is_cuda else None

    def report_if_due(self) -> None:
        now = time.perf_counter()
        if now - self._time >= TELEMETRY_SECONDS:
            self._time = now
            self._emit(self.read())

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

    def _read_gpu(self) -> dict[str, float | None]:
        if self._gpu is None:
            return {}
        import pynvml

        try:
            memory = nvml.read_memory(self._gpu)
            power = nvml.read_value(pynvml.nvmlDeviceGetPowerUsage, self._gpu)
            celsius = nvml.read_value(
                pynvml.nvmlDeviceGetTemperature, self._gpu, pynvml.NVML_TEMPERATURE_GPU
            )
            return {
                "gpu_percent": nvml.read_load(self._gpu),
                "gpu_memory_mb": memory.used / MEGABYTE if memory is not None else None,
                "gpu_memory_total_mb": memory.total / MEGABYTE if memory is not None else None,
                "gpu_watts": power / 1000 if power is not None else None,
                "gpu_celsius": float(celsius) if celsius is not None else None,
            }
        except nvml.GpuLost as error:
            self._gpu = None
            why = f"the driver has lost this GPU ({error}); `nvidia-smi` may say why"
            self._emit(Alert(time.time(), "warning", why))
            return {}
