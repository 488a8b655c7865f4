"""NVIDIA's management library: what it knows of a GPU, each value by itself.

A value that a GPU does not have (utilisation of a part of a GPU, the power of some laptops)
leaves the others readable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class GpuLost(Exception):  # noqa: N818 - a state, like an end
    """The driver has lost the GPU: nothing more can be read from it."""


def find_handle(index: int) -> Any:
    """The library's handle of a GPU by torch's number; None without the library or the GPU.

    The library counts all GPUs of the machine, torch only the visible ones: they are matched by
    UUID, of whole GPUs or of parts (MIG)."""
    import pynvml

    try:
        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(index).uuid)
    except (pynvml.NVMLError, AttributeError, RuntimeError, AssertionError):
        return None
    names = [uuid] if uuid.startswith(("GPU-", "MIG-")) else [f"GPU-{uuid}", f"MIG-{uuid}"]
    for name in names:
        try:
            return pynvml.nvmlDeviceGetHandleByUUID(name)
        except pynvml.NVMLError:
            continue
    return None


def driver_version() -> str:
    """The version of NVIDIA's driver; empty if it cannot be read."""
    import pynvml

    try:
        pynvml.nvmlInit()
        version = pynvml.nvmlSystemGetDriverVersion()
    except pynvml.NVMLError:
        return ""
    return version.decode() if isinstance(version, bytes) else str(version)


def read_value(read: Callable[..., Any], handle: Any, *arguments: Any) -> Any:
    """One value of a GPU; None if there is no handle or the GPU does not have it.

    Raises GpuLost."""
    import pynvml

    if handle is None:
        return None
    try:
        return read(handle, *arguments)
    except pynvml.NVMLError as error:
        if error.value == pynvml.NVML_ERROR_GPU_IS_LOST:
            raise GpuLost(str(error)) from None
        return None


def read_load(handle: Any) -> float | None:
    """The share of the last part of a second in which the GPU worked, in percent."""
    import pynvml

    rates = read_value(pynvml.nvmlDeviceGetUtilizationRates, handle)
    return None if rates is None else float(rates.gpu)


def read_memory(handle: Any) -> Any:
    """The GPU's memory in bytes, as `total`, `free` and `used`."""
    import pynvml

    return read_value(pynvml.nvmlDeviceGetMemoryInfo, handle)
