"""Failures of memory and of the GPU in words: torch reports them as plain RuntimeErrors.

Imports no torch: the session needs it even if torch could not be imported.
"""

from __future__ import annotations

import traceback

from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

_MEMORY_SIGNS = ("out of memory", "allocate memory", "enough memory", "bad_alloc", "ALLOC_FAILED")
_GPU_SIGNS = ("out of memory", "ALLOC_FAILED")
# An error after which the GPU answers nothing more in this process.
_FAULT_SIGNS = (
    *("CUDA error", "CUDA driver error", "device-side assert", "illegal memory access"),
    *("unspecified launch failure", "misaligned address", "uncorrectable ECC"),
    *("CUDNN_STATUS_INTERNAL_ERROR", "CUDNN_STATUS_EXECUTION_FAILED", "CUDNN_STATUS_MAPPING_ERROR"),
    *("CUBLAS_STATUS_", "CUSOLVER_STATUS_INTERNAL_ERROR", "CUSOLVER_STATUS_EXECUTION_FAILED"),
    *("ncclInternalError", "ncclUnhandledCudaError", "unhandled cuda error"),
)
# Of these errors the GPU recovers: of one while a CUDA graph is captured.
_CAPTURE_SIGN = "captur"
_NO_KERNEL_SIGN = "no kernel image"


class OutOfMemory(UserError):  # noqa: N818 - a state, like a full disk
    """There is too little memory; `where` says whose."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where} has too little memory for this: close other programs, or use a smaller model"
        )
        self.where = where


class GpuFailed(UserError):  # noqa: N818
    """The GPU answers nothing more in this process."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the GPU failed in this process ({why}): start fmnist-tui again, or use --device cpu"
        )
        self.why = why


class NoKernels(UserError):  # noqa: N818
    """The installed torch has no code for this GPU."""

    def __init__(self) -> None:
        super().__init__(
            "this torch has no kernels for this GPU (`fmnist-tui doctor` says for which it has):"
            " use --device cpu, or install a version of torch for it"
        )


Failure = OutOfMemory | GpuFailed | NoKernels
# What the GPU failed with in this process, if it did.
_failed: list[GpuFailed] = []


def explain(error: BaseException) -> Failure | None:
    """The failure of memory or of the GPU that an exception stands for; None if of neither.

    Of several that followed from each other, as when a GPU that has failed is used to clean up, it
    is the first."""
    if error.__context__ is not None and (cause := explain(error.__context__)) is not None:
        return cause
    if isinstance(error, MemoryError):
        return OutOfMemory("this machine")
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if any(sign in text for sign in _MEMORY_SIGNS):
        return OutOfMemory("the GPU" if any(s in text for s in _GPU_SIGNS) else "this machine")
    if _NO_KERNEL_SIGN in text:
        return NoKernels()
    # What follows the first line is advice on debugging kernels.
    first = text.partition("\n")[0]
    is_accelerator = type(error).__name__ == "AcceleratorError"
    if _CAPTURE_SIGN not in first and (is_accelerator or any(s in text for s in _FAULT_SIGNS)):
        return GpuFailed(safe_text(first, 120))
    return None


def take(error: BaseException) -> BaseException:
    """The failure that an exception stands for, or else itself. After a failure of the GPU this
    process refuses work on one."""
    failure = explain(error)
    if isinstance(failure, GpuFailed) and not _failed:
        _failed.append(failure)
    return failure or error


def find_gpu_failure(device: str) -> GpuFailed | None:
    """What the GPU that the setting `device` may select has failed with in this process."""
    # Not even `auto` goes on with another device: the user chooses.
    if _failed and (device == "auto" or device.startswith("cuda")):
        return GpuFailed(_failed[0].why)
    return None


def require_gpu(device: str) -> None:
    """Raise GpuFailed if the GPU that `device` may select has failed in this process."""
    if (failure := find_gpu_failure(device)) is not None:
        raise failure


def drop_frames(error: BaseException) -> None:
    """Keep the traceback of an exception as text, in a note, which `--debug` prints: its frames
    and those of what it came from would keep the model and its data."""
    error.add_note("".join(traceback.format_exception(error)).rstrip())
    error.__traceback__ = error.__cause__ = error.__context__ = None
    if isinstance(error, AttributeError):
        setattr(error, "obj", None)  # noqa: B010
