"""Runs without a terminal: `train --detach`, `train --fork`, handing a run over."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.protocol.commands import Detach
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import resume_detached
from fmnist_tui.runs.lock import find_holder
from fmnist_tui.runs.log import send_command
from tests.e2e.support import LIMIT, QUICK, Home, events
from tests.e2e.terminal import Terminal
from tests.engine.support import digest
from tests.webhook import serve_webhook

LONG = [*QUICK, "--epochs", "100000"]


@pytest.fixture
def home(home: Home) -> Iterator[Home]:
    """A home whose training processes are killed after the test."""
    yield home
    for path in home.runs.glob("*/"):
        left = find_holder(path)
        if left is not None and left.pid:
            os.kill(left.pid, signal.SIGKILL)


def wait_for_end(run: Path) -> dict[str, Any]:
    """Wait until a run has ended; returns its last event."""
    deadline = time.monotonic() + LIMIT
    while find_holder(run) is not None or events(run)[-1]["is"] != "RunEnded":
        assert time.monotonic() < deadline, events(run)[-1]
        time.sleep(0.05)
    return events(run)[-1]


def starts(run: Path) -> list[int]:
    return [event["step"] for event in events(run) if event["is"] == "RunStarted"]


def has_ended(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_a_detached_run_outlives_its_terminal_and_finishes(home: Home) -> None:
    words = " ".join([sys.executable, "-m", "fmnist_tui", "train", *QUICK, "--epochs", "300"])
    with (
        serve_webhook() as hook,
        Terminal(
            env={**home.environment, "FMNIST_TUI_NOTIFY_URL": f"http://127.0.0.1:{hook.port}"},
            size=(200, 24),
            command=["sh", "-i"],
        ) as shell,
    ):
        shell.type(f"{words} --detach; sleep 100\r")
        process = int(shell.until(r"in the background, process (\d+)")[1])
        run = home.runs / shell.until(r"fmnist-tui attach (\S+)\s")[1]
        shell.until(f"fmnist-tui runs stop {run.name}")
        assert not has_ended(process)
        shell.hang_up()
        assert wait_for_end(run)["reason"] == "finished"
        told = json.loads(hook.received.get(timeout=LIMIT).body)
        assert (told["event"], told["run"]) == ("finished", run.name)
    assert starts(run) == [0]
    while not has_ended(process):
        time.sleep(0.05)
    output = (run / "output.log").read_text()
    assert "epoch 300" in output and "confusion on test" in output
    assert [path.name for path in home.runs.iterdir()] == [run.name]


def test_the_detached_process_handles_sigterm_and_ignores_sighup(home: Home) -> None:
    document = home.json("train", *LONG, "--detach")
    assert set(document) == {"run", "path", "pid"}
    run, process = Path(document["path"]), document["pid"]
    assert run == home.runs / document["run"]
    assert events(run)[0]["pid"] == process
    os.kill(process, signal.SIGHUP)
    time.sleep(0.5)
    assert not has_ended(process)
    error = home.error_line("train", "--resume", "last", status=1)
    assert "in use" in error and str(process) in error
    os.kill(process, signal.SIGTERM)
    end = wait_for_end(run)
    assert (end["reason"], end["message"]) == ("stopped", "SIGTERM")
    saved = [event for event in events(run) if event["is"] == "CheckpointSaved"]
    assert saved[-1]["step"] == end["step"]

    epochs = str(end["step"] // 7 + 2)
    again = home.json("train", "--resume", "last", "--epochs", epochs)
    assert again["run"] == document["run"]
    assert wait_for_end(run)["reason"] == "finished"
    assert starts(run) == [0, end["step"]]


def test_an_error_before_the_start_is_printed_and_leaves_no_files(home: Home) -> None:
    done = home.run("train", "--dataset", "fashion", "--detach")
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert "fashion: mirrors: failed: FMNIST_TUI_OFFLINE is set" in lines
    assert [line for line in lines if line.startswith("fmnist-tui: ")] == lines[-1:]
    assert "Fashion-MNIST cannot be loaded" in lines[-1]
    assert list(home.runs.iterdir()) == []


def test_bad_arguments_are_refused_before_anything_starts(home: Home) -> None:
    assert "epochs" in home.error_line("train", "--epochs", "0", "--detach", status=2)
    assert "--fork" in home.error_line("train", "--checkpoint", "best", status=2)
    assert "one of" in home.error_line("train", "mlp", "--fork", "last", "--detach", status=2)
    assert not home.runs.exists()


def test_ctrl_c_before_the_run_has_started_cancels_it(home: Home) -> None:
    process = home.start("train", *LONG, "--detach")
    deadline = time.monotonic() + LIMIT
    while not list(home.runs.glob(".writing-*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert err.endswith("stopped before the run started\n")
    assert list(home.runs.iterdir()) == []


def test_handing_a_run_over_does_not_change_its_weights(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*QUICK, "--epochs", "80", "--ema", "0.9", "--shift", "2", "--schedule", "cosine"]
    other = Home(tmp_path / "other")
    whole_run = other.start("train", *settings, "--json")
    process = home.start("train", *settings)
    run = RunFolder(home.wait_for_steps(process, 100))
    send_command(run, Detach(time.time()))
    process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    end = events(run.path)[-1]
    assert (end["is"], end["reason"]) == ("RunEnded", "detached")
    for name, value in home.environment.items():
        monkeypatch.setenv(name, value)
    resume_detached(run, home.data)
    deadline = time.monotonic() + LIMIT
    while len(starts(run.path)) < 2:
        assert time.monotonic() < deadline, (run.path / "output.log").read_text()
        time.sleep(0.05)
    assert wait_for_end(run.path)["reason"] == "finished"
    assert starts(run.path) == [0, end["step"]]

    out, _ = whole_run.communicate(timeout=LIMIT)
    uninterrupted = Path(json.loads(out)["path"])
    result = [
        CheckpointStore(path / "checkpoints").load("last")[0] for path in (run.path, uninterrupted)
    ]
    for part in ("model", "weights"):
        assert digest(result[0][part]) == digest(result[1][part])


def test_train_fork_creates_a_run_of_its_own(home: Home, trained: Home) -> None:
    parent = Path(trained.json("runs", "list")[0]["path"])
    error = home.error_line("train", "--fork", str(parent), status=1)
    assert "set epochs above that" in error
    words = ["--fork", str(parent), "--checkpoint", "best", "--epochs", "1", "--lr", "0.001"]
    run = Path(home.json("train", *words, "--detach")["path"])
    assert run.parent == home.runs
    assert wait_for_end(run)["reason"] == "finished"
    assert starts(run) == [0]
    text = (run / "config.toml").read_text()
    assert f'forked_from = "{parent.name}"' in text and "forked_step = " in text
    assert "lr = 0.001" in text and "epochs = 1\n" in text
