"""Killed at a random moment and inside a save: every run goes on to what it would have become.

A training and a sweep are finished by resuming them, an ensemble and an export are made again. A
training then has the weights of an uninterrupted one, a sweep the same trials, an ensemble and an
export the same bytes; nothing half is ever in a final place, no lock is held, no temporary file is
left.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.runs.lock import find_holder
from tests.e2e.support import LIMIT, QUICK, Home
from tests.soak.concern import Concern, Tally, spread

SMALL = [*QUICK, "--limit", "256", "--epochs", "2"]
SWEEP = """
[run]
dataset = "sketches"
model = "linear"
limit = 256
batch_size = 64
epochs = 1
threads = 1
[sweep]
sampler = "grid"
pruner = "none"
[space.lr]
choices = [0.001, 0.01]
"""
WORKERS = 2


class Work(ABC):
    """Something that is killed and then finished, in a home of its own."""

    name: str
    # How many of a hundred trials are of this work.
    share: int

    def prepare(self, home: Home) -> None:  # noqa: B027
        """Make what the work needs; called once, and copied for every trial."""

    @abstractmethod
    def command(self, home: Home) -> list[str]: ...

    @abstractmethod
    def result(self, home: Home) -> str:
        """What the finished work has become."""

    def check_killed(self, home: Home, expected: str) -> None:  # noqa: B027
        """What must hold before the work is finished."""

    def finish(self, home: Home) -> None:
        done = home.run(*self.command(home))
        assert done.returncode == 0, done.stderr.splitlines()[-1]


class TrainingWork(Work):
    name, share = "training", 50

    def command(self, home: Home) -> list[str]:
        # A save after every step.
        return ["train", *SMALL, "--checkpoint-seconds", "0"]

    def finish(self, home: Home) -> None:
        for run in runs(home):
            if not (run / "config.toml").exists():
                shutil.rmtree(run)  # it was killed before it was a run
                continue
            done = home.run("train", "--resume", run.name)
            last = done.stderr.splitlines()[-1]
            assert done.returncode == 0 or "is finished" in last, last
            return
        super().finish(home)

    def result(self, home: Home) -> str:
        (run,) = runs(home)
        return weights_of(run, "last") + weights_of(run, "best")


class SweepWork(Work):
    name, share = "sweep", 15

    def prepare(self, home: Home) -> None:
        (home.runs.parent / "search.toml").write_text(SWEEP)

    def check_killed(self, home: Home, expected: str) -> None:
        for run in runs(home):
            if not (run / "config.toml").exists():
                shutil.rmtree(run)  # it was killed before it was a run

    def command(self, home: Home) -> list[str]:
        return ["sweep", str(home.runs.parent / "search.toml"), "--checkpoint-seconds", "0"]

    def result(self, home: Home) -> str:
        trials = home.json("sweep", "show", "search")["trials"]
        ended = [each for each in trials if each["state"] == "complete"]
        return repr(sorted((sorted(each["params"].items()), each["value"]) for each in ended))


class EnsembleWork(Work):
    name, share = "ensemble", 15

    def prepare(self, home: Home) -> None:
        for seed in ("0", "1"):
            home.json("train", *SMALL, "--seed", seed)

    def command(self, home: Home) -> list[str]:
        return ["ensemble", *(run.name for run in runs(home) if "ensemble" not in run.name)]

    def check_killed(self, home: Home, expected: str) -> None:
        for run in runs(home):
            if "ensemble" in run.name and any((run / "checkpoints").glob("best-*.json")):
                assert weights_of(run, "best") == expected, "a half ensemble"

    def finish(self, home: Home) -> None:
        for run in runs(home):
            if "ensemble" in run.name:
                shutil.rmtree(run)  # a crashed run, which the list shows
        super().finish(home)

    def result(self, home: Home) -> str:
        (run,) = (run for run in runs(home) if "ensemble" in run.name)
        return weights_of(run, "best")


class ExportWork(Work):
    name, share = "export", 20

    def prepare(self, home: Home) -> None:
        home.json("train", *SMALL)
        (home.runs.parent / "exports").mkdir()

    def command(self, home: Home) -> list[str]:
        file = home.runs.parent / "exports" / "model.pth"
        return ["export", runs(home)[0].name, "--to=pth", f"--out={file}", "--no-check", "--force"]

    def check_killed(self, home: Home, expected: str) -> None:
        file = home.runs.parent / "exports" / "model.pth"
        if file.exists():
            assert file.read_bytes().hex() in expected, "a half export"
            assert file.with_name("model.pth.json").exists(), "an export without its description"

    def result(self, home: Home) -> str:
        folder = home.runs.parent / "exports"
        assert sorted(path.name for path in folder.iterdir()) == ["model.pth", "model.pth.json"]
        return (folder / "model.pth").read_bytes().hex()


WORKS: list[Work] = [TrainingWork(), SweepWork(), EnsembleWork(), ExportWork()]


def runs(home: Home) -> list[Path]:
    """The run folders, oldest first."""
    return sorted(path for path in home.runs.glob("*/") if not path.name.startswith("."))


def weights_of(run: Path, kind: str) -> str:
    from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
    from tests.engine.support import digest

    payload, _, notes = CheckpointStore(run / "checkpoints").load(kind)
    assert not notes, notes
    return digest(payload["model" if kind == "last" else "weights"])


@dataclass(frozen=True, slots=True)
class Reference:
    """The uninterrupted work: its result, the points of its saves, and its CPU time."""

    work: Work
    home: Path
    result: str
    points: int
    seconds: float


def make_reference(work: Work, folder: Path) -> Reference:
    prepared = folder / f"{work.name}-prepared"
    home = Home(prepared)
    home.runs.mkdir(parents=True)
    work.prepare(home)
    done = copy_home(prepared, folder / f"{work.name}-whole")
    file = done.runs.parent / "count"
    end = start(done, work, f"count({str(file)!r})")
    assert end == 0, f"the uninterrupted {work.name} ended with status {end}"
    points, seconds = json.loads(file.read_text())
    return Reference(work, prepared, work.result(done), points, seconds)


def copy_home(prepared: Path, folder: Path) -> Home:
    shutil.copytree(prepared, folder)
    return Home(folder)


def start(home: Home, work: Work, call: str) -> int:
    """Run the work until it has ended or was killed; returns its status."""
    code = f"from tests.soak.killing import *\n{call}"
    process = home.start(*work.command(home), code=code)
    process.communicate(timeout=LIMIT)
    return process.wait()


def attempt(reference: Reference, folder: Path, call: str) -> str:
    """Kill the work and finish it; returns what was lost."""
    work, home = reference.work, copy_home(reference.home, folder)
    try:
        status = start(home, work, call)
        # At the end of its CPU time it may have ended by itself.
        ends = (-signal.SIGKILL,) if call.startswith("at_call") else (-signal.SIGPROF, 0)
        assert status in ends, f"not killed but ended with status {status}"
        work.check_killed(home, reference.result)
        work.finish(home)
        assert work.result(home) == reference.result, "it became something else"
        for run in runs(home):
            assert find_holder(run) is None, "its lock is held"
        hidden = [path.relative_to(folder) for path in folder.rglob(".*")]
        # A lost trial stays as it was; another one has its settings.
        left = [path for path in hidden if "trials" not in path.parts]
        assert not left, f"{left[0]} is left"
    except Exception as error:  # noqa: BLE001 - it is told in the table
        return str(error) or type(error).__name__
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return ""


def moments(reference: Reference, tries: int) -> Iterator[tuple[str, Reference, str]]:
    """Half of the trials inside saves, spread over all points; half at random moments."""
    draw, name = random.Random(tries), reference.work.name
    for point in spread(range(1, reference.points + 1), tries // 2):
        yield f"{name} at call {point}", reference, f"at_call({point})"
    for _ in range(tries - tries // 2):
        seconds = draw.uniform(0.01, 0.98) * reference.seconds
        yield f"{name} after {seconds:.3f} s", reference, f"after({seconds})"


def run(tally: Tally, tries: int) -> None:
    counts = Counter(spread([work for work in WORKS for _ in range(work.share)], tries))
    with ThreadPoolExecutor(WORKERS) as pool:
        references = pool.map(lambda work: make_reference(work, tally.folder), counts)
        cases = [case for each in references for case in moments(each, counts[each.work])]
        lost = pool.map(
            lambda case: attempt(case[1][1], tally.folder / f"trial-{case[0]}", case[1][2]),
            enumerate(cases),
        )
        for (what, _, _), why in zip(cases, lost, strict=True):
            with tally.trial(what):
                assert not why, why


CONCERN = Concern("kill -9", run, short=4, full=400)
