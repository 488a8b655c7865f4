"""The device that a run trains on, with the settings that suit it.

Everything that differs between a CPU, an NVIDIA GPU and an Apple GPU is decided here, once;
the rest of the engine asks the `TrainingDevice` and never looks at the device's name.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.util.errors import UserError

# glibc's mallopt parameters (malloc.h)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_REUSED_BLOCK = 1 << 30


@dataclass(frozen=True, slots=True)
class TrainingDevice:
    """A device with the settings that suit it for one run."""

    torch_device: torch.device
    name: str
    precision: str
    cuda_graph: bool
    threads: int

    @property
    def is_cuda(self) -> bool:
        return self.torch_device.type == "cuda"

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the network computes in the run's precision."""
        if self.precision == "fp32":
            return nullcontext()
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        return torch.autocast(self.torch_device.type, dtype=dtype)

    def apply_to_thread(self) -> None:
        """Restore this device's thread count and current GPU on the calling thread, in case
        other work on the thread has changed them."""
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        if self.is_cuda and torch.cuda.current_device() != self.torch_device.index:
            torch.cuda.set_device(self.torch_device)

    @contextlib.contextmanager
    def disable_tf32(self) -> Iterator[None]:
        """Compute in true single precision: TF32 rounds products to ten bits."""
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        before = matmul.allow_tf32, cudnn.allow_tf32
        matmul.allow_tf32 = cudnn.allow_tf32 = False
        try:
            yield
        finally:
            matmul.allow_tf32, cudnn.allow_tf32 = before

    def synchronize(self) -> None:
        """Wait for queued work, so that the elapsed time includes it."""
        if self.is_cuda:
            torch.cuda.synchronize(self.torch_device)
        elif self.torch_device.type == "mps":
            torch.mps.synchronize()


def choose_device(config: RunConfig) -> TrainingDevice:
    """Return the device that a config requests; raise a UserError if it is not available.

    Call it on the thread that will train: it sets that thread's current GPU and thread count."""
    device = _resolve_device(config.device)
    threads = config.threads or count_cpus()
    torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{cpu_name()}, {threads} thread{'s' if threads > 1 else ''}"
        reuse_freed_memory()
    precision = _resolve_precision(config.precision, device)
    # Compiled code and the gradient scaler's step read values on the host: not capturable.
    graph = config.cuda_graph and device.type == "cuda" and not config.compile
    return TrainingDevice(device, name, precision, graph and precision != "fp16", threads)


def _resolve_device(requested: str) -> torch.device:
    if requested == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if requested.startswith("cuda"):
        if not torch.cuda.is_available():
            raise UserError(f"device {requested}: no usable NVIDIA GPU; try --device cpu")
        index, count = torch.device(requested).index or 0, torch.cuda.device_count()
        if index >= count:
            raise UserError(f"device {requested}: this machine has {count} (numbered from 0)")
        return torch.device("cuda", index)
    if requested == "mps" and not torch.backends.mps.is_available():
        raise UserError("device mps: no usable Apple GPU; try --device cpu")
    return torch.device(requested)


def _resolve_precision(requested: str, device: torch.device) -> str:
    if requested == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
        # Without these instructions a CPU emulates bf16, which is slower than fp32; with them
        # convolutions run 1.5 times as fast.
        instructions = {"avx512_bf16", "amx_bf16"} & set(_read_cpuinfo("flags").split())
        return "bf16" if device.type == "cpu" and instructions else "fp32"
    if requested == "fp16" and device.type == "cpu":
        raise UserError("precision fp16 is not supported on a CPU; use fp32 or bf16")
    return requested


def reuse_freed_memory() -> None:
    """Have glibc reuse large freed blocks instead of returning them to the system.

    A batch's activations take tens of megabytes. By default every one is mapped and unmapped
    in each step, and the page faults take a third of the training time on a CPU."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_REUSED_BLOCK)
        libc.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_REUSED_BLOCK - 1)


def count_cpus() -> int:
    """The number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """The CPU's model name, or its architecture if the system does not tell the name."""
    return _read_cpuinfo("model name") or platform.processor() or platform.machine()


def _read_cpuinfo(field: str) -> str:
    """A field of the first CPU in /proc/cpuinfo; empty if there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    match = re.search(rf"^{field}\s*:\s*(.*)$", text, re.MULTILINE)
    return match.group(1).strip() if match else ""
