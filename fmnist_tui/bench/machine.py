"""The machine and versions of a measurement.

Run as `python -m fmnist_tui.bench.machine`; prints them in one line.
"""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import torch

from fmnist_tui.engine.cpu.machine import count_cpus, cpu_name
from fmnist_tui.util.formatting import MEGABYTE

NO_GPU = "no NVIDIA GPU that torch can use"
_DRIVER = Path("/proc/driver/nvidia/version")


def describe_machine() -> dict[str, Any]:
    """Facts by name; None for what there is not."""
    gpu = memory = None
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_name()
        memory = torch.cuda.get_device_properties(0).total_memory // MEGABYTE
    return {
        "gpu": gpu,
        "gpu_memory_mb": memory,
        "driver": _driver_version(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "processor": cpu_name(),
        "cores": count_cpus(),
        "memory_gb": round(psutil.virtual_memory().total / (1 << 30), 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def format_machine(facts: dict[str, Any]) -> str:
    """The facts in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)


def _driver_version() -> str | None:
    """The version of NVIDIA's driver, as Linux tells it."""
    try:
        text = _DRIVER.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    version = re.search(r"\b\d{3,}\.\d+(?:\.\d+)?\b", text)
    return version[0] if version else None


if __name__ == "__main__":
    facts = describe_machine()
    print(format_machine({**facts, "gpu": facts["gpu"] or NO_GPU}))
