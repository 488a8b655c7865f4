"""Images a second: the plain loop against this program's, taking turns."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.idx.idx_format import write_idx
from fmnist_tui.data.load import load_dataset
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.paths import program_command

EPOCHS = 2  # the first warms up, the second counts
SIDE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class ThroughputRow:
    """One model at one batch size: medians of all sides in images a second.

    `ours` is in the precision that `auto` chooses here, `ours_fp32` in the plain loop's.
    """

    model: str
    batch: int
    images: int
    precision: str
    plain: float
    ours: float
    ours_fp32: float
    plain_runs: tuple[float, ...]
    ours_runs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return self.ours / self.plain


@dataclass(frozen=True, slots=True)
class Throughput:
    """All rows, and the most memory a process of ours took."""

    rows: tuple[ThroughputRow, ...]
    memory_mb: float


def measure(
    data_dir: Path,
    dataset: str,
    model: str,
    batches: tuple[int, ...],
    images: int,
    runs: int,
    say: Callable[[str], None],
) -> Throughput:
    """Run all sides in turn, `runs` times for each batch size: the plain loop, ours in the
    precision it chooses, and ours in the plain loop's precision if that is another."""
    loaded = load_dataset(dataset, data_dir=data_dir)
    images = min(images, len(loaded.train))
    memory, rows = 0.0, []
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-bench-") as root:
        _lay_out(loaded, Path(root))
        for batch in batches:
            plain, ours, single = [], [], []
            precision = "fp32"
            for turn in range(runs):
                sides = [str(part) for part in (model, batch, images, EPOCHS)]
                plain.append(_side("plain_loop", [root, *sides])["images_per_second"][-1])
                mine = _side("our_loop", [str(data_dir), dataset, "auto", *sides])
                precision = mine["precision"]
                ours.append(mine["images_per_second"][-1])
                memory = max(memory, mine["memory_mb"])
                if precision != "fp32":
                    mine = _side("our_loop", [str(data_dir), dataset, "fp32", *sides])
                    memory = max(memory, mine["memory_mb"])
                single.append(mine["images_per_second"][-1])
                say(
                    f"{model} batch {batch} turn {turn + 1}/{runs}: "
                    f"plain {plain[-1]:,.0f}, ours {ours[-1]:,.0f} ({precision}), "
                    f"ours in fp32 {single[-1]:,.0f} images/s"
                )
            rows.append(
                ThroughputRow(
                    model=model,
                    batch=batch,
                    images=images,
                    precision=precision,
                    plain=statistics.median(plain),
                    ours=statistics.median(ours),
                    ours_fp32=statistics.median(single),
                    plain_runs=tuple(plain),
                    ours_runs=tuple(ours),
                )
            )
    return Throughput(tuple(rows), memory)


def _lay_out(dataset: Dataset, root: Path) -> None:
    """The images as torchvision expects Fashion-MNIST's raw files."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for stem, split in (("train", dataset.train), ("t10k", dataset.test)):
        write_idx(raw / f"{stem}-images-idx3-ubyte", split.images[..., 0])
        write_idx(raw / f"{stem}-labels-idx1-ubyte", split.labels.astype("uint8"))


def _side(name: str, arguments: list[str]) -> dict[str, Any]:
    command = [*program_command(f"fmnist_tui.bench.{name}"), *arguments]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SIDE_SECONDS,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise UserError(f"the {name} side of the benchmark failed: {last[0]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    from fmnist_tui.engine.device import cpu_name

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": cpu_name(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / (1 << 30), 1),
        "gpu": gpu,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
