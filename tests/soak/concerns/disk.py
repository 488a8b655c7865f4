"""A disk that is full, failing or gone: what is lost is said, and the status is not 0.

What was on the disk before stays as it is; a run that did not get to its end is resumed."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from tests.e2e.fork_server import PREPARE, ForkedProcess
from tests.e2e.support import LIMIT, QUICK, Home, events, wait_for
from tests.e2e.terminal import Terminal
from tests.soak.concern import Concern, Tally, spread
from tests.soak.small_disk import SmallDisk, can_mount, hashes, small_disk

Done = subprocess.CompletedProcess[str]
LONG = [*QUICK, "--epochs", "100000", "--checkpoint-seconds", "0.2"]
SWEEP = """
recipe = "two-conv"
[run]
dataset = "sketches"
model = "linear"
limit = 500
batch_size = 64
threads = 1
epochs = 1
[sweep]
trials = 2
sampler = "random"
[space.lr]
low = 0.001
high = 0.01
"""


@dataclass(frozen=True)
class Bench:
    """A home on a small disk, which holds a finished and a stopped run; `elsewhere` is a folder
    on another disk."""

    home: Home
    disk: SmallDisk
    elsewhere: Path

    @property
    def runs(self) -> list[Path]:
        return sorted(path for path in self.home.runs.glob("2*") if path.is_dir())

    @property
    def finished(self) -> str:
        return self.runs[0].name

    @property
    def stopped(self) -> str:
        return self.runs[1].name

    def with_fault(self, name: str) -> Home:
        home = Home(self.disk.path)
        home.environment = {**self.home.environment, PREPARE: f"tests.soak.faults:{name}"}
        return home


Case = tuple[str, Callable[[Bench], None]]


def check_words(done: Done) -> None:
    """What went wrong is said in one line."""
    assert "Traceback" not in done.stderr, done.stderr[-500:]
    errors = [line for line in done.stderr.splitlines() if line.startswith("fmnist-tui: ")]
    expected = 0 if done.returncode == 0 else 1
    assert len(errors) == expected, (done.returncode, errors, done.stderr[-500:])


def check_refusal(done: Done, *words: str) -> None:
    check_words(done)
    assert done.returncode != 0, "a status of 0"
    missing = [word for word in words if word not in done.stderr]
    assert not missing, (missing, done.stderr[-300:])


def is_complete(run: Path) -> bool:
    """Whether a run has finished, with its last state on disk."""
    end = events(run)[-1] if (run / "events.jsonl").exists() and events(run) else {}
    manifests = [json.loads(path.read_text()) for path in run.glob("checkpoints/last-*.json")]
    steps = [manifest["step"] for manifest in manifests]
    return end.get("reason") == "finished" and end["step"] in steps


@contextmanager
def undamaged(bench: Bench, *changing: str) -> Iterator[None]:
    """What is there before the block is there after it; a record may have grown."""
    before = {name: path.read_bytes() for name, path in files(bench).items()}
    yield
    after = {name: path.read_bytes() for name, path in files(bench).items()}
    for name, content in before.items():
        if any(part in name for part in changing):
            continue
        assert name in after, f"{name} is gone"
        is_record = name.endswith((".jsonl", ".log"))
        same = after[name].startswith(content) if is_record else after[name] == content
        assert same, f"{name} has changed"


def files(bench: Bench) -> dict[str, Path]:
    return {name: bench.disk.path / name for name in hashes(bench.disk.path)}


# -- a disk that is full ------------------------------------------------------------------------


def train(bench: Bench, leave: int) -> None:
    earlier = set(bench.runs)
    bench.disk.fill(leave)
    with undamaged(bench):
        done = bench.home.run("train", *QUICK, "--epochs", "3")
    check_words(done)
    bench.disk.empty()
    new = [run for run in bench.runs if run not in earlier]
    if done.returncode == 0:
        assert len(new) == 1 and is_complete(new[0]), "a status of 0 without a finished run"
    for run in new:
        assert (run / "config.toml").exists(), "an empty folder is left"
        continue_run(bench, run)


def continue_run(bench: Bench, run: Path) -> None:
    """With space again, a run that is not complete is resumed to its end."""
    if is_complete(run):
        return
    done = bench.home.run("train", "--resume", str(run), "--epochs", more_epochs(run))
    assert done.returncode == 0 and is_complete(run), done.stderr[-400:]


def more_epochs(run: Path) -> str:
    """Two epochs more than a run has begun."""
    return str(2 + max((event.get("epoch", 0) for event in events(run)), default=0))


def resume(bench: Bench, leave: int) -> None:
    run = bench.home.runs / bench.stopped
    bench.disk.fill(leave)
    # Older checkpoints make room for newer ones.
    with undamaged(bench, f"{run.name}/checkpoints", f"{run.name}/config", f"{run.name}/pred"):
        done = bench.home.run("train", "--resume", str(run), "--epochs", more_epochs(run))
    check_words(done)
    assert done.returncode != 0 or is_complete(run), "a status of 0 without a finished run"
    bench.disk.empty()
    continue_run(bench, run)


def evaluate(bench: Bench, leave: int) -> None:
    record = bench.home.runs / bench.finished / "events.jsonl"
    count = len(events(record.parent))
    bench.disk.fill(leave)
    with undamaged(bench, "predictions"):
        done = bench.home.run("evaluate", bench.finished)
    check_words(done)
    assert "accuracy" in done.stdout, "no figures"
    is_recorded = len(events(record.parent)) > count
    assert is_recorded or "not recorded in the run: " in done.stderr, "the record is silently lost"
    bench.disk.empty()
    assert bench.home.run("evaluate", bench.finished).returncode == 0


def export(bench: Bench, kind: str, leave: int) -> None:
    target = bench.disk.path / f"model.{kind}"
    bench.disk.fill(leave)
    with undamaged(bench):
        done = bench.home.run("export", bench.finished, "--format", kind, "--out", str(target))
    check_words(done)
    assert (done.returncode == 0) == target.exists(), (done.returncode, target.exists())
    assert not list(bench.disk.path.rglob(".writing-*")), "a temporary file is left"


def report(bench: Bench, leave: int) -> None:
    target = bench.disk.path / "report.html"
    target.write_text("an older report")
    bench.disk.fill(leave)
    done = bench.home.run("report", bench.finished, "--out", str(target))
    check_words(done)
    is_new = target.read_text() != "an older report"
    assert is_new == (done.returncode == 0), "a damaged report"


def ensemble(bench: Bench, leave: int) -> None:
    earlier = set(bench.runs)
    bench.disk.fill(leave)
    with undamaged(bench):
        done = bench.home.run("ensemble", bench.finished, bench.stopped)
    check_words(done)
    bench.disk.empty()
    new = [run for run in bench.runs if run not in earlier]
    assert all((run / "config.toml").exists() for run in new), "an empty folder is left"
    if done.returncode == 0:
        assert list(new[0].glob("checkpoints/best-*.json")), "no model"
        assert events(new[0])[-1]["reason"] == "finished"


def sweep(bench: Bench, leave: int) -> None:
    file = bench.elsewhere / "search.toml"
    file.write_text(SWEEP)
    bench.disk.fill(leave)
    with undamaged(bench):
        done = bench.with_fault("impatient_sweep").run("sweep", str(file))
    check_words(done)
    bench.disk.empty()
    study = bench.home.run("sweep", str(file), "--json")
    assert study.returncode == 0, study.stderr[-400:]
    assert json.loads(study.stdout)["done"] >= 2, study.stdout[-400:]


def decoded_cache(bench: Bench, leave: int) -> None:
    images = bench.elsewhere / "photos"
    make_photos(images)
    bench.disk.fill(leave)
    words = ["--dataset", f"folder:{images}", "--model", "linear", "--epochs", "1"]
    words += ["--batch-size", "16", "--threads", "1", "--runs"]
    done = bench.home.run("train", *words, str(bench.elsewhere / "runs"))
    check_words(done)
    bench.disk.empty()
    again = bench.home.run("train", *words, str(bench.elsewhere / "runs"))
    assert again.returncode == 0, again.stderr[-300:]


def make_photos(folder: Path) -> None:
    random = np.random.default_rng(0)
    for label in ("boots", "shirts"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(40):
            pixels = random.integers(0, 256, (28, 28)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")


def start_training(bench: Bench, *words: str) -> tuple[ForkedProcess, Path]:
    """Start a training, and wait until it has done some steps."""
    earlier = bench.runs
    process = bench.home.start("train", *words)

    def find_run() -> Path | None:
        assert process.poll() is None, process.communicate()[1]
        for run in bench.runs:
            if run not in earlier and b'"is":"Progress"' in read(run / "events.jsonl"):
                return run
        return None

    run = wait_for(find_run)
    assert run is not None
    return process, run


def read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def space_returns(bench: Bench) -> None:
    process, run = start_training(bench, *LONG)
    wait_for(lambda: list(run.glob("checkpoints/last-*.json")))
    bench.disk.fill(0)
    newest = sorted(run.glob("checkpoints/*.json"))
    wait_for(lambda: "an outage" if is_silent(run) else None)
    assert sorted(run.glob("checkpoints/*.json")) == newest
    bench.disk.empty()
    wait_for(lambda: sorted(run.glob("checkpoints/*.json")) != newest)
    wait_for(lambda: "record is written again" in (run / "events.jsonl").read_text())
    process.send_signal(15)
    _, said = process.communicate(timeout=LIMIT)
    assert process.returncode == 143, (process.returncode, said[-300:])
    for words in ("checkpoint not saved (No space left", "cannot write", "saved again"):
        assert words in said, (words, said[-600:])
    assert events(run)[-1]["reason"] == "stopped"


def is_silent(run: Path) -> bool:
    """Whether the record has not grown for a while, as without space."""
    size = (run / "events.jsonl").stat().st_size
    time.sleep(0.5)
    return (run / "events.jsonl").stat().st_size == size


# -- the dashboard ------------------------------------------------------------------------------


@contextmanager
def training_dashboard(bench: Bench) -> Iterator[tuple[Terminal, Path]]:
    """A dashboard that trains a run, which has saved its first checkpoint."""
    earlier = bench.runs
    settings = zip(LONG[::2], LONG[1::2], strict=True)
    values = {f"FMNIST_TUI_{name[2:].replace('-', '_').upper()}": each for name, each in settings}
    with Terminal(env={**bench.home.environment, **values}) as terminal:
        terminal.until("2 Train")
        terminal.press("2")
        terminal.until("Next run")
        terminal.press("space")
        (run,) = wait_for(lambda: [run for run in bench.runs if run not in earlier])
        wait_for(lambda: list(run.glob("checkpoints/last-*.json")))
        yield terminal, run


def check_detach(terminal: Terminal, *said: str) -> None:
    terminal.press("d")
    assert terminal.wait_for_exit() == 1
    assert terminal.is_restored()
    # Long lines are broken anywhere.
    words = "".join(terminal.text().split())
    missing = [word for word in said if word.replace(" ", "") not in words]
    assert "continuesinprocess" not in words and not missing, (missing, words[-400:])


def detach_without_space(bench: Bench) -> None:
    with training_dashboard(bench) as (terminal, run):
        bench.disk.fill(0)
        check_detach(terminal, "failed at step", "could not be saved")
        bench.disk.empty()
    continue_run(bench, run)


def detach_without_successor(bench: Bench) -> None:
    with training_dashboard(bench) as (terminal, run):
        config = (run / "config.toml").read_bytes()
        (run / "config.toml").write_text("not = [a config")
        check_detach(terminal, "does not continue:", "config.toml", "train --resume")
    (run / "config.toml").write_bytes(config)
    continue_run(bench, run)


def delete_shown_run(bench: Bench) -> None:
    with training_dashboard(bench) as (terminal, run):
        wait_for(lambda: remove(run))
        terminal.until("was deleted or moved")
        terminal.press("q")
        assert terminal.wait_for_exit() == 1
        assert not run.exists()


def settings_without_space(bench: Bench) -> None:
    bench.disk.fill(0)
    with Terminal(env=bench.home.environment) as terminal:
        terminal.until("2 Train")
        terminal.press("t")
        terminal.until("No space left on device")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert terminal.is_restored()


# -- a disk that fails, or that cannot be written -----------------------------------------------


def failing(bench: Bench, words: list[str], *said: str) -> None:
    with undamaged(bench):
        check_refusal(bench.with_fault("failing_disk").run(*words), "Input/output error", *said)


def read_only(bench: Bench, words: list[str], refused: bool, *said: str) -> None:
    words = [word.replace("RUN", bench.finished) for word in words]
    words = [word.replace("DISK", str(bench.disk.path)) for word in words]
    bench.disk.set_read_only(True)
    with undamaged(bench):
        done = bench.home.run(*words)
    bench.disk.set_read_only(False)
    check_words(done)
    assert (done.returncode != 0) == refused, (done.returncode, done.stderr[-300:])
    missing = [word for word in said if word not in done.stderr]
    assert not missing, (missing, done.stderr[-300:])


def without_locks(bench: Bench, words: list[str], refused: bool, *said: str) -> None:
    words = [word.replace("RUN", bench.finished) for word in words]
    earlier = bench.runs
    with undamaged(bench, "predictions"):
        done = bench.with_fault("no_locks").run(*words)
    check_words(done)
    assert (done.returncode != 0) == refused, (done.returncode, done.stderr[-300:])
    missing = [word for word in said if word not in done.stderr + done.stdout]
    assert not missing, (missing, done.stderr[-300:])
    assert bench.runs == earlier, "an empty folder is left"


def without_home(bench: Bench, words: tuple[str, ...]) -> None:
    home = Home(bench.disk.path)
    home.environment = {
        name: value
        for name, value in bench.home.environment.items()
        if name != "HOME" and not name.startswith(("XDG_", "FMNIST_TUI_"))
    }
    done = home.run(*words, *(["--runs", str(bench.home.runs)] if words[0] != "recipes" else []))
    check_words(done)
    assert done.returncode == 0, done.stderr[-300:]


def clock(bench: Bench) -> None:
    earlier = set(bench.runs)
    late = bench.with_fault("backward_clock")
    assert late.run("train", *QUICK, "--epochs", "2").returncode == 0
    (run,) = set(bench.runs) - earlier
    done = bench.home.run("train", "--resume", str(run), "--epochs", "3")
    assert done.returncode == 0 and is_complete(run), done.stderr[-300:]
    done = late.run("train", "--resume", str(run), "--epochs", "4")
    assert done.returncode == 0 and is_complete(run), done.stderr[-300:]
    shown = bench.home.json("runs", "show", str(run))
    assert shown["seconds"] >= 0 and shown["epochs"] == 4, shown
    assert bench.home.run("runs", "list").returncode == 0


# -- folders that are deleted, and files where folders should be --------------------------------


def deleted(bench: Bench, what: str) -> None:
    process, run = start_training(bench, *LONG)
    if what == "runs":
        shutil.rmtree(bench.home.runs, ignore_errors=True)
        wait_for(lambda: remove(bench.home.runs))
    elif what == "run":
        wait_for(lambda: remove(run))
    elif what == "moved":
        wait_for(lambda: list(run.glob("checkpoints/last-*.json")))
        run.rename(run.with_name("moved"))
    elif what == "replaced":
        wait_for(lambda: remove(run))
        run.write_text("a file")
    out, said = process.communicate(timeout=LIMIT)
    check_refusal(Done([], process.returncode or 0, out, said), "was deleted or moved")
    assert not run.is_dir(), "the folder is back"
    if what == "moved":
        assert events(run.with_name("moved"))[-1]["reason"] == "failed"
        assert list(run.with_name("moved").glob("checkpoints/last-*.json"))


def remove(folder: Path) -> bool:
    """Delete a folder that a process writes to; whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def deleted_record(bench: Bench) -> None:
    process, run = start_training(bench, *QUICK, "--epochs", "150")
    (run / "events.jsonl").unlink()
    out, said = process.communicate(timeout=LIMIT)
    check_refusal(Done([], process.returncode or 0, out, said), "record is lost")


