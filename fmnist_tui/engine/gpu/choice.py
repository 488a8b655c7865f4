"""The least busy of several GPUs, for the settings that leave the choice open."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fmnist_tui.engine.gpu import nvml

# The load is that of the last part of a second: a GPU that works in bursts is seen in one of these.
LOAD_READINGS = 3
LOAD_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class GpuReading:
    """A GPU by torch's number. `load` is in percent, memory in bytes; None could not be read.

    `is_supported`: the installed torch has kernels for it."""

    index: int
    name: str
    capability: tuple[int, int]
    memory: int
    free: int | None = None
    load: float | None = None
    is_supported: bool = True

    @property
    def busy(self) -> float:
        """The share of it in use: of its time or of its memory, whichever is more. A GPU of which
        nothing can be read counts as fully in use."""
        used = 1 - self.free / self.memory if self.free is not None and self.memory else 1.0
        return max(used, (self.load or 0.0) / 100)


def least_busy(readings: Sequence[GpuReading]) -> GpuReading | None:
    """The GPU to take: the one of which the smallest share is in use, in steps of a tenth; of
    several the first. None without a supported GPU."""
    usable = [reading for reading in readings if reading.is_supported]
    return min(usable, key=lambda reading: (int(10 * reading.busy), reading.index), default=None)


def has_kernels(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Whether code for one of these architectures (`sm_90`, `compute_120`) runs on a GPU of this
    compute capability: machine code on its own generation, others are compiled when they start."""
    is_any_known = False
    for architecture in architectures:
        if known := re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", architecture):
            is_any_known = True
            own = int(known[2]), int(known[3])
            if known[4]:
                runs = own == capability
            elif known[1] == "compute":
                runs = own <= capability
            else:
                runs = own[0] == capability[0] and own[1] <= capability[1]
            if runs:
                return True
    return not is_any_known


def read_gpus() -> list[GpuReading]:
    """Every GPU that torch sees, with its load and its free memory."""
    handles = [nvml.find_handle(index) for index in range(torch.cuda.device_count())]
    loads: list[list[float]] = [[] for _ in handles]
    for reading in range(LOAD_READINGS):
        if reading:
            time.sleep(LOAD_SECONDS)
        for handle, seen in zip(handles, loads, strict=True):
            with contextlib.suppress(nvml.GpuLost):
                if (load := nvml.read_load(handle)) is not None:
                    seen.append(load)
    supported = torch.cuda.get_arch_list()
    readings = []
    for index, handle in enumerate(handles):
        facts = torch.cuda.get_device_properties(index)
        capability = facts.major, facts.minor
        readings.append(
            GpuReading(
                index,
                facts.name,
                capability,
                facts.total_memory,
                _read_free_memory(index, handle),
                max(loads[index], default=None),
                has_kernels(capability, supported),
            )
        )
    return readings


def _read_free_memory(index: int, handle: object) -> int | None:
    """Free memory, if need be without NVIDIA's library: that takes some of it for torch's use."""
    try:
        memory = nvml.read_memory(handle)
        return int(memory.free if memory is not None else torch.cuda.mem_get_info(index)[0])
    except (nvml.GpuLost, RuntimeError):  # faulty, or in use by another process alone
        return None
