"""`fmnist-tui sweep` as processes: one worker or several, killed, stopped, bad input."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fmnist_tui.runs.handover import has_process
from tests.e2e import postgres
from tests.e2e.fork_server import ForkedProcess
from tests.e2e.support import LIMIT, Home, events, wait_for

SEARCH = """
about = "a search for tests"
[run]
dataset = "sketches"
model = "linear"
limit = 500
batch_size = 64
epochs = 2
threads = 1
[sweep]
trials = 3
startup = 2
pruner = "none"  # trials this short may end before they can be pruned
[space.lr]
low = 1e-4
high = 1e-1
log = true
[space.optimizer]
choices = ["adamw", "sgd"]
[promote]
limit = "none"
"""
NEEDS_POSTGRES = pytest.mark.skipif(
    postgres.programs() is None, reason="needs the program postgres"
)


def write_sweep(folder: Path, text: str = SEARCH, name: str = "search") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def finished_sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, Any]]:
    """A home with a finished sweep, and the JSON that the command printed."""
    home = Home(tmp_path_factory.mktemp("searched"))
    return home, home.json("sweep", write_sweep(home.runs.parent))


def test_a_sweep_prints_its_study_as_json(finished_sweep: tuple[Home, dict[str, Any]]) -> None:
    home, result = finished_sweep
    assert (result["study"], result["state"], result["done"], result["total"]) == (
        "search",
        "finished",
        3,
        3,
    )
    assert [trial["state"] for trial in result["trials"]] == ["complete"] * 3
    assert result["best"]["value"] == max(trial["value"] for trial in result["trials"])
    assert result["storage"] == f"sqlite:///{home.runs}/sweeps.db"
    assert json.loads(json.dumps(home.json("sweep", "show", "search")))["best"] == result["best"]


def test_a_sweep_is_a_run_whose_config_is_a_sweep_file(
    finished_sweep: tuple[Home, dict[str, Any]],
) -> None:
    home, result = finished_sweep
    listed = [run for run in home.json("runs", "list") if run["kind"] == "sweep"]
    (run,) = (item for item in listed if item["run"] == result["run"])
    assert (run["epochs"], run["val_accuracy"], run["test_accuracy"]) == (
        3,
        result["best"]["value"],
        None,
    )
    assert home.json("runs", "show", result["path"])["study"]["best"] == result["best"]
    assert home.json("sweep", "show", result["path"])["study"] == "search"
    assert [line["study"] for line in home.json("sweep", "list")] == ["search"]
    config = (Path(result["path"]) / "config.toml").read_text()
    assert "[space.lr]" in config and "[made_with]" in config
    # The config is a sweep file: another worker runs one more trial with it.
    more = home.json("sweep", str(Path(result["path"]) / "config.toml"), "--trials", "1")
    assert (more["study"], more["done"], more["trials_here"]) == ("search", 4, 1)


def test_a_trial_is_promoted_to_full_runs_that_read_the_test_split_once(
    finished_sweep: tuple[Home, dict[str, Any]],
) -> None:
    home, result = finished_sweep
    best = result["best"]
    done = home.json("sweep", "promote", "search", f"--trial={best['number']}", "--seeds=2")
    assert [run["seed"] for run in done["runs"]] == [0, 1]
    assert done["params"] == best["params"]
    tests = [run["test_accuracy"] for run in done["runs"]]
    assert done["test_mean"] == pytest.approx(sum(tests) / 2) and done["test_sd"] > 0
    for run in done["runs"]:
        recorded = events(Path(run["path"]))
        assert Path(run["path"]).parent == home.runs
        (started,) = (event for event in recorded if event["is"] == "RunStarted")
        # On all images, where the sweep used 500.
        assert started["train_count"] > 500 and run["test_count"] == 1000
        assert [event["split"] for event in recorded if event["is"] == "Evaluated"] == [
            "val",
            "test",
        ]


def test_a_complete_study_starts_no_run(
    finished_sweep: tuple[Home, dict[str, Any]],
) -> None:
    home, _ = finished_sweep
    before = sorted(home.runs.iterdir())
    done = home.run("sweep", "start", "--name", "search")
    assert done.returncode == 0 and "--trials N runs N more" in done.stderr
    assert sorted(home.runs.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["sweep", "none.toml"], 1, "there is no such sweep file"),
        (["sweep", "shwo"], 2, 'did you mean "show"'),
        (["sweep", "show", "serach"], 1, "there is no study serach"),
        (["sweep", "kill", "search", "0"], 1, "trial 0 of search is not running: it is complete"),
        (["sweep", "promote", "search", "--trial", "99"], 1, "there is no trial 99"),
        (["sweep", "promote", "search", "--seeds", "0"], 2, "--seeds must be 1 or more"),
        (["sweep", "promote", "search", "--split-seed", "1"], 2, "a different task"),
        (["sweep", "start"], 2, "give a sweep file"),
        (["sweep", "start", "--name", "other"], 1, "there is no study other"),
        (["sweep", "two-conv", "--trials", "0"], 2, "--trials must be 1 or more"),
        (["sweep", "two-conv", "--workers", "0"], 2, "--workers must be 1 or more"),
        (["sweep", "two-conv", "--lr", "0.1"], 2, "lr = 0.1: is varied by this sweep"),
        (["sweep", "two-conv", "--val-fraction", "0"], 2, "val_fraction = 0.0: validation"),
        (["sweep", "two-conv", "--storage", "what"], 2, "--storage what is not a storage"),
        (["sweep", "two-conv", "--storage", "mysql+pymysql://a:s3cr3t@h/x"], 1, "pip install PyMy"),
    ],
)
def test_bad_input_prints_one_error_line(
    finished_sweep: tuple[Home, dict[str, Any]], words: list[str], status: int, line: str
) -> None:
    error = finished_sweep[0].error_line(*words, status=status)
    assert line in error and "s3cr3t" not in error


def test_an_empty_search_space_prints_one_error_line(home: Home) -> None:
    path = write_sweep(home.runs.parent, SEARCH.partition("[space.lr]")[0])
    assert "space = {}: is empty" in home.error_line("sweep", path, status=2)
    assert not home.runs.exists()


def test_an_unresponsive_server_is_reported_within_ten_seconds(home: Home) -> None:
    """Ten seconds of waiting: a server that refuses at once shows what the start takes."""

    def report(port: int) -> tuple[str, float]:
        started = time.monotonic()
        url = f"postgresql://me:s3cr3t@127.0.0.1:{port}/x"
        error = home.error_line("sweep", "two-conv", "--storage", url, status=1)
        return error, time.monotonic() - started

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        # The first start may read its modules from the disk.
        refused, first_seconds = report(closed.getsockname()[1])
        _, start_seconds = report(closed.getsockname()[1])
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        error, seconds = report(silent.getsockname()[1])
    assert seconds - min(first_seconds, start_seconds) < 10
    for line in (refused, error):
        assert "cannot be used" in line or "has not answered" in line
        assert "s3cr3t" not in line and "me@127.0.0.1" in line


# -- several workers ----------------------------------------------------------------------


def run_two_workers(home: Home, storage: str, each: int = 4) -> list[dict[str, Any]]:
    """The JSON printed by two processes that work on one study at the same time."""
    path = write_sweep(home.runs.parent, name="shared")
    words = ["sweep", path, "--storage", storage, "--trials", str(each), "--json"]
    workers = [home.start(*words) for _ in range(2)]
    results = []
    for worker in workers:
        out, err = worker.communicate(timeout=LIMIT)
        assert worker.returncode == 0, err
        assert "s3cr3t" not in out + err
        results.append(json.loads(out))
    return results


def check_study(home: Home, storage: str, results: list[dict[str, Any]], each: int = 4) -> None:
    """Check that every trial was run exactly once and that all agree on the best."""
    shown = home.json("sweep", "show", "shared", "--storage", storage)
    numbers = [trial["number"] for trial in shown["trials"]]
    assert numbers == list(range(2 * each)) and shown["done"] == 2 * each
    assert [result["trials_here"] for result in results] == [each, each]
    done: list[int] = []
    for result in results:
        ended = [event for event in events(Path(result["path"])) if event["is"] == "TrialEnded"]
        folders = list((Path(result["path"]) / "trials").iterdir())
        assert len(ended) == len(folders) == each
        assert {event["run"] for event in ended} == {folder.name for folder in folders}
        done += [event["trial"] for event in ended]
        values = {event["trial"]: event["value"] for event in ended}
        assert all(
            trial["value"] == pytest.approx(values[trial["number"]])
            for trial in shown["trials"]
            if trial["number"] in values and trial["state"] == "complete"
        )
    assert sorted(done) == numbers
    assert len({tuple(trial["params"].items()) for trial in shown["trials"]}) == 2 * each
    complete = [trial["value"] for trial in shown["trials"] if trial["state"] == "complete"]
    assert shown["best"]["value"] == max(complete)
    # The worker that ended last has seen all trials.
    assert shown["best"] in [result["best"] for result in results]


def test_two_processes_share_a_study_in_a_journal_file(home: Home) -> None:
    storage = f"journal:{home.runs.parent}/studies.log"
    check_study(home, storage, run_two_workers(home, storage))


@pytest.mark.apt
@NEEDS_POSTGRES
def test_two_processes_share_a_study_in_a_postgresql_database(home: Home) -> None:
    with postgres.cluster() as url:
        results = run_two_workers(home, url)
        check_study(home, url, results)
        password = url.partition("tester:")[2].partition("@")[0]
        assert results[0]["storage"].startswith("postgresql+psycopg://tester@127.0.0.1")
        for result in results:
            config = (Path(result["path"]) / "config.toml").read_text()
            assert password not in config + json.dumps(result) and "tester@" in config
        wrong = url.replace(password, "s3cr3t")
        line = home.error_line("sweep", "list", "--storage", wrong, status=1)
        assert "password authentication failed" in line and "s3cr3t" not in line


def wait_for_trial(home: Home, process: ForkedProcess | None, number: int) -> dict[str, Any]:
    """Wait until a trial has completed an epoch; returns the trial."""
    return until(
        home,
        process,
        lambda trials: next(
            (
                trial
                for trial in trials
                if trial["number"] == number and trial["state"] == "running" and trial["epochs"]
            ),
            None,
        ),
    )


def until(
    home: Home,
    process: ForkedProcess | None,
    find: Callable[[list[dict[str, Any]]], dict[str, Any] | None],
) -> dict[str, Any]:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        done = home.run("sweep", "show", "search", "--json")
        result = find(json.loads(done.stdout)["trials"]) if done.returncode == 0 else None
        if result is not None:
            return result
        assert process is None or process.poll() is None, process.communicate()[1]
    raise AssertionError("timed out")


def test_killed_lost_and_stopped_trials_differ_and_those_not_killed_are_retried(home: Home) -> None:
    path = write_sweep(home.runs.parent, SEARCH.replace("epochs = 2", "epochs = 100000"))
    first = home.start("sweep", path)
    wait_for_trial(home, first, 0)
    # Killed on request: not retried.
    home.json("sweep", "kill", "search", "0")
    lost = wait_for_trial(home, first, 1)
    # Lost with its worker: the next worker notices and retries its settings.
    first.kill()
    first.wait()
    first.communicate()
    second = home.start("sweep", path)
    again = wait_for_trial(home, second, 2)
    assert again["params"] == lost["params"] and again["again"] == 1
    second.send_signal(signal.SIGINT)
    out, err = second.communicate(timeout=LIMIT)
    assert second.returncode == 130, err
    shown = home.json("sweep", "show", "search")
    assert [trial["state"] for trial in shown["trials"]] == [
        "killed",
        "lost",
        "stopped",
        "waiting",
    ]
    assert shown["trials"][3]["params"] == lost["params"]
    states = {run["state"] for run in home.json("runs", "list")}
    assert states == {"crashed", "stopped"}
    assert "its settings will be tried again" in err and not out.startswith("{")


def test_a_second_ctrl_c_quits_at_once(home: Home) -> None:
    path = write_sweep(home.runs.parent, SEARCH.replace("epochs = 2", "epochs = 100000"))
    process = home.start("sweep", path)
    wait_for_trial(home, process, 0)
    # A stopped process receives both signals at once when it continues.
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    (sweep,) = home.runs.glob("*_search_*")
    assert [event["reason"] for event in events(sweep) if event["is"] == "RunEnded"] == ["stopped"]
    assert list((sweep / "trials").iterdir())


def test_of_several_workers_one_repeats_the_trial_of_another_and_none_outlives_its_parent(
    home: Home, tmp_path: Path
) -> None:
    path = write_sweep(home.runs.parent, SEARCH.replace("epochs = 2", "epochs = 100000"))
    shared = tmp_path / "shared"
    shared.mkdir()
    code = f"import tempfile; tempfile.tempdir = {str(shared)!r}"
    parent = home.start("sweep", path, "--workers", "2", code=code)
    trials = [wait_for_trial(home, parent, number) for number in (0, 1)]
    assert list(shared.glob("fmnist-tui-sweep-*"))
    assert trials[0]["pid"] != trials[1]["pid"] and parent.pid not in {t["pid"] for t in trials}
    # Trial 0 is lost with its worker; the other worker tries its settings again.
    os.kill(trials[0]["pid"], signal.SIGKILL)
    home.json("sweep", "kill", "search", "1")
    again = wait_for_trial(home, parent, 2)
    assert again["params"] == trials[0]["params"] and again["pid"] == trials[1]["pid"]
    parent.kill()
    parent.wait()
    # The worker returns its trial to the study and ends.
    until(home, None, lambda trials: {t["number"]: t["state"] for t in trials}[2] == "stopped")
    wait_for(lambda: not has_process(again["pid"]))
    assert not list(shared.glob("fmnist-tui-sweep-*"))
    assert " ended: it was ended by SIGKILL; the others go on" in parent.communicate()[1]
