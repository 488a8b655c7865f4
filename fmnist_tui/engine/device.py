"""The device that a run trains on, with the settings that suit it.

Everything that differs between a CPU, an NVIDIA GPU and an Apple GPU is decided here, once;
the rest of the engine asks the `TrainingDevice` and never looks at the device's name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.cpu.machine import cpu_name, multiplies_bf16, reuse_freed_memory
from fmnist_tui.engine.cpu.openmp_wait import WAIT
from fmnist_tui.engine.cpu.sharing import SHARING
from fmnist_tui.engine.gpu import choice, numerics
from fmnist_tui.engine.run import failures
from fmnist_tui.util.errors import UserError


@dataclass(slots=True)
class CpuThreads:
    """How many CPU threads a run uses. Unless `is_fixed`, the number may change while it trains."""

    count: int
    is_fixed: bool


@dataclass(frozen=True, slots=True)
class TrainingDevice:
    """A device with the settings that suit it for one run."""

    torch_device: torch.device
    name: str
    precision: str
    cuda_graph: bool
    cpu_threads: CpuThreads
    deterministic: bool = True
    # what the record of a run says of the choice
    notes: tuple[str, ...] = ()

    @property
    def threads(self) -> int:
        return self.cpu_threads.count

    @property
    def is_cuda(self) -> bool:
        return self.torch_device.type == "cuda"

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the network computes in the run's precision."""
        if self.precision in ("fp32", "tf32"):
            return nullcontext()
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        return torch.autocast(self.torch_device.type, dtype=dtype)

    def continue_with_threads(self, count: int) -> None:
        """Use as many threads as a checkpoint was trained with, unless the number is fixed."""
        if not self.cpu_threads.is_fixed and 0 < count <= SHARING.limit:
            self.cpu_threads.count = count
            self.apply_to_thread()

    def apply_to_thread(self) -> None:
        """Restore this device's thread count and current GPU on the calling thread, in case
        other work on the thread has changed them."""
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        if self.is_cuda and torch.cuda.current_device() != self.torch_device.index:
            torch.cuda.set_device(self.torch_device)

    @contextlib.contextmanager
    def training_numerics(self, warn: Callable[[str], None]) -> Iterator[None]:
        """Compute with the kernels and the number format of this run. `warn` is told of what does
        not repeat exactly although it should."""

        def warn_of(operation: str) -> None:
            warn(f"not exactly repeatable on this GPU: {operation} has no kernel that repeats")

        with contextlib.ExitStack() as stack:
            if self.is_cuda:
                uses = numerics.use_libraries(
                    tf32=self.precision == "tf32", deterministic=self.deterministic
                )
                stack.enter_context(uses)
                if self.deterministic:
                    stack.enter_context(numerics.use_repeatable_kernels(warn_of))
            yield

    def evaluation_numerics(self) -> AbstractContextManager[None]:
        """Compute in true single precision with kernels that repeat, whatever a run uses."""
        if not self.is_cuda:
            return nullcontext()
        return numerics.use_libraries(tf32=False, deterministic=True)

    def release_unused_memory(self) -> None:
        """Give back the GPU memory that torch keeps for later."""
        if self.is_cuda:
            torch.cuda.empty_cache()
        elif self.torch_device.type == "mps":
            torch.mps.empty_cache()

    def synchronize(self) -> None:
        """Wait for queued work, so that the elapsed time includes it."""
        if self.is_cuda:
            torch.cuda.synchronize(self.torch_device)
        elif self.torch_device.type == "mps":
            torch.mps.synchronize()


# The GPU that this process has used last, if any.
_used_gpus: list[int] = []


def choose_device(config: RunConfig) -> TrainingDevice:
    """Return the device that a config requests; raise a UserError if it is not available.

    Call it on the thread that will train: it sets that thread's current GPU and thread count."""
    device, notes = _resolve_device(config.device)
    precision = _resolve_precision(config.precision, device)
    cpu_threads = _choose_threads(config, device)
    threads = cpu_threads.count
    torch.set_num_threads(threads)
    if device.type == "cuda":
        numerics.fix_cublas_workspace()
        _used_gpus[:] = [device.index]
        torch.cuda.set_device(device)
        capability = torch.cuda.get_device_capability(device)
        if not choice.has_kernels(capability, torch.cuda.get_arch_list()):
            raise failures.NoKernels
        name = torch.cuda.get_device_name(device)
    else:
        name = cpu_name()
        reuse_freed_memory()
        WAIT.set_brief(SHARING.are_contended(threads), threads)
    graph = config.cuda_graph and device.type == "cuda"
    return TrainingDevice(device, name, precision, graph, cpu_threads, config.deterministic, notes)


def _choose_threads(config: RunConfig, device: torch.device) -> CpuThreads:
    """As many threads as the user says, or as there are CPUs that other programs leave free."""
    requested = config.threads or _parse_count(os.environ.get("OMP_NUM_THREADS", ""))
    if requested:
        return CpuThreads(requested, is_fixed=True)
    SHARING.update()
    if device.type != "cpu":
        return CpuThreads(SHARING.limit, is_fixed=True)
    return CpuThreads(SHARING.threads, is_fixed=False)


def _parse_count(text: str) -> int:
    """OpenMP's number of threads, which may be a list; 0 if it is none."""
    first = text.partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() else 0


def _resolve_device(requested: str) -> tuple[torch.device, tuple[str, ...]]:
    failures.require_gpu(requested)
    if requested in ("auto", "cuda") and torch.cuda.is_available():
        index, notes = _choose_gpu()
        return torch.device("cuda", index), notes
    if requested == "auto":
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu"), ()
    if requested.startswith("cuda"):
        if not torch.cuda.is_available():
            raise UserError(f"device {requested}: no usable NVIDIA GPU; try --device cpu")
        index, count = torch.device(requested).index, torch.cuda.device_count()
        if index >= count:
            raise UserError(f"device {requested}: this machine has {count} (numbered from 0)")
        return torch.device("cuda", index), ()
    if requested == "mps" and not torch.backends.mps.is_available():
        raise UserError("device mps: no usable Apple GPU; try --device cpu")
    return torch.device(requested), ()


def _choose_gpu() -> tuple[int, tuple[str, ...]]:
    """The GPU that this process has used last, or else the least busy one, and what to say of it.

    A process stays on its GPU: it keeps some memory there, a small job during a training runs where
    that does, and after a training its own load would count as that of another program."""
    if _used_gpus:
        return _used_gpus[0], ()
    count = torch.cuda.device_count()
    if count == 1:
        return 0, ()
    chosen = choice.least_busy(choice.read_gpus())
    if chosen is None:
        raise failures.NoKernels
    return chosen.index, (f"took cuda:{chosen.index}, the least busy of {count} GPUs",)


def _resolve_precision(requested: str, device: torch.device) -> str:
    is_recent = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    if requested == "auto":
        is_fast = is_recent or (device.type == "cpu" and multiplies_bf16())
        return "bf16" if is_fast else "fp32"
    if requested == "tf32" and not is_recent:
        raise UserError(
            "precision tf32 needs an NVIDIA GPU of the Ampere generation or newer; use fp32 or auto"
        )
    if requested == "fp16" and device.type == "cpu":
        raise UserError("precision fp16 is not supported on a CPU; use fp32 or bf16")
    return requested
