"""`train` as several processes, which torchrun starts: one run, one record."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from fmnist_tui.engine.distributed.channel import ANSWER_VARIABLE
from fmnist_tui.protocol.commands import FindLearningRate, Pause, ScaleLearningRate, Stop
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.log import send_command
from tests.e2e.support import Home, events, wait_for
from tests.e2e.torchrun import ProcessTeam, end

CPU = ("--device", "cpu", "--precision", "fp32", "--threads", "1")
# Batch normalisation, augmentation of single images and of pairs, averaged weights
RICH = [
    *("--dataset", "sketches", "--limit", "512", "--batch-size", "64"),
    *("--model", "fast", "--width", "0.5", "--lr", "0.002", "--flip", "--crop", "2"),
    *(
        "--erase",
        "0.3",
        "--mixup",
        "0.2",
        "--ema",
        "0.9",
        "--clip-norm",
        "1",
        "--schedule",
        "constant",
    ),
    *CPU,
]
LONG = ["--dataset", "sketches", "--limit", "512", "--model", "linear", "--epochs", "100000", *CPU]


def test_several_processes_train_the_run_that_one_trains(home: Home) -> None:
    ends = ProcessTeam(home, 2).run("train", *RICH, "--epochs", "2", "--compile")
    assert [status for status, _, _ in ends] == [0, 0], ends
    assert ends[1][1:] == ("", ""), "only the first process prints"
    (shared,) = home.runs.iterdir()
    assert of_kind(shared, "RunStarted")[0]["processes"] == 2
    warnings = [alert["message"] for alert in of_kind(shared, "Alert") if alert["level"] != "note"]
    assert warnings == ["not compiled: several processes train this network"]
    assert "devices = 2" in (shared / "config.toml").read_text()
    # Stopped after an epoch and gone on with: as many, other numbers of processes.
    paused = []
    for resumed in (2, 4, 1):
        ProcessTeam(home, 2, job=f"to-be-resumed-by-{resumed}").run("train", *RICH, "--epochs", "1")
        paused.append(newest(home))
        options = ("--resume", paused[-1].name, "--epochs", "2", f"--devices={resumed}")
        if resumed > 1:
            ProcessTeam(home, resumed).run("train", *options)
        else:
            assert home.run("train", *options).returncode == 0
    assert home.run("train", *RICH, "--epochs", "2").returncode == 0
    alone = losses(newest(home))
    assert losses(shared) == pytest.approx(alone, rel=1e-4)
    assert losses(paused[0])[:4] == losses(shared)[:4], "with as many processes exactly the same"
    for run in paused[1:]:
        assert losses(run)[:4] == pytest.approx(alone[:4], rel=1e-4)


def test_commands_reach_all_processes_at_the_same_step(home: Home) -> None:
    team = ProcessTeam(home, 2)
    processes = team.start("train", *LONG)
    run = home.wait_for_steps(processes[0])
    send_command(RunFolder(run), ScaleLearningRate(time.time(), 0.5))
    wait_for(lambda: [e for e in of_kind(run, "Changed") if e["what"] == "lr"])
    send_command(RunFolder(run), FindLearningRate(time.time(), 1e-4, 1e-2, 20))
    (searched,) = wait_for(lambda: of_kind(run, "LrSearched"))
    assert searched["reason"] == "finished" and len(of_kind(run, "LrProbed")) == 20
    send_command(RunFolder(run), Pause(time.time()))
    wait_for(lambda: [e for e in of_kind(run, "Changed") if e["what"] == "paused"])
    send_command(RunFolder(run), Stop(time.time()))
    assert [end(process)[0] for process in processes] == [0, 0]
    (ended,) = of_kind(run, "RunEnded")
    assert (ended["reason"], ended["step"]) == (
        "stopped",
        of_kind(run, "CheckpointSaved")[-1]["step"],
    )


def test_a_signal_to_another_process_stops_the_run_of_all(home: Home) -> None:
    team = ProcessTeam(home, 2)
    processes = team.start("train", *LONG)
    run = home.wait_for_steps(processes[0])
    processes[1].send_signal(signal.SIGTERM)
    assert [end(process)[0] for process in processes] == [0, 0]
    (ended,) = of_kind(run, "RunEnded")
    assert (ended["reason"], ended["message"]) == (
        "stopped",
        "a signal to another process of the run",
    )


def test_a_run_whose_process_is_killed_has_failed_and_goes_on_when_the_job_is_restarted(
    home: Home,
) -> None:
    team = ProcessTeam(home, 2, job="nightly")
    processes = team.start("train", *LONG, "--checkpoint-seconds=0")
    run = home.wait_for_steps(processes[0])
    processes[1].kill()
    assert end(processes[0])[0] == 1
    (ended,) = of_kind(run, "RunEnded")
    assert ended["reason"] == "failed"
    assert f"process 1 (pid {processes[1].pid}) was killed" in ended["message"]
    team = ProcessTeam(home, 2, job="nightly", restarts=1)
    processes = team.start("train", *LONG, "--checkpoint-seconds=0")
    wait_for(lambda: of_kind(run, "Progress")[-1]["step"] > ended["step"])
    send_command(RunFolder(run), Stop(time.time()))
    assert [end(process)[0] for process in processes] == [0, 0]
    assert [*home.runs.iterdir()] == [run]
    first, second = of_kind(run, "RunStarted")
    assert first["step"] == 0 < second["step"] <= ended["step"]
    assert [each["reason"] for each in of_kind(run, "RunEnded")] == ["failed", "stopped"]


def test_a_job_that_is_started_again_after_its_run_has_finished_ends_at_once(home: Home) -> None:
    for restarts in (0, 1):
        team = ProcessTeam(home, 2, job="nightly", restarts=restarts)
        ends = team.run("train", *LONG, "--epochs", "1")
        assert [status for status, _, _ in ends] == [0, 0], ends
    (run,) = home.runs.iterdir()
    assert len(of_kind(run, "RunStarted")) == 1


def test_the_record_tells_which_process_failed_and_why(home: Home) -> None:
    code = (
        "import fmnist_tui.engine.session.take_part as module\n"
        "def fail(*_): raise MemoryError\n"
        "module.Learner = fail\n"
    )
    team = ProcessTeam(home, 2)
    processes = team.start("train", *LONG, code=code)
    (first, _, errors), second = map(end, processes)
    assert (first, second[0]) == (1, 1)
    (ended,) = of_kind(newest(home), "RunEnded")
    assert "process 1 on " in ended["message"] and "has too little memory" in ended["message"]
    assert ended["message"] in errors and "Traceback" not in errors


def test_a_process_that_hangs_ends_the_run_after_a_time(home: Home) -> None:
    home.environment[ANSWER_VARIABLE] = "6"
    team = ProcessTeam(home, 2)
    processes = team.start("train", *LONG)
    run = home.wait_for_steps(processes[0])
    processes[1].send_signal(signal.SIGSTOP)
    assert end(processes[0])[0] == 1
    processes[1].kill()
    (ended,) = of_kind(run, "RunEnded")
    assert ended["message"].startswith("another process has not answered for 6 s")


def test_a_time_to_wait_that_is_no_number_is_refused_in_one_line(home: Home) -> None:
    home.environment[ANSWER_VARIABLE] = "soon"
    first, second = ProcessTeam(home, 2).run("train", *LONG)
    line = f"fmnist-tui: {ANSWER_VARIABLE}='soon': must be a number of seconds\n"
    assert (first[0], first[2]) == (1, line)
    assert (second[0], second[2]) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train", *RICH, "--batch-size", "63"], "set batch_size = 62"),
        (["train", *LONG, "--device", "cuda:0"], "give --device cuda"),
        (["lrfind"], "lrfind takes one process, not 2: start it without torchrun"),
        (["train", "--detach"], "--detach does not go with torchrun"),
    ],
)
def test_what_several_processes_cannot_do_is_refused_in_one_line(
    home: Home, arguments: list[str], line: str
) -> None:
    team = ProcessTeam(home, 2)
    first, second = team.start(*arguments)
    status, _, errors = end(first)
    second.send_signal(signal.SIGTERM)  # as torchrun does
    assert status in (1, 2) and line in errors and errors.count("fmnist-tui: ") == 1
    assert end(second)[2] == ""
    assert not home.runs.exists()


def newest(home: Home) -> Path:
    return max(home.runs.iterdir(), key=lambda run: (run / "config.toml").stat().st_ctime_ns)


def of_kind(run: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in events(run) if event["is"] == kind]


def losses(run: Path) -> list[float]:
    """Training and validation losses of both epochs, and those of the final evaluation."""
    epochs = [loss for e in of_kind(run, "EpochEnded") for loss in (e["train_loss"], e["val_loss"])]
    assert len(epochs) == 4
    return epochs + [event["loss"] for event in of_kind(run, "Evaluated")[-2:]]
