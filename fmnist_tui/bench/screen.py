"""The dashboard measured in a pty: first paint, keys during a training, bytes, training speed."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fmnist_tui.bench import TIMEOUT_SECONDS
from fmnist_tui.bench.probes import PROBES, KeyProbe
from fmnist_tui.bench.terminal import WatchedTerminal
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.paths import program_command

IDLE_SECONDS = 6.0
STARTS = 5
PAGES = 20
EPOCHS = 3
SCREENS = dict(
    zip("1234567", ("data", "train", "evaluate", "errors", "predict", "runs", "sweep"), strict=True)
)
# A small sweep, for the Sweep screen
SWEEP = """
[run]
model = "linear"
dataset = "{dataset}"
limit = 500
epochs = 1
[sweep]
trials = 4
[space.lr]
low = 1e-4
high = 1e-1
log = true
"""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from a key to its effect, over `count` keys of one screen."""

    screen: str
    count: int
    median_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class ScreenCost:
    """All results. Bytes are per second, except those of a page of thumbnails."""

    first_paint_s: float
    torch_before_paint: bool
    keys: tuple[Latency, ...]
    headless: float
    with_screen: float
    headless_runs: tuple[float, ...]
    with_screen_runs: tuple[float, ...]
    idle_bytes: float
    training_bytes: float
    page_bytes: float
    page_ms: float
    pages: int

    @property
    def ratio(self) -> float:
        """The training's speed with a screen as a share of its speed without."""
        return self.with_screen / self.headless

    def to_plain(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


class BenchFolders:
    """The benchmark's own folders, and runs in them."""

    def __init__(self, root: Path, data_dir: Path, dataset: str) -> None:
        self.runs = root / "runs"
        # The Data screen opens the dataset that was last shown, not that of the form.
        settings = root / "settings"
        settings.mkdir()
        (settings / "view.json").write_text(json.dumps({"dataset": dataset}), encoding="utf-8")
        self.environment = {
            "FMNIST_TUI_RUNS": str(self.runs),
            "FMNIST_TUI_DATA": str(data_dir),
            "FMNIST_TUI_SETTINGS": str(settings),
            "FMNIST_TUI_DATASET": dataset,
            # Studies stay in these folders.
            "FMNIST_TUI_STORAGE": "",
            "LANG": "C.UTF-8",
        }

    def open(self, **changes: str) -> WatchedTerminal:
        watched = WatchedTerminal([], {**self.environment, **changes})
        watched.wait_for("1 Data")
        return watched

    def train_headless(self, epochs: int) -> float:
        run = json.loads(self._run("train", "--epochs", str(epochs)))
        return images_per_second(Path(run["path"]))

    def run_sweep(self, dataset: str) -> None:
        """Run a sweep of a few trials."""
        file = self.runs.parent / "bench.toml"
        file.write_text(SWEEP.format(dataset=dataset), encoding="utf-8")
        self._run("sweep", "start", str(file))

    def _run(self, *words: str) -> str:
        result = subprocess.run(
            [*program_command(), *words, "--json"],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if result.returncode:
            raise UserError(f"a headless command failed: {result.stderr.strip()[-200:]}")
        return result.stdout

    def train_with_screen(self, epochs: int) -> tuple[float, float]:
        """Images per second with the Train screen open, and its bytes per second."""
        before = set(self.runs.glob("*/events.jsonl"))
        with self.open(FMNIST_TUI_EPOCHS=str(epochs)) as watched:
            start_training(watched)
            time.sleep(2)
            start, bytes_before = time.perf_counter(), watched.bytes
            run = wait_for_end(self.runs, before)
            drawn = (watched.bytes - bytes_before) / (time.perf_counter() - start)
            watched.press("q")
            watched.process.wait(TIMEOUT_SECONDS)
        return images_per_second(run), drawn


def measure_screen(
    data_dir: Path, dataset: str, turns: int, keys: int, on_progress: Callable[[str], None]
) -> ScreenCost:
    """Measure everything with the default settings, and `keys` keys on each screen."""
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-bench-") as root:
        folders = BenchFolders(Path(root), data_dir, dataset)
        # Before the trainings: the Runs screen must have those on top.
        folders.run_sweep(dataset)
        headless, with_screen, drawn = [], [], []
        for turn in range(turns):
            headless.append(folders.train_headless(EPOCHS))
            speed, rate = folders.train_with_screen(EPOCHS)
            with_screen.append(speed)
            drawn.append(rate)
            on_progress(
                f"turn {turn + 1}/{turns}: headless {headless[-1]:,.0f}, with the Train screen "
                f"{with_screen[-1]:,.0f} images/s, {rate / 1000:.1f} KB/s to the terminal"
            )
        paints, torch_loaded = zip(
            *(_measure_first_paint(folders) for _ in range(STARTS)), strict=True
        )
        on_progress(f"first paint {statistics.median(paints):.2f} s")
        idle = _measure_idle(folders)
        on_progress(f"idle {idle / 1000:.2f} KB/s")
        page_bytes, page_ms = _measure_pages(folders)
        on_progress(f"a page of thumbnails {page_bytes / 1000:.1f} KB in {page_ms:.0f} ms")
        latencies = measure_keys(folders, keys, on_progress)
        return ScreenCost(
            first_paint_s=statistics.median(paints),
            torch_before_paint=any(torch_loaded),
            keys=latencies,
            headless=statistics.median(headless),
            with_screen=statistics.median(with_screen),
            headless_runs=tuple(headless),
            with_screen_runs=tuple(with_screen),
            idle_bytes=idle,
            training_bytes=statistics.median(drawn),
            page_bytes=page_bytes,
            page_ms=page_ms,
            pages=PAGES,
        )


def start_training(watched: WatchedTerminal) -> None:
    """Start a run on the Train screen with the settings of the form."""
    watched.press_and_wait("2", "name of the recipe")
    watched.press_and_wait(" ", r"step [\d,]+/")


def wait_for_end(runs: Path, before: set[Path]) -> Path:
    """Wait until a run that is not in `before` has ended; returns its folder."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < end:
        for record in set(runs.glob("*/events.jsonl")) - before:
            if b'"RunEnded"' in record.read_bytes()[-4096:]:
                return record.parent
        time.sleep(0.5)
    raise UserError("the training with the screen open did not end")


def images_per_second(folder: Path) -> float:
    """Images per second of wall time after the first epoch, with validation and saving."""
    lines = (folder / "events.jsonl").read_text().splitlines()
    records = [
        json.loads(line) for line in lines if '"EpochEnded"' in line or '"RunStarted"' in line
    ]
    started = next(event for event in records if event["is"] == "RunStarted")
    epochs = [event for event in records if event["is"] == "EpochEnded"]
    images = started["steps_per_epoch"] * started["batch_size"] * (len(epochs) - 1)
    return float(images / (epochs[-1]["t"] - epochs[0]["t"]))


def _measure_first_paint(folders: BenchFolders) -> tuple[float, bool]:
    """Seconds from the command to the first paint, and whether torch was loaded by then."""
    with WatchedTerminal([], folders.environment) as watched:
        painted = watched.wait_for("1 Data")
        torch_loaded = False
        if Path("/proc").is_dir():
            maps = Path(f"/proc/{watched.process.pid}/maps").read_text(errors="replace")
            torch_loaded = "libtorch" in maps
        return painted - watched.started_at, torch_loaded


def _measure_idle(folders: BenchFolders) -> float:
    """The most bytes per second that any idle screen writes."""
    worst = 0.0
    with folders.open() as watched:
        for key in SCREENS:
            watched.press(key)
            time.sleep(3)
            before = watched.bytes
            time.sleep(IDLE_SECONDS)
            worst = max(worst, (watched.bytes - before) / IDLE_SECONDS)
    return worst


def _measure_pages(folders: BenchFolders) -> tuple[float, float]:
    """Bytes of a page of full-size thumbnails, and milliseconds to flip to it."""
    sizes, times = [], []
    with folders.open() as watched:
        _full_size(watched)
        for _ in range(PAGES):
            before = watched.bytes
            times.append(watched.press_and_wait("\x1b[6~", "#"))
            time.sleep(0.3)
            sizes.append(watched.bytes - before)
    return statistics.median(sizes), statistics.median(times)


def _full_size(watched: WatchedTerminal) -> None:
    """Show the thumbnails of the Data screen at full size."""
    watched.wait_for("#")
    for _ in range(3):
        start = watched.position
        watched.press("z")
        time.sleep(0.5)
        watched.wait_for("full|small|tiny", start)
        if "full" in watched.text_since(start):
            return
    raise UserError("the Data screen has no full size")


def measure_keys(
    folders: BenchFolders,
    count: int,
    on_progress: Callable[[str], None],
    probes: Sequence[KeyProbe] = PROBES,
) -> tuple[Latency, ...]:
    """Key to paint on each screen while a training runs."""
    latencies = []
    with folders.open(FMNIST_TUI_EPOCHS="100000", FMNIST_TUI_CHECKPOINT_SECONDS="3600") as watched:
        start_training(watched)
        time.sleep(3)
        for probe in probes:
            times = _measure_probe(watched, probe, count)
            median, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
            latencies.append(Latency(probe.screen, len(times), median, p99))
            on_progress(
                f"{probe.screen}: {len(times)} keys, median {median:.1f} ms, "
                f"99th percentile {p99:.1f} ms"
            )
    return tuple(latencies)


def _measure_probe(watched: WatchedTerminal, probe: KeyProbe, count: int) -> list[float]:
    """Milliseconds of `count` keys on a screen while a training runs."""
    for key, answer in probe.setup:
        watched.press_and_wait(key, answer)
        time.sleep(1)
    times = []
    for key, answer in itertools.islice(itertools.cycle(probe.keys), count):
        times.append(watched.press_and_wait(key, answer))
        time.sleep(0.05)
    return times
