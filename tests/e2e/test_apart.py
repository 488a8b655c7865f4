"""`devices = 2`: what torchrun starts is followed, stopped and resumed as one process is."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.support import FORK_SERVER, LIMIT, QUICK, Home, events

LONG = [*QUICK, "--device", "cpu", "--epochs", "100000"]
# Has the program start its processes with the fork server instead of torchrun.
FORKED = """
from pathlib import Path
from fmnist_tui.engine.distributed import launch
from fmnist_tui.runs import handover
words = {command!r} + ["torch.distributed.run", "--nproc-per-node=2", "-m", "fmnist_tui"]
launch._torchrun = lambda processes: handover.Launch(tuple(words), {{}})
pids = Path({pids!r})

def family(_):
    return {{*map(int, pids.read_text().split())}} if pids.exists() else set()

handover._process_family = family
"""


@pytest.fixture
def forked(home: Home) -> str:
    """Code that a started program runs first."""
    pids = str(home.runs.parent / "pids")
    home.environment["FORKED_PIDS"] = pids
    return FORKED.format(command=FORK_SERVER.torchrun_command(home.environment), pids=pids)


def test_a_run_on_two_devices_is_followed_stopped_and_resumed_as_one_on_one_device(
    home: Home, forked: str
) -> None:
    process = home.start("train", *LONG, "--devices", "2", code=forked)
    run = home.wait_for_steps(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, err
    assert "epoch 1: train loss" in err and "saving; press Ctrl-C again" in err
    assert f"run {run}" in out
    (end,) = (event for event in events(run) if event["is"] == "RunEnded")
    assert (end["reason"], end["message"]) == ("stopped", "Ctrl-C")
    epochs = str(end["epoch"] + 1)
    # Its settings say that it has two devices.
    again = home.start("train", "--resume", "last", "--epochs", epochs, code=forked)
    out, err = again.communicate(timeout=LIMIT)
    assert again.returncode == 0, err
    started = [event for event in events(run) if event["is"] == "RunStarted"]
    assert [event["processes"] for event in started] == [2, 2]
    assert events(run)[-1]["reason"] == "finished" and started[1]["step"] == end["step"]


def test_what_the_processes_refuse_is_one_line(home: Home, forked: str) -> None:
    words = [*LONG, "--devices", "2", "--batch-size", "33"]
    process = home.start("train", *words, "--detach", code=forked)
    _, err = process.communicate(timeout=LIMIT)
    errors = [line for line in err.splitlines() if line.startswith("fmnist-tui: ")]
    assert process.returncode == 1 and len(errors) == 1 and "batch_size = 32" in errors[0]
