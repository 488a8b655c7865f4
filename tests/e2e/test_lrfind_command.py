"""`fmnist-tui lrfind` and `runs lrfind` as processes."""

from __future__ import annotations

import json
import math
import shlex
import signal
from pathlib import Path

import pytest

from tests.e2e.support import QUICK, Home, events


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("lrfind"))


@pytest.fixture(scope="module")
def result(home: Home) -> Path:
    """The run folder of a search that suggests a rate."""
    return Path(home.json("lrfind", *QUICK, "--steps", "80")["path"])


def test_a_search_prints_its_curve_a_rate_and_the_command_that_uses_it(home: Home) -> None:
    done = home.run("lrfind", "two-conv", *QUICK, "--steps", "80", "--seed", "3")
    assert done.returncode == 0, done.stderr
    *chart, suggestion, command = done.stdout.splitlines()
    assert "loss by learning rate" in chart[0] and "learning rate" in chart[-1]
    assert "suggests lr 0.0" in suggestion
    words = shlex.split(command)
    assert words[:3] == ["fmnist-tui", "train", "two-conv"]
    assert {"--dataset=sketches", "--model=linear", "--seed=3"} < set(words)
    assert 1e-4 < float(words[-1].removeprefix("--lr=")) < 1
    trained = home.run(*words[1:], "--epochs", "1")
    assert trained.returncode == 0, trained.stderr


def test_a_search_leaves_a_run_folder_and_reads_no_test_split(result: Path) -> None:
    recorded = events(result)
    kinds = [event["is"] for event in recorded]
    assert (kinds[0], kinds[-1]) == ("RunStarted", "RunEnded")
    assert recorded[0]["kind"] == "lrfind" and recorded[-1]["reason"] == "finished"
    assert kinds.count("RunEnded") == 1 and kinds.count("LrSearched") == 1
    assert "Evaluated" not in kinds and "EpochEnded" not in kinds
    assert (result / "config.toml").is_file()
    assert not list((result / "predictions").iterdir())
    assert not list((result / "checkpoints").iterdir())


def test_the_json_of_a_search_has_every_point(home: Home) -> None:
    document = home.json("lrfind", *QUICK, "--from-lr", "1e-4", "--to-lr", "1", "--steps", "60")
    assert document["state"] == "finished" and Path(document["path"]).is_dir()
    assert document["low"] <= document["lr"] <= document["high"]
    rates = [point["lr"] for point in document["points"]]
    assert rates == sorted(rates) and rates[0] == pytest.approx(1e-4)
    assert all(math.isfinite(point["smoothed"]) for point in document["points"])
    assert document["command"][-1] == f"--lr={document['lr']:g}"


@pytest.mark.parametrize(
    ("arguments", "why", "status"),
    [
        (["--from-lr", "1", "--to-lr", "0.1"], "from-lr = 1 must be below to-lr = 0.1", 2),
        (["--steps", "5"], "steps = 5: a curve needs 20 to 2,000 steps", 2),
        (["--from-lr", "much"], "invalid float value", 2),
        (["--limit", "100"], "100 training images are less than 4 batches of 64", 1),
        (["--from-lr", "1e-9", "--to-lr", "1e-8", "--steps", "30"], "the loss never falls", 1),
        (["--from-lr", "50", "--to-lr", "100", "--steps", "20"], "gave a usable loss", 1),
        (["--config", "nowhere.toml"], "there is no such config file", 1),
    ],
)
def test_a_bad_search_prints_one_error_line(
    home: Home, arguments: list[str], why: str, status: int
) -> None:
    assert why in home.error_line("lrfind", *QUICK, *arguments, status=status)


def test_a_search_is_listed_and_shown_as_a_search(home: Home, result: Path) -> None:
    table = home.run("runs", "list").stdout
    line = next(line for line in table.splitlines() if line.startswith(result.name[-4:]))
    assert "lrfind two-conv" in line and line.count("–") == 3
    listed = {run["run"]: run for run in home.json("runs", "list")}
    assert listed[result.name]["kind"] == "lrfind"
    shown = home.run("runs", "show", result.name).stdout
    assert "loss by learning rate" in shown and "suggests lr" in shown
    assert "confusion" not in shown


@pytest.mark.parametrize("command", [["evaluate"], ["predict"], ["train", "--resume"]])
def test_a_search_cannot_be_used_as_a_model(home: Home, result: Path, command: list[str]) -> None:
    files = ["x.png"] if command == ["predict"] else []
    assert "learning-rate search" in home.error_line(*command, result.name, *files, status=1)


def test_only_a_training_accepts_a_search(home: Home, result: Path) -> None:
    error = home.error_line("runs", "lrfind", result.name, status=1)
    assert "is a learning-rate search and cannot be searched" in error


def test_ctrl_c_stops_a_search_and_ends_its_record(home: Home) -> None:
    # A network whose search would take a minute.
    before = set(home.runs.glob("*"))
    slow = (*QUICK, "--model", "custom-cnn")
    process = home.start("lrfind", *slow, "--steps", "2000", "--from-lr", "1e-9")
    assert process.stderr is not None
    for line in process.stderr:
        if "/2000 lr " in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    (folder,) = set(home.runs.iterdir()) - before
    last = events(folder)[-1]
    assert (last["is"], last["reason"], last["message"]) == ("RunEnded", "stopped", "Ctrl-C")


def test_a_live_run_searches_on_request_and_continues(home: Home) -> None:
    process = home.start("train", *QUICK, "--epochs", "100000", "--lr", "0.001")
    try:
        run = home.wait_for_steps(process)
        document = home.json("runs", "lrfind", run.name, "--steps", "40")
        assert document["run"] == run.name and document["state"] == "finished"
        recorded = events(run)
        over = next(at for at, event in enumerate(recorded) if event["is"] == "LrSearched")
        before = max(event["step"] for event in recorded[:over] if event["is"] == "Progress")
        probed = {event["step"] for event in recorded if event["is"] == "LrProbed"}
        assert probed == {before}
        if document["command"]:
            assert document["command"][:3] == ["fmnist-tui", "runs", "set"]
            assert home.run(*document["command"][1:]).returncode == 0
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    after = [json.dumps(event) for event in events(run)[over:] if event["is"] == "Progress"]
    assert after


def test_an_ended_run_accepts_no_search(trained: Home) -> None:
    assert "is not running" in trained.error_line("runs", "lrfind", "last", status=1)
