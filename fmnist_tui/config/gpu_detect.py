"""Whether an NVIDIA GPU will train, found out without torch, whose import takes seconds."""

from __future__ import annotations

import importlib.util
import os
import re
from functools import cache
from pathlib import Path


def trains(device: str) -> bool:
    """Whether the setting `device` comes to be an NVIDIA GPU on this machine."""
    return device.startswith("cuda") or (device == "auto" and present())


@cache
def present() -> bool:
    """Whether there is one that torch can see and make use of."""
    made_for = _made_for()
    if made_for is None:
        return False
    count, driver = _counted()
    return driver >= made_for and _is_visible(count)


def _is_visible(count: int) -> bool:
    """Whether any of so many is left to this process: up to the first that is not there the
    variable's list holds."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return count > 0
    first = visible.partition(",")[0].strip()
    named = first.startswith(("GPU-", "MIG-"))
    return count > 0 and (named or (first.isdecimal() and int(first) < count))


def _made_for() -> int | None:
    """The version of CUDA, as far as its point, that the installed torch is made for: its
    `version.py` says so. None where it is made for none."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    try:
        text = (Path(found.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    version = re.search(r"^cuda\b.*= *['\"](\d+)", text, re.MULTILINE)
    return int(version[1]) if version else None


def _counted() -> tuple[int, int]:
    """How many there are, and the version of CUDA that the driver is good for, by the driver's
    own library; nothing where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        driver = pynvml.nvmlSystemGetCudaDriverVersion_v2() // 1000
        return int(pynvml.nvmlDeviceGetCount()), int(driver)
    except pynvml.NVMLError:
        return 0, 0
