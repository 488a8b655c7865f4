"""What the dashboard costs and how fast it answers, measured in a real pty.

Every figure is of the program as a user runs it: the time from the command to the first
paint, from a key to what it changes while a training has all cores, the bytes that reach
the terminal, and a training's images a second with the screen open and without one, in
turns.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fmnist_tui.bench.probes import PROBES, KeyProbe
from fmnist_tui.bench.terminal import WatchedTerminal
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.paths import program_command

SIDE_SECONDS = 900
QUIET_SECONDS = 6.0
STARTS = 5
PAGES = 20
SCREENS = dict(
    zip("1234567", ("data", "train", "evaluate", "errors", "predict", "runs", "sweep"), strict=True)
)
# A small one, to have trials to look at.
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
    """Milliseconds from a key to its paint, over `count` keys of one screen."""

    screen: str
    count: int
    median_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class ScreenCost:
    """All figures; bytes are bytes a second to the terminal, but for a page of thumbnails."""

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
        """The training's speed with the screen open, as a share of its speed without."""
        return self.with_screen / self.headless

    def to_plain(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


class BenchFolders:
    """Folders of its own, with a finished run in them to look at."""

    def __init__(self, root: Path, data_dir: Path, dataset: str) -> None:
        self.runs = root / "runs"
        self.environment = {
            "FMNIST_TUI_RUNS": str(self.runs),
            "FMNIST_TUI_DATA": str(data_dir),
            "FMNIST_TUI_SETTINGS": str(root / "settings"),
            "FMNIST_TUI_DATASET": dataset,
            # Its study is nobody else's business.
            "FMNIST_TUI_STORAGE": "",
            "LANG": "C.UTF-8",
        }

    def open(self, **changes: str) -> WatchedTerminal:
        watched = WatchedTerminal([], {**self.environment, **changes})
        watched.until("1 Data")
        return watched

    def headless(self, epochs: int) -> float:
        return pace(Path(json.loads(self._run("train", "--epochs", str(epochs)))["path"]))

    def sweep(self, dataset: str) -> None:
        """Leave a study with a few trials."""
        file = self.runs.parent / "bench.toml"
        file.write_text(SWEEP.format(dataset=dataset), encoding="utf-8")
        self._run("sweep", "start", str(file))

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [*program_command(), *words, "--json"],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SIDE_SECONDS,
            check=False,
        )
        if done.returncode:
            raise UserError(f"the headless side failed: {done.stderr.strip()[-200:]}")
        return done.stdout

    def with_screen(self, epochs: int) -> tuple[float, float]:
        """Images a second with the Train screen open, and the bytes a second it took."""
        before = set(self.runs.glob("*/events.jsonl"))
        with self.open(FMNIST_TUI_EPOCHS=str(epochs)) as watched:
            start_training(watched)
            time.sleep(2)
            began, bytes_before = time.perf_counter(), watched.bytes
            record = wait_for_end(self.runs, before)
            drawn = (watched.bytes - bytes_before) / (time.perf_counter() - began)
            watched.press("q")
            watched.process.wait(SIDE_SECONDS)
        return pace(record), drawn


def measure_screen(
    data_dir: Path,
    dataset: str,
    turns: int,
    keys: int,
    say: Callable[[str], None],
) -> ScreenCost:
    """Measure it all on a training as it usually is; `keys` keys on each screen."""
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-bench-") as root:
        place = BenchFolders(Path(root), data_dir, dataset)
        # The oldest of the runs: the newest are those that are looked at.
        place.sweep(dataset)
        without, shown, drawn = [], [], []
        for turn in range(turns):
            without.append(place.headless(EPOCHS))
            found, rate = place.with_screen(EPOCHS)
            shown.append(found)
            drawn.append(rate)
            say(
                f"turn {turn + 1}/{turns}: headless {without[-1]:,.0f}, with the Train screen "
                f"{shown[-1]:,.0f} images/s, {rate / 1000:.1f} KB/s to the terminal"
            )
        paints, early = zip(*(_first_paint(place) for _ in range(STARTS)), strict=True)
        say(f"first paint {statistics.median(paints):.2f} s")
        idle = _idle(place)
        say(f"idle {idle / 1000:.2f} KB/s")
        page_bytes, page_ms = _pages(place)
        say(f"a page of thumbnails {page_bytes / 1000:.1f} KB in {page_ms:.0f} ms")
        latencies = _keys(place, keys, say)
        return ScreenCost(
            first_paint_s=statistics.median(paints),
            torch_before_paint=any(early),
            keys=latencies,
            headless=statistics.median(without),
            with_screen=statistics.median(shown),
            headless_runs=tuple(without),
            with_screen_runs=tuple(shown),
            idle_bytes=idle,
            training_bytes=statistics.median(drawn),
            page_bytes=page_bytes,
            page_ms=page_ms,
            pages=PAGES,
        )


