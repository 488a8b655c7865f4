"""Which kernels and number formats CUDA uses: settings of the whole process.

A training and an evaluation set their own for as long as they last.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import torch
import torch.utils.deterministic

# What torch says of an operation that has only kernels whose results vary, after its name.
_VARIES = " does not have a deterministic implementation"
# What torch says of matrix products if the user has chosen another workspace for cuBLAS.
_CUBLAS_VARIES = "not deterministic because it uses CuBLAS"
_CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"


def fix_cublas_workspace() -> None:
    """Give cuBLAS buffers with which its results repeat, unless the user has chosen others.

    cuBLAS and torch read this once, before the first matrix product of the process."""
    os.environ.setdefault(_CUBLAS_VARIABLE, ":4096:8")


@contextlib.contextmanager
def use_libraries(*, tf32: bool, deterministic: bool) -> Iterator[None]:
    """Let cuBLAS and cuDNN compute with or without TF32, which rounds factors to ten bits, and
    with kernels whose results repeat or with the fastest. What was set before is restored."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = tf32
        cudnn.deterministic, cudnn.benchmark = deterministic, not deterministic
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = before


@contextlib.contextmanager
def use_repeatable_kernels(on_varying: Callable[[str], None]) -> Iterator[None]:
    """Let torch's own operations, too, use kernels whose results repeat; `on_varying` is told once
    of each operation that has none. What was set before is restored."""
    memory: Any = torch.utils.deterministic
    was_on = torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = memory.fill_uninitialized_memory
    with _listen(on_varying):
        try:
            torch.use_deterministic_algorithms(True, warn_only=True)
            # Nothing here reads memory before it writes it, and to fill it takes time.
            memory.fill_uninitialized_memory = False
            yield
        finally:
            torch.use_deterministic_algorithms(was_on, warn_only=only_warned)
            memory.fill_uninitialized_memory = filled


@contextlib.contextmanager
def _listen(on_varying: Callable[[str], None]) -> Iterator[None]:
    """Tell of torch's warnings about operations whose results vary, instead of printing them."""
    told: set[str] = set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        operation, varies, _ = str(message).partition(_VARIES)
        if not varies and _CUBLAS_VARIES in str(message):
            operation, varies = f"cuBLAS with this {_CUBLAS_VARIABLE}", _CUBLAS_VARIES
        if not varies:
            show_others(message, category, filename, lineno, file, line)
        elif operation not in told:
            told.add(operation)
            on_varying(operation)

    with warnings.catch_warnings():
        # Python shows a warning once in a process; each run is told.
        warnings.filterwarnings("always", f".*({_VARIES}|{_CUBLAS_VARIES})")
        show_others, warnings.showwarning = warnings.showwarning, show
        yield
