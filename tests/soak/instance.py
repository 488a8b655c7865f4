"""Several programs that use the same files at once: forks of a process that has imported all.

A line of input is one kind of work, `[work, path, instances, count]`; each instance waits until all
have begun, does it many times, and says what it saw. A line of output is a list of their answers.
"""

# ruff: noqa: T201

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from fmnist_tui.data.load import load_dataset
from fmnist_tui.data.sources.download import fetch_file
from fmnist_tui.protocol.commands import ScaleLearningRate
from fmnist_tui.protocol.events import Alert
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import EventLog, append_line
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.state.settings import Settings
from fmnist_tui.util.errors import UserError

REFUSAL = re.compile(
    r"the run \S+ is in use by (process \d+ on \S+|a process):"
    r" stop it there first, or wait until it ends"
)


def start_runs(run: Path, number: int, count: int) -> dict[str, Any]:
    """Start the one run, and new ones beside it; the lock and the record are the contended part."""
    written, odd = 0, []
    for index in range(count):
        try:
            with RunLock.acquire(run):
                # Only one may be here at a time.
                os.close(os.open(run / "writer", os.O_CREAT | os.O_EXCL))
                log = EventLog(run / "events.jsonl")
                log.append(Alert(time.time(), "note", f"{number}.{index}"))
                log.close()
                (run / "writer").unlink()
                written += 1
        except UserError as error:
            if not REFUSAL.fullmatch(str(error)):
                odd.append(str(error))
        except OSError as error:
            odd.append(f"two writers: {error}")
    folders = [RunFolder.create(run.parent, "soak", "sketches").name for _ in range(10)]
    return {"written": written, "odd": odd, "folders": folders}


def append_lines(file: Path, number: int, count: int) -> dict[str, Any]:
    """Append to the journal of a study."""
    for index in range(count):
        append_line(file, json.dumps([number, index, "x" * 500]).encode() + b"\n")
    return {}


def save_settings(folder: Path, number: int, count: int) -> dict[str, Any]:
    """Make choices in one of several dashboards."""
    settings = Settings.load(folder)
    for index in range(count):
        settings.save(f"choice-{number}", str(index))
    settings.flush()
    return {"warnings": settings.warnings}


def decode_images(folder: Path, number: int, count: int) -> dict[str, Any]:
    """Load a dataset of pictures, whose decoded form is kept in one cache."""
    sums = set()
    for _ in range(count):
        dataset = load_dataset(f"folder:{folder / 'images'}", data_dir=folder / "data")
        sums.add(int(dataset.train.images.astype(int).sum()))
    return {"sums": sorted(sums)}


def download(folder: Path, number: int, count: int) -> dict[str, Any]:
    """Fetch the same file from one server."""
    address, md5 = json.loads((folder / "source.json").read_text())
    for index in range(count):
        fetch_file(address, folder / f"file-{index}", md5=md5, limit=1 << 24)
    return {}


def steer(run: Path, number: int, count: int) -> dict[str, Any]:
    """Send commands to a run like a dashboard that follows it."""
    feed = RunFeed.open(RunFolder(run))
    for index in range(count):
        feed.send(ScaleLearningRate(time.time(), 2.0 if index % 2 else 0.5))
        time.sleep(0.01)
    return {}


WORK = {
    work.__name__: work
    for work in (start_runs, append_lines, save_settings, decode_images, download, steer)
}


def together(name: str, path: str, instances: int, count: int) -> list[dict[str, Any]]:
    """The answers of so many instances that work at the same time."""
    gate, opened = os.pipe()
    pipes = []
    for number in range(instances):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(opened)
            os.read(gate, 1)  # ends when the parent closes its end
            answer = answer_of(name, Path(path), number, count)
            with os.fdopen(writer, "w") as file:
                json.dump(answer, file)
            os._exit(0)
        os.close(writer)
        pipes.append(reader)
    os.close(gate)
    os.close(opened)
    answers = []
    for reader in pipes:
        with os.fdopen(reader) as file:
            answers.append(json.loads(file.read() or '{"failed": "it ended without an answer"}'))
        os.wait()
    return answers


def answer_of(name: str, path: Path, number: int, count: int) -> dict[str, Any]:
    try:
        return WORK[name](path, number, count)
    except Exception:  # noqa: BLE001
        return {"failed": traceback.format_exc()}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(together(*json.loads(line))), flush=True)
