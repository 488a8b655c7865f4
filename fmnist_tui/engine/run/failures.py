"""Failures of memory and of the GPU in words: torch reports them as plain RuntimeErrors.

Imports no torch: the session needs it even if torch could not be imported.
"""

from __future__ import annotations

from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

_MEMORY_SIGNS = ("out of memory", "allocate memory", "enough memory", "bad_alloc", "ALLOC_FAILED")
_GPU_SIGNS = ("out of memory", "ALLOC_FAILED")
_FAULT_SIGN = "CUDA error"


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


def explain(error: BaseException) -> OutOfMemory | GpuFailed | None:
    """The failure of memory or of the GPU that an exception stands for; None if of neither."""
    if isinstance(error, MemoryError):
        return OutOfMemory("this machine")
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if any(sign in text for sign in _MEMORY_SIGNS):
        return OutOfMemory("the GPU" if any(s in text for s in _GPU_SIGNS) else "this machine")
    if _FAULT_SIGN in text:
        # What follows the first line is advice on debugging kernels.
        return GpuFailed(safe_text(text.splitlines()[0], 120))
    return None
