"""The programs that torch uses GPUs with."""

from __future__ import annotations

import torch
import torch.distributed

from fmnist_tui.engine.gpu import nvml


def kernels() -> str:
    """The architectures that the installed torch has kernels for: `sm_80, sm_90`."""
    return ", ".join(torch.cuda.get_arch_list())


def describe() -> str:
    """`driver 580.159.04, CUDA 13.0, NCCL 2.27.5`."""
    parts = [f"CUDA {torch.version.cuda}"]
    if driver := nvml.driver_version():
        parts.insert(0, f"driver {driver}")
    if torch.distributed.is_nccl_available():
        version = torch.cuda.nccl.version()  # type: ignore[no-untyped-call]
        parts.append(f"NCCL {'.'.join(map(str, version))}")
    else:
        parts.append("no NCCL: a run cannot use several GPUs")
    return ", ".join(parts)
