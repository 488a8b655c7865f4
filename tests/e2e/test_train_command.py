"""`fmnist-tui train` as a process: progress, JSON, signals, resuming."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fmnist_tui.cli.support.run_documents import training_to_json
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.util.progress import FORMAT_VARIABLE
from tests.e2e.support import LIMIT, QUICK, Home, events, wait_for
from tests.e2e.terminal import Terminal

LONG = [*QUICK, "--epochs", "100000"]


def test_json_is_the_only_thing_on_standard_output(home: Home) -> None:
    done = home.run("train", *QUICK, "--epochs", "2", "--json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert {
        "run",
        "path",
        "state",
        "epochs",
        "steps",
        "seconds",
        "images_per_second",
        "device",
        "val",
        "test",
    } <= set(document)
    assert (document["state"], document["epochs"]) == ("finished", 2)
    assert {"loss", "accuracy", "count", "macro_f1", "ece", "confusion"} <= set(document["test"])
    assert document["test"]["count"] == 1000
    assert 0.3 < document["test"]["accuracy"] <= 1
    assert "SYNTHETIC" in done.stderr and "epoch 2" in done.stderr
    assert "\x1b" not in done.stderr and "\r" not in done.stderr


def test_without_a_terminal_the_summary_is_plain_text(trained: Home) -> None:
    done = trained.run("runs", "show", "last")
    assert "confusion on test" in done.stdout
    assert "finished after 3 epochs" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("sent", "status"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138), (signal.SIGUSR2, 140)],
)
def test_a_signal_saves_and_stops_the_run_and_sets_the_exit_status(
    home: Home, sent: signal.Signals, status: int
) -> None:
    process = home.start("train", *LONG, "--json")
    run = home.wait_for_steps(process)
    process.send_signal(sent)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == status
    assert json.loads(out)["state"] == "stopped"
    # Who sends another signal has not pressed a key.
    assert ("press Ctrl-C again" in err) == (sent is signal.SIGINT), err
    ends = [event for event in events(run) if event["is"] == "RunEnded"]
    assert [event["reason"] for event in ends] == ["stopped"]
    saved = [event for event in events(run) if event["is"] == "CheckpointSaved"]
    assert saved[-1]["kind"] == "last" and saved[-1]["step"] == ends[0]["step"]


def test_a_stopped_run_is_resumed_to_its_end_by_name(home: Home) -> None:
    process = home.start("train", *LONG)
    run = home.wait_for_steps(process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT)
    stopped_at = events(run)[-1]["step"]
    epochs = str(stopped_at // 7 + 2)
    document = home.json("train", "--resume", "last", "--epochs", epochs)
    assert document["state"] == "finished"
    assert document["steps"] > stopped_at
    starts = [event for event in events(run) if event["is"] == "RunStarted"]
    assert [event["step"] for event in starts] == [0, stopped_at]


def test_a_resumed_training_reports_the_whole_run(home: Home) -> None:
    first = home.json("train", *QUICK, "--epochs", "2")
    home.environment[FORMAT_VARIABLE] = "json"
    done = home.run("train", "--resume", "last", "--epochs", "3", "--json")
    assert done.returncode == 0, done.stderr
    document, run = json.loads(done.stdout), Path(first["path"])
    state = replay(run / "events.jsonl")
    assert document == json.loads(json.dumps(training_to_json(state, RunFolder(run))))
    assert document["seconds"] > first["seconds"]
    assert "one epoch" not in document["fit"]["words"]
    shown = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert shown and {line["what"] for line in shown} <= {"two-conv epoch 3"}
    first_steps = state.started.step if state.started else 0
    assert first_steps == 14 and state.series("train_loss")[0][0] < 14


def test_a_run_that_cannot_be_resumed_says_why_and_nothing_of_its_past(home: Home) -> None:
    run = Path(home.json("train", *QUICK, "--epochs", "1")["path"])
    for checkpoint in (run / "checkpoints").iterdir():
        checkpoint.unlink()
    done = home.run("train", "--resume", "last", "--epochs", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert "checkpoint" in done.stderr.splitlines()[-1]


def test_two_ctrl_c_quit_at_once_and_end_the_record(home: Home) -> None:
    process = home.start("train", *LONG)
    run = home.wait_for_steps(process)
    process.send_signal(signal.SIGSTOP)  # so that it receives both before it can act on the first
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    time.sleep(0.02)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT)
    assert time.monotonic() - start < LIMIT / 2
    assert process.returncode == 130
    assert events(run)[-1]["is"] == "RunEnded"
    assert home.json("runs", "show", "last")["state"] == "stopped"


def test_a_killed_run_is_listed_as_crashed_and_can_be_resumed(home: Home) -> None:
    process = home.start("train", *LONG, "--checkpoint-seconds", "0.2")
    run = home.wait_for_steps(process, 200)
    assert home.json("runs", "list")[0]["state"] == "running"
    process.kill()
    process.communicate(timeout=LIMIT)
    assert home.json("runs", "list")[0]["state"] == "crashed"
    last = [event for event in events(run) if event["is"] == "CheckpointSaved"][-1]["step"]
    document = home.json("train", "--resume", run.name, "--epochs", str(last // 7 + 2))
    assert document["state"] == "finished"


def test_a_live_run_is_controlled_from_another_process(home: Home) -> None:
    process = home.start("train", *LONG)
    run = home.wait_for_steps(process)
    assert home.run("runs", "set", "last", "lr=0.0005").returncode == 0
    assert home.json("runs", "pause", "last")["state"] == "paused"
    assert home.json("runs", "resume", "last")["state"] == "running"
    assert f"{run.name}: paused" in home.run("runs", "pause", "last").stderr
    stopped = home.json("runs", "stop", "last")
    assert stopped["state"] == "stopped"
    process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    changes = [(event["what"], event["value"]) for event in events(run) if event["is"] == "Changed"]
    assert ("lr", "0.0005") in changes and ("paused", "true") in changes


def test_the_same_run_cannot_be_trained_twice_at_once(home: Home) -> None:
    process = home.start("train", *LONG, "--checkpoint-seconds", "0")
    home.wait_for_steps(process)
    error = home.error_line("train", "--resume", "last", status=1)
    assert "in use" in error and str(process.pid) in error
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT)


def test_on_a_terminal_there_are_bars_and_a_coloured_summary(home: Home) -> None:
    words = ["train", *QUICK, "--epochs", "400", "--patience", "0"]
    with Terminal(*words, env=home.environment, size=(100, 40)) as terminal:
        terminal.until(r"epoch \d+/400")
        terminal.until("images/s")
        assert terminal.wait_for_exit() == 0
        output = terminal.raw.decode().rpartition("confusion on test")[2]
    assert "48;2;" in output, "coloured cells"
    assert "95 % interval" in output


def test_ctrl_c_on_a_terminal_restores_the_cursor(home: Home) -> None:
    with Terminal("train", *LONG, env=home.environment, size=(100, 40)) as terminal:
        terminal.until("images/s")
        terminal.press("ctrl+c")
        assert terminal.wait_for_exit() == 130
        assert terminal.is_restored()
        assert b"\x1b[?25l" in terminal.raw


def test_without_terminal_and_command_the_error_names_the_command_that_trains(home: Home) -> None:
    assert "`fmnist-tui train` trains without one" in home.error_line(status=2)
    assert not home.runs.exists()


def test_a_training_with_closed_streams_finishes(home: Home) -> None:
    words = [sys.executable, "-m", "fmnist_tui", "train", *QUICK, "--epochs", "1"]
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words]
    assert subprocess.run(command, env=home.environment, timeout=LIMIT).returncode == 0
    [run] = home.runs.iterdir()
    assert events(run)[-1]["reason"] == "finished"


def test_a_training_whose_terminal_is_gone_goes_on(home: Home) -> None:
    # As of a shell's background job, or after `nohup`: without the signal that ends it.
    code = (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        "from fmnist_tui.__main__ import main; sys.exit(main())"
    )
    words = ("train", *QUICK, "--epochs", "100000")
    with Terminal(*words, env=home.environment, size=(100, 40), code=code) as terminal:
        terminal.until("images/s")
        terminal.hang_up()
        [run] = home.runs.iterdir()
        seen = len(events(run))
        wait_for(lambda: any(e["is"] == "EpochEnded" for e in events(run)[seen + 20 :]))
        assert terminal.alive


def test_a_training_prints_its_results_in_ascii_if_nothing_else_can_be_shown(home: Home) -> None:
    code = "import sys; sys.stdout.reconfigure(encoding='ascii', errors='strict')"
    process = home.start("train", *QUICK, "--epochs", "1", code=code)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, err
    assert "confusion on test" in out and out.isascii()


def test_a_closed_output_pipe_prints_no_traceback(trained: Home) -> None:
    process = trained.start("runs", "show", "last")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    output = process.stderr.read()
    process.wait(LIMIT)
    assert "Traceback" not in output
    assert "Exception ignored" not in output


def test_training_on_a_full_disk_goes_on_but_is_not_called_finished(home: Home) -> None:
    # A limit on the size of files has the effect of a full disk.
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (24 << 10, 24 << 10))"
    process = home.start("train", *QUICK, "--epochs", "4", "--json", code=code)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1, err
    document = json.loads(out)
    assert (document["epochs"], document["state"]) == (4, "failed")
    assert "checkpoint not saved" in err
    assert "the run failed: no checkpoint could be saved" in err
