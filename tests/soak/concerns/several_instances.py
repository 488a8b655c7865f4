"""Several of this program at once: one writer for each run, each command once, every file whole."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from fmnist_tui.runs.folder import RunFolder
from tests.e2e.support import LIMIT, QUICK, Home, events, wait_for
from tests.soak.concern import Concern, Tally

COUNT = 8
TRAINING = [*QUICK, "--epochs", "100000", "--patience", "0"]


class Instances:
    """Several of this program, which do the same at the same time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.instance"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def do(self, work: str, path: Path, count: int, instances: int = COUNT) -> list[dict[str, Any]]:
        """What each of them says."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([work, str(path), instances, count]) + "\n")
        self._process.stdin.flush()
        answers: list[dict[str, Any]] = json.loads(self._process.stdout.readline())
        failed = [answer["failed"] for answer in answers if "failed" in answer]
        assert not failed, failed[0]
        return answers


def run(tally: Tally, tries: int) -> None:
    """`tries` starts of each instance, and a fraction of that of everything else."""
    with Instances() as instances:
        starts(tally, instances, tries)
        for check in (journal, settings, decoded_cache, downloads):
            with tally.trial(check.__name__):
                folder = tally.folder / check.__name__
                folder.mkdir()
                check(folder, instances, max(2, tries // 10))
        with tally.trial("steering"):
            steering(tally.folder / "steered", instances, max(4, tries // 5))


def starts(tally: Tally, instances: Instances, tries: int) -> None:
    run = RunFolder.create(tally.folder / "runs", "soak", "sketches").path
    answers = instances.do("start_runs", run, tries)
    tally.tried += COUNT * tries
    for answer in answers:
        for problem in answer["odd"]:
            tally.lose("start", problem)
    written = sum(answer["written"] for answer in answers)
    record = [event["message"] for event in events(run)]
    with tally.trial("the record of the run"):
        assert 0 < written == len(record) == len(set(record)), (written, len(record))
    with tally.trial("the names of new runs"):
        names = [name for answer in answers for name in answer["folders"]]
        assert len(set(names)) == len(names) == COUNT * 10


def journal(folder: Path, instances: Instances, count: int) -> None:
    file = folder / "journal"
    instances.do("append_lines", file, count)
    lines = [json.loads(line)[:2] for line in file.read_text().splitlines()]
    assert sorted(lines) == [[number, index] for number in range(COUNT) for index in range(count)]


def settings(folder: Path, instances: Instances, count: int) -> None:
    answers = instances.do("save_settings", folder / "settings", count)
    assert not any(answer["warnings"] for answer in answers), answers
    saved = json.loads((folder / "settings" / "view.json").read_text())
    assert saved == {f"choice-{number}": str(count - 1) for number in range(COUNT)}


def decoded_cache(folder: Path, instances: Instances, count: int) -> None:
    random = np.random.default_rng(0)
    for name in ("coat", "bag"):
        (folder / "images" / name).mkdir(parents=True)
        for index in range(20):
            pixels = random.integers(0, 256, (28, 28), np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{index}.png")
    answers = instances.do("decode_images", folder, count)
    assert len({tuple(answer["sums"]) for answer in answers}) == 1, answers
    assert len(answers[0]["sums"]) == 1


def downloads(folder: Path, instances: Instances, count: int) -> None:
    data = np.random.default_rng(0).bytes(300_000)
    with file_server(data) as (address, requests):
        (folder / "source.json").write_text(
            json.dumps([address, hashlib.md5(data, usedforsecurity=False).hexdigest()])
        )
        instances.do("download", folder, count)
        assert all((folder / f"file-{index}").read_bytes() == data for index in range(count))
        # Those that waited have found the file.
        assert len(requests) == count, len(requests)


@contextmanager
def file_server(data: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server of one file: its address, and the requests so far."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/file", requests
        finally:
            server.shutdown()
            thread.join()


def steering(folder: Path, instances: Instances, count: int) -> None:
    """Two dashboards and command lines steer one run, which another process trains."""
    folder.mkdir()
    home = Home(folder)
    training = home.start("train", *TRAINING)
    try:
        run = home.wait_for_steps(training)

        def changes(what: str) -> list[str]:
            return [e["value"] for e in events(run) if e["is"] == "Changed" and e["what"] == what]

        before = len(changes("lr"))
        instances.do("steer", run, count, 2)
        wait_for(lambda: len(changes("lr")) >= before + 2 * count)
        assert len(changes("lr")) == before + 2 * count
        in_use = f"in use by process {training.pid} on"
        assert in_use in home.error_line("runs", "archive", run.name, status=1)
        assert in_use in home.error_line("runs", "delete", run.name, "--yes", status=1)
        assert in_use in home.error_line("train", "--resume", run.name, status=1)
        stopping = [home.start("runs", "stop", run.name) for _ in range(2)]
        for process in stopping:
            _, err = process.communicate(LIMIT)
            # One of them may come too late.
            assert process.returncode == 0 or "is not running" in err, err
        assert training.wait(LIMIT) == 0
        assert [event["is"] for event in events(run)].count("RunEnded") == 1
        assert events(run)[-1]["reason"] == "stopped"
        assert not (run / "writer").exists()
    finally:
        training.kill()
        training.communicate()


CONCERN = Concern("two of us", run, short=5, full=100)
