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
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip()
    return bool(visible) and visible != "-1" and _made_for_it() and _counted() > 0


def _made_for_it() -> bool:
    """Whether the installed torch is one for NVIDIA's GPUs: its `version.py` says so."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    try:
        text = (Path(found.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"^cuda\b.*= *['\"]\d", text, re.MULTILINE) is not None


def _counted() -> int:
    """How many there are, by the driver's own library; 0 where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0
