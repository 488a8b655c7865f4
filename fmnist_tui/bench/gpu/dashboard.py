"""The dashboard while a training runs on the GPU: keys to paint, and what it costs the training."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fmnist_tui.bench.probes import PROBES
from fmnist_tui.bench.screen import BenchFolders, Latency, measure_keys

# Of a small network at a small batch, whose steps are the shortest: about 10 s of training
EPOCHS = 60
TURNS = 2
KEYS = 40
# What follows from these, with the starts of the processes
SECONDS = 100
SCREENS = ("data", "train", "runs", "evaluate", "errors")


@dataclass(frozen=True, slots=True)
class DashboardCost:
    """Images per second with and without the Train screen, validation and saving included."""

    keys: tuple[Latency, ...]
    headless: tuple[float, ...]
    with_screen: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(self.with_screen) / statistics.median(self.headless)

    def to_plain(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


def measure_dashboard(
    data_dir: Path,
    dataset: str,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    turns: int = TURNS,
    epochs: int = EPOCHS,
    keys: int = KEYS,
) -> DashboardCost:
    """Train in turns without and with the Train screen, then press keys during a training;
    `environment` has the settings of the trainings."""
    headless, with_screen = [], []
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-bench-") as root:
        folders = BenchFolders(Path(root), data_dir, dataset)
        folders.environment.update(environment)
        for turn in range(turns):
            headless.append(folders.train_headless(epochs))
            with_screen.append(folders.train_with_screen(epochs)[0])
            say(
                f"dashboard, turn {turn + 1}/{turns}: headless {headless[-1]:,.0f}, with the Train"
                f" screen {with_screen[-1]:,.0f} images/s"
            )
        probes = [probe for probe in PROBES if probe.screen in SCREENS]
        return DashboardCost(
            measure_keys(folders, keys, say, probes), tuple(headless), tuple(with_screen)
        )
