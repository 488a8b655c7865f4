"""Detects NVIDIA GPUs without torch, whose import takes seconds."""

from __future__ import annotations

import importlib.util
import os
import re
from functools import cache
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
    count, supported = _query_driver()
    return supported >= required and _is_any_visible(count)


def _is_any_visible(count: int) -> bool:
    """Whether CUDA_VISIBLE_DEVICES leaves any of `count` GPUs to this process: its list ends at
    the first entry that does not exist."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return count > 0
    first = visible.partition(",")[0].strip()
    is_uuid = first.startswith(("GPU-", "MIG-"))
    return count > 0 and (is_uuid or (first.isdecimal() and int(first) < count))


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
