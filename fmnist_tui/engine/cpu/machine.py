"""The CPUs of this machine: how many a process may use, their name and instructions."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# glibc's mallopt parameters (malloc.h)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_REUSED_BLOCK = 1 << 30


def usable_cpus() -> list[int]:
    """The numbers of the CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def count_cpus() -> int:
    """How many CPUs this process may use: those it may run on, or fewer if a control group
    (of a container or a service) limits its CPU time."""
    count, quota = len(usable_cpus()), read_cpu_quota()
    return count if quota is None else max(1, min(count, math.ceil(quota)))


def read_cpu_quota(
    membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> float | None:
    """The CPUs' worth of time that control groups (version 1 or 2) grant this process; None if
    they set no limit."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    quotas = [
        quota
        for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1)
        for folder in _cgroup_folders(controllers, path, root)
        if (quota := _read_quota(folder)) is not None
    ]
    return min(quotas, default=None)


def _cgroup_folders(controllers: str, path: str, root: Path) -> Iterator[Path]:
    """The folders of a control group and its parents, if it controls CPU time."""
    if controllers and "cpu" not in controllers.split(","):
        return
    base = root / "cpu" if controllers else root
    group = PurePosixPath(path.lstrip("/"))
    for parent in (group, *group.parents):
        yield base / parent


def _read_quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            quota, period = map(float, (folder / "cpu.max").read_text().split())
        else:
            quota = float((folder / "cpu.cfs_quota_us").read_text())
            period = float((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None  # no file, or "max": no limit
    return quota / period if quota > 0 and period > 0 else None


def cpu_name() -> str:
    """The CPU's model name, or its architecture if the system does not tell the name."""
    return _read_cpuinfo("model name") or platform.processor() or platform.machine()


def multiplies_bf16() -> bool:
    """Whether the CPU has instructions for bf16. Without them it emulates bf16, which is slower
    than fp32; with them convolutions run 1.5 times as fast."""
    return bool({"avx512_bf16", "amx_bf16"} & set(_read_cpuinfo("flags").split()))


def _read_cpuinfo(field: str) -> str:
    """A field of the first CPU in /proc/cpuinfo; empty if there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    match = re.search(rf"^{field}\s*:\s*(.*)$", text, re.MULTILINE)
    return match.group(1).strip() if match else ""


def reuse_freed_memory() -> None:
    """Have glibc reuse large freed blocks instead of returning them to the system.

    A batch's activations take tens of megabytes. By default every one is mapped and unmapped
    in each step, and the page faults take a third of the training time on a CPU."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_REUSED_BLOCK)
        libc.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_REUSED_BLOCK - 1)
