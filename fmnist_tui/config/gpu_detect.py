"""Detects NVIDIA GPUs without torch, whose import takes seconds."""

from __future__ import annotations

import importlib.util
import os
import re
from functools import cache
from itertools import takewhile
from pathlib import Path


def will_use_gpu(device: str) -> bool:
    """Whether the setting `device` selects an NVIDIA GPU on this machine."""
    return device.startswith("cuda") or (device == "auto" and has_gpu())


@cache
def has_gpu() -> bool:
    """Whether there is a GPU that torch can use."""
    required = _torch_cuda_version()
    if required is None:
        return False
    _, supported = _query_driver()
    return supported >= required and bool(visible_gpus())


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, each as CUDA_VISIBLE_DEVICES names it: the variable's
    list ends at the first entry that does not exist."""
    count, _ = _query_driver()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return tuple(map(str, range(count)))
    names = [name.strip() for name in listed.split(",")] if count else []
    return tuple(takewhile(lambda name: _exists(name, count), names))


def _exists(name: str, count: int) -> bool:
    return name.startswith(("GPU-", "MIG-")) or (name.isdecimal() and int(name) < count)


def _torch_cuda_version() -> int | None:
    """The major CUDA version of the installed torch, from its `version.py`; None without CUDA."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    version = re.search(r"^cuda\b.*= *['\"](\d+)", text, re.MULTILINE)
    return int(version[1]) if version else None


def _query_driver() -> tuple[int, int]:
    """The number of GPUs, and the major CUDA version of the driver; zeros without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        driver = pynvml.nvmlSystemGetCudaDriverVersion_v2() // 1000
        return int(pynvml.nvmlDeviceGetCount()), int(driver)
    except pynvml.NVMLError:
        return 0, 0