EPOCHS = 3


def start_training(watched: WatchedTerminal) -> None:
    """Go to Train and start a run with the settings in the form."""
    since = watched.place
    watched.press("2")
    watched.until("settings", since)
    since = watched.place
    watched.press(" ")
    watched.until(r"step [\d,]+/", since)


def wait_for_end(runs: Path, before: set[Path]) -> Path:
    """The folder of the run that has begun since, once it has ended."""
    end = time.monotonic() + SIDE_SECONDS
    while time.monotonic() < end:
        for record in set(runs.glob("*/events.jsonl")) - before:
            if b'"RunEnded"' in record.read_bytes()[-4096:]:
                return record.parent
        time.sleep(0.5)
    raise UserError("the training with the screen open did not end")


def pace(folder: Path) -> float:
    """Images a second of wall clock, validation and saving among it, after the first epoch."""
    lines = (folder / "events.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in lines if '"EpochEnded"' in line or '"RunStarted"' in line]
    started = next(event for event in said if event["is"] == "RunStarted")
    epochs = [event for event in said if event["is"] == "EpochEnded"]
    images = started["steps_per_epoch"] * started["batch_size"] * (len(epochs) - 1)
    return float(images / (epochs[-1]["t"] - epochs[0]["t"]))


def _first_paint(place: BenchFolders) -> tuple[float, bool]:
    """Seconds from the command to the first screen, and whether torch was loaded by then."""
    with WatchedTerminal([], place.environment) as watched:
        painted = watched.until("1 Data")
        early = False
        if Path("/proc").is_dir():
            maps = Path(f"/proc/{watched.process.pid}/maps").read_text(errors="replace")
            early = "libtorch" in maps
        return painted - watched.began, early


def _idle(place: BenchFolders) -> float:
    """The most bytes a second that any screen draws when nothing happens."""
    worst = 0.0
    with place.open() as watched:
        for key in SCREENS:
            watched.press(key)
            time.sleep(3)
            before = watched.bytes
            time.sleep(QUIET_SECONDS)
            worst = max(worst, (watched.bytes - before) / QUIET_SECONDS)
    return worst


def _pages(place: BenchFolders) -> tuple[float, float]:
    """Bytes of a page of full-size thumbnails, and milliseconds to flip to it."""
    sizes, times = [], []
    with place.open() as watched:
        _full_size(watched)
        for _ in range(PAGES):
            before, since = watched.bytes, watched.place
            pressed = watched.press("\x1b[6~")
            times.append((watched.until("#", since) - pressed) * 1000)
            time.sleep(0.3)
            sizes.append(watched.bytes - before)
    return statistics.median(sizes), statistics.median(times)


def _full_size(watched: WatchedTerminal) -> None:
    """Have the Data screen show its thumbnails at full size."""
    watched.until("#")
    for _ in range(3):
        since = watched.place
        watched.press("z")
        time.sleep(0.5)
        watched.until("full|small|tiny", since)
        if "full" in watched.since(since):
            return
    raise UserError("the Data screen has no full size")


def _keys(place: BenchFolders, count: int, say: Callable[[str], None]) -> tuple[Latency, ...]:
    found = []
    with place.open(FMNIST_TUI_EPOCHS="100000", FMNIST_TUI_CHECKPOINT_SECONDS="3600") as watched:
        start_training(watched)
        time.sleep(3)
        for probe in PROBES:
            times = _of_screen(watched, probe, count)
            found.append(
                Latency(
                    probe.screen,
                    len(times),
                    statistics.median(times),
                    statistics.quantiles(times, n=100)[98],
                )
            )
            say(
                f"{probe.screen}: {len(times)} keys, median {found[-1].median_ms:.1f} ms, "
                f"99th percentile {found[-1].p99_ms:.1f} ms"
            )
    return tuple(found)


def _of_screen(watched: WatchedTerminal, probe: KeyProbe, count: int) -> list[float]:
    """Milliseconds of `count` keys on a screen, the training going on."""
    for key, shown in probe.before:
        since = watched.place
        watched.press(key)
        watched.until(shown, since)
        time.sleep(1)
    times = []
    for key, shown in itertools.islice(itertools.cycle(probe.keys), count):
        since = watched.place
        pressed = watched.press(key)
        times.append((watched.until(shown, since) - pressed) * 1000)
        time.sleep(0.05)
    return times
