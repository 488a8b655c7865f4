"""Images per second of the plain loop and of this program, in turns."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmnist_tui.bench import TIMEOUT_SECONDS
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.idx.idx_format import write_idx
from fmnist_tui.data.load import load_dataset
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.paths import program_command

EPOCHS = 2  # the first is a warm-up, the second counts


@dataclass(frozen=True, slots=True)
class ThroughputRow:
    """One model at one batch size: medians in images per second.

    `ours` uses the precision that `auto` chooses here, `ours_fp32` the plain loop's.
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
    """All rows, and the peak memory of this program's processes."""

    rows: tuple[ThroughputRow, ...]
    memory_mb: float


def measure(
    data_dir: Path,
    dataset: str,
    model: str,
    batches: tuple[int, ...],
    images: int,
    turns: int,
    on_progress: Callable[[str], None],
) -> Throughput:
    """Measure each batch size in `turns` rounds: the plain loop, this program in the precision that
    it chooses, and in fp32 if that is another."""
    loaded = load_dataset(dataset, data_dir=data_dir)
    images = min(images, len(loaded.train))
    memory, rows = 0.0, []
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-bench-") as root:
        write_raw_files(loaded, Path(root))
        for batch in batches:
            plain, ours, ours_fp32 = [], [], []
            precision = "fp32"
            for turn in range(turns):
                arguments = [str(value) for value in (model, batch, images, EPOCHS)]
                plain.append(_run_loop("plain_loop", [root, *arguments])["images_per_second"][-1])
                result = _run_loop("our_loop", [str(data_dir), dataset, "auto", *arguments])
                precision = result["precision"]
                ours.append(result["images_per_second"][-1])
                memory = max(memory, result["memory_mb"])
                if precision != "fp32":
                    result = _run_loop("our_loop", [str(data_dir), dataset, "fp32", *arguments])
                    memory = max(memory, result["memory_mb"])
                ours_fp32.append(result["images_per_second"][-1])
                on_progress(
                    f"{model} batch {batch} turn {turn + 1}/{turns}: "
                    f"plain {plain[-1]:,.0f}, ours {ours[-1]:,.0f} ({precision}), "
                    f"ours in fp32 {ours_fp32[-1]:,.0f} images/s"
                )
            rows.append(
                ThroughputRow(
                    model=model,
                    batch=batch,
                    images=images,
                    precision=precision,
                    plain=statistics.median(plain),
                    ours=statistics.median(ours),
                    ours_fp32=statistics.median(ours_fp32),
                    plain_runs=tuple(plain),
                    ours_runs=tuple(ours),
                )
            )
    return Throughput(tuple(rows), memory)


def write_raw_files(dataset: Dataset, root: Path) -> None:
    """Write the images as torchvision expects Fashion-MNIST's raw files."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for stem, split in (("train", dataset.train), ("t10k", dataset.test)):
        write_idx(raw / f"{stem}-images-idx3-ubyte", split.images[..., 0])
        write_idx(raw / f"{stem}-labels-idx1-ubyte", split.labels.astype("uint8"))


def _run_loop(name: str, arguments: list[str]) -> dict[str, Any]:
    command = [*program_command(f"fmnist_tui.bench.{name}"), *arguments]
    process = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if process.returncode:
        last = process.stderr.strip().splitlines()[-1:] or [f"status {process.returncode}"]
        raise UserError(f"{name} of the benchmark failed: {last[0]}")
    result: dict[str, Any] = json.loads(process.stdout.strip().splitlines()[-1])
    return result