def file_for_folder(bench: Bench, place: str, words: list[str], refused: bool = True) -> None:
    words = [word.replace("RUN", bench.finished) for word in words]
    words = [word.replace("STOPPED", bench.stopped) for word in words]
    run = bench.home.runs / (bench.stopped if "--resume" in words else bench.finished)
    path = {"runs": bench.home.runs, "data": bench.home.data}.get(place, run / place)
    if path.is_dir():
        shutil.rmtree(path)
    path.write_text("a file where a folder should be")
    with undamaged(bench, "predictions"):
        done = bench.home.run(*words)
    check_words(done)
    assert (done.returncode != 0) == refused, (done.returncode, done.stderr[-300:])


def refused(bench: Bench, words: list[str]) -> None:
    earlier = bench.runs
    check_refusal(bench.home.run("train", *words))
    assert bench.runs == earlier, "a folder is left"


def cases() -> list[Case]:
    full: list[Case] = []
    for leave in (
        0,
        4,
        8,
        12,
        16,
        20,
        28,
        36,
        44,
        52,
        60,
        72,
        84,
        100,
        120,
        140,
        160,
        180,
        200,
        240,
    ):
        full.append((f"train with {leave} KB", partial(train, leave=leave)))
    for leave in (0, 4, 8, 40, 120):
        full.append((f"resume with {leave} KB", partial(resume, leave=leave)))
    for leave in (0, 4, 8, 40):
        full.append((f"evaluate with {leave} KB", partial(evaluate, leave=leave)))
    for kind in ("pth", "safetensors"):
        for leave in (0, 8, 24, 36):
            full.append((f"export {kind} with {leave} KB", partial(export, kind=kind, leave=leave)))
    for leave in (0, 4, 40, 100):
        full.append((f"ensemble with {leave} KB", partial(ensemble, leave=leave)))
    for leave in (0, 8, 60, 200):
        full.append((f"sweep with {leave} KB", partial(sweep, leave=leave)))
    for leave in (0, 8, 100):
        full.append((f"report with {leave} KB", partial(report, leave=leave)))
    for leave in (0, 40):
        full.append((f"decoded cache with {leave} KB", partial(decoded_cache, leave=leave)))
    full += [
        ("space that returns", space_returns),
        ("detach without space", detach_without_space),
        ("settings without space", settings_without_space),
    ]

    quick = ["train", *QUICK, "--epochs", "1"]
    faults: list[Case] = [
        ("train on a failing disk", partial(failing, words=quick)),
        *(
            (f"{words[0]} on a read-only disk", partial(read_only, words=words, refused=no))
            for words, no in (
                (quick, True),
                (["evaluate", "RUN"], False),
                (["runs", "show", "RUN"], False),
                (["runs", "delete", "RUN", "--yes"], True),
                (["runs", "archive", "RUN"], True),
                (["report", "RUN", "--out", "DISK/report.html"], True),
                (["export", "RUN", "--format", "pth"], True),
                (["data", "list"], False),
            )
        ),
        *(
            (
                f"{' '.join(words[:2])} without locks",
                partial(without_locks, words=words, refused=no),
            )
            for words, no in (
                (quick, True),
                (["train", "--resume", "RUN", "--epochs", "5"], True),
                (["evaluate", "RUN"], False),
                (["runs", "list"], False),
                (["runs", "show", "RUN"], False),
            )
        ),
        ("recipes without a home", partial(without_home, words=("recipes", "list"))),
        ("train without a home", partial(without_home, words=("train", *QUICK, "--epochs", "1"))),
        ("a clock that goes backwards", clock),
    ]
    folders: list[Case] = [
        ("detach without a successor", detach_without_successor),
        ("run of the dashboard deleted", delete_shown_run),
        *((f"{what} folder deleted", partial(deleted, what=what)) for what in ("run", "runs")),
        *((f"run folder {what}", partial(deleted, what=what)) for what in ("moved", "replaced")),
        ("record deleted", deleted_record),
        ("a file for runs", partial(file_for_folder, place="runs", words=quick)),
        (
            "a file for checkpoints",
            partial(
                file_for_folder,
                place="checkpoints",
                words=["train", "--resume", "STOPPED", "--epochs", "3"],
            ),
        ),
        (
            "a file for predictions",
            partial(file_for_folder, place="predictions", words=["evaluate", "RUN"], refused=False),
        ),
        (
            "a file for exports",
            partial(file_for_folder, place="exports", words=["export", "RUN", "--format", "pth"]),
        ),
        (
            "a file for data",
            partial(file_for_folder, place="data", words=["train", "--epochs", "1"]),
        ),
    ]
    refusals: list[Case] = [
        (" ".join(words), partial(refused, words=words))
        for words in (
            ["--epochs", "0"],
            ["--model", "nothing"],
            ["--lr", "fast"],
            ["--dataset", "none"],
        )
    ]
    return [*full, *faults, *folders, *refusals]


def run(tally: Tally, tries: int) -> None:
    if not can_mount(tally.folder):
        tally.skip("needs the right to mount a small disk")
        return
    base = Home(tally.folder / "base")
    for epochs in ("2", "100000"):
        process = base.start("train", *QUICK, "--epochs", epochs, "--checkpoint-seconds", "0.1")
        if epochs != "2":
            base.wait_for_steps(process)
            process.send_signal(15)
        _, said = process.communicate(timeout=LIMIT)
        assert process.returncode in (0, 143), said
    for name, trial in spread(cases(), tries):
        with (
            tally.trial(name),
            tempfile_in(tally.folder) as elsewhere,
            small_disk(tally.folder) as disk,
        ):
            home = Home(disk.path)
            home.environment["FMNIST_TUI_SETTINGS"] = str(disk.path / "settings")
            shutil.copytree(base.runs, home.runs)
            trial(Bench(home, disk, elsewhere))


@contextmanager
def tempfile_in(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield Path(name)


CONCERN = Concern("disk and home", run, short=3, full=len(cases()))
