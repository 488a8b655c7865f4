"""Where training runs, and what that place is good at.

Everything that differs between a CPU, an NVIDIA GPU and Apple's is decided here
once and handed on as a `TrainingDevice`; the rest of the engine asks it and never looks at
the device's name.
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
_KEEP_BELOW = 1 << 30


@dataclass(frozen=True, slots=True)
class TrainingDevice:
    """A device with the settings that suit it for one run."""

    device: torch.device
    name: str
    precision: str
    cuda_graph: bool
    threads: int

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def scales_gradients(self) -> bool:
        """Whether gradients need scaling: half precision has too few exponents."""
        return self.precision == "fp16"

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the network computes."""
        if self.precision == "fp32":
            return nullcontext()
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        return torch.autocast(self.device.type, dtype=dtype)

    def apply_to_thread(self) -> None:
        """Make the calling thread compute as this machine does, should anything else that
        ran on it have chosen other threads or another GPU."""
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        if self.is_cuda and torch.cuda.current_device() != self.device.index:
            torch.cuda.set_device(self.device)

    @contextlib.contextmanager
    def disable_tf32(self) -> Iterator[None]:
        """Single precision without TF32, whose products are rounded to ten bits."""
        products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
        before = products.allow_tf32, convolutions.allow_tf32
        products.allow_tf32 = convolutions.allow_tf32 = False
        try:
            yield
        finally:
            products.allow_tf32, convolutions.allow_tf32 = before

    def synchronize(self) -> None:
        """Wait for work in flight, so that a clock read now tells the truth."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def choose_device(config: RunConfig) -> TrainingDevice:
    """The machine a config asks for; a UserError where it is not to be had.

    Called on the thread that will train: current device and CPU threads are set for it.
    """
    device = _device(config.device)
    threads = config.threads or len(
        os.sched_getaffinity(0) if _linux() else range(os.cpu_count() or 1)
    )
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
    precision = _precision(config.precision, device)
    # Compiled code and the gradient scaler's step are not captured: both look at the host.
    graph = config.cuda_graph and device.type == "cuda" and not config.compile
    return TrainingDevice(device, name, precision, graph and precision != "fp16", threads)


def _linux() -> bool:
    return hasattr(os, "sched_getaffinity")


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if wanted.startswith("cuda"):
        if not torch.cuda.is_available():
            raise UserError(f"device {wanted}: no NVIDIA GPU can be used here; try --device cpu")
        device = torch.device(wanted)
        if (device.index or 0) >= torch.cuda.device_count():
            raise UserError(
                f"device {wanted}: there are {torch.cuda.device_count()} GPUs, numbered from 0"
            )
        return torch.device("cuda", device.index or 0)
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise UserError("device mps: no Apple GPU can be used here; try --device cpu")
    return torch.device(wanted)


def _precision(wanted: str, device: torch.device) -> str:
    if wanted == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
        return "bf16" if device.type == "cpu" and _multiplies_bf16() else "fp32"
    if wanted == "fp16" and device.type == "cpu":
        raise UserError("precision fp16: a CPU cannot train in it; use fp32 or bf16")
    return wanted


def _multiplies_bf16() -> bool:
    """Whether the CPU has instructions for bf16, with which convolutions run half as long
    again faster; without them bf16 is emulated and slower."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(_cpuinfo("flags").split())


def reuse_freed_memory() -> None:
    """Ask glibc to reuse big blocks instead of giving them back after every step.

    Activations of a batch are tens of megabytes. By default each is mapped afresh and
    unmapped again, and the page faults cost a CPU training a third of its time.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _KEEP_BELOW)
    libc.mallopt(_M_TRIM_THRESHOLD, 2 * _KEEP_BELOW - 1)


def cpu_name() -> str:
    """The CPU's name, as far as the system tells it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(field: str) -> str:
    """A field of the first CPU in Linux's list; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(rf"^{field}\s*:\s*(.*)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""
