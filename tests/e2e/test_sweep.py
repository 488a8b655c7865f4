"""`fmnist-tui sweep` as processes: alone, several on one study, killed, stopped, refused."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import postgres
from tests.e2e.support import LIMIT, Home, events
from tests.e2e.warm import Forked

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


def file(folder: Path, text: str = SEARCH, name: str = "search") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, Any]]:
    """A home in which a sweep has been done, and what the command said of it."""
    home = Home(tmp_path_factory.mktemp("searched"))
    return home, home.json("sweep", file(home.runs.parent))


def test_a_sweep_says_what_it_found_as_json(searched: tuple[Home, dict[str, Any]]) -> None:
    home, said = searched
    assert (said["study"], said["state"], said["done"], said["total"]) == (
        "search",
        "finished",
        3,
        3,
    )
    assert [trial["state"] for trial in said["trials"]] == ["complete"] * 3
    assert said["best"]["value"] == max(trial["value"] for trial in said["trials"])
    assert said["storage"] == f"sqlite:///{home.runs}/sweeps.db"
    assert json.loads(json.dumps(home.json("sweep", "show", "search")))["best"] == said["best"]


def test_a_sweep_is_a_run_among_others_that_can_be_shown_and_given_back(
    searched: tuple[Home, dict[str, Any]],
) -> None:
    home, said = searched
    listed = [run for run in home.json("runs", "list") if run["kind"] == "sweep"]
    (run,) = (one for one in listed if one["run"] == said["run"])
    assert (run["epochs"], run["val_accuracy"], run["test_accuracy"]) == (
        3,
        said["best"]["value"],
        None,
    )
    assert home.json("runs", "show", said["path"])["study"]["best"] == said["best"]
    assert home.json("sweep", "show", said["path"])["study"] == "search"
    assert [line["study"] for line in home.json("sweep", "list")] == ["search"]
    config = (Path(said["path"]) / "config.toml").read_text()
    assert "[space.lr]" in config and "[made_with]" in config
    # The record is a sweep file: with it another worker does one more trial.
    more = home.json("sweep", str(Path(said["path"]) / "config.toml"), "--trials", "1")
    assert (more["study"], more["done"], more["trials_here"]) == ("search", 4, 1)


def test_a_trial_is_promoted_to_full_runs_that_read_the_test_split_once(
    searched: tuple[Home, dict[str, Any]],
) -> None:
    home, said = searched
    best = said["best"]
    done = home.json("sweep", "promote", "search", f"--trial={best['number']}", "--seeds=2")
    assert [run["seed"] for run in done["runs"]] == [0, 1]
    assert done["params"] == best["params"]
    tests = [run["test_accuracy"] for run in done["runs"]]
    assert done["test_mean"] == pytest.approx(sum(tests) / 2) and done["test_sd"] > 0
    for run in done["runs"]:
        said_of_it = events(Path(run["path"]))
        assert Path(run["path"]).parent == home.runs
        (started,) = (event for event in said_of_it if event["is"] == "RunStarted")
        # All images this time: the sweep's own 500 were not enough.
        assert started["train_count"] > 500 and run["test_count"] == 1000
        assert [one["split"] for one in said_of_it if one["is"] == "Evaluated"] == ["val", "test"]


def test_a_study_that_has_its_trials_is_left_alone(
    searched: tuple[Home, dict[str, Any]],
) -> None:
    home, _ = searched
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
        (["sweep", "two-conv", "--lr", "0.1"], 2, "lr = 0.1: is varied by this sweep"),
        (["sweep", "two-conv", "--val-fraction", "0"], 2, "val_fraction = 0.0: validation"),
        (["sweep", "two-conv", "--storage", "what"], 2, "--storage what is not a storage"),
        (["sweep", "two-conv", "--storage", "mysql+pymysql://a:s3cr3t@h/x"], 1, "pip install PyMy"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    searched: tuple[Home, dict[str, Any]], words: list[str], status: int, line: str
) -> None:
    said = searched[0].complaint(*words, status=status)
    assert line in said and "s3cr3t" not in said


def test_a_search_space_that_is_empty_is_one_line(home: Home) -> None:
    path = file(home.runs.parent, SEARCH.partition("[space.lr]")[0])
    assert "space = {}: is empty" in home.complaint("sweep", path, status=2)
    assert not home.runs.exists()


def test_a_server_that_does_not_answer_is_said_within_ten_seconds(home: Home) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://me:s3cr3t@127.0.0.1:{silent.getsockname()[1]}/x"
        began = time.monotonic()
        said = home.complaint("sweep", "two-conv", "--storage", url, status=1)
    assert time.monotonic() - began < 10
    assert "cannot be used" in said or "has not answered" in said
    assert "s3cr3t" not in said and "me@127.0.0.1" in said


# -- several workers ----------------------------------------------------------------------


def together(home: Home, storage: str, each: int = 4) -> list[dict[str, Any]]:
    """What two processes say that worked on one study at the same time."""
    path = file(home.runs.parent, name="shared")
    words = ["sweep", path, "--storage", storage, "--trials", str(each), "--json"]
    workers = [home.start(*words) for _ in range(2)]
    said = []
    for worker in workers:
        out, err = worker.communicate(timeout=LIMIT)
        assert worker.returncode == 0, err
        assert "s3cr3t" not in out + err
        said.append(json.loads(out))
    return said


def check(home: Home, storage: str, said: list[dict[str, Any]], each: int = 4) -> None:
    """Every trial exactly once, no number twice, and the same best whoever is asked."""
    shown = home.json("sweep", "show", "shared", "--storage", storage)
    numbers = [trial["number"] for trial in shown["trials"]]
    assert numbers == list(range(2 * each)) and shown["done"] == 2 * each
    assert [one["trials_here"] for one in said] == [each, each]
    done: list[int] = []
    for one in said:
        ended = [event for event in events(Path(one["path"])) if event["is"] == "TrialEnded"]
        folders = list((Path(one["path"]) / "trials").iterdir())
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
    # Whoever ended last has seen everything.
    assert shown["best"] in [one["best"] for one in said]


def test_two_processes_share_a_study_in_a_journal_file(home: Home) -> None:
    storage = f"journal:{home.runs.parent}/studies.log"
    check(home, storage, together(home, storage))


@pytest.mark.apt
@NEEDS_POSTGRES
def test_two_processes_share_a_study_in_a_postgresql_database(home: Home) -> None:
    with postgres.cluster() as url:
        said = together(home, url)
        check(home, url, said)
        password = url.partition("tester:")[2].partition("@")[0]
        assert said[0]["storage"].startswith("postgresql+psycopg://tester@127.0.0.1")
        for one in said:
            config = (Path(one["path"]) / "config.toml").read_text()
            assert password not in config + json.dumps(one) and "tester@" in config
        wrong = url.replace(password, "s3cr3t")
        line = home.complaint("sweep", "list", "--storage", wrong, status=1)
        assert "password authentication failed" in line and "s3cr3t" not in line


def running(home: Home, process: Forked, number: int) -> dict[str, Any]:
    """The trial of that number, once it has done an epoch."""
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
    process: Forked | None,
    find: Callable[[list[dict[str, Any]]], dict[str, Any] | None],
) -> dict[str, Any]:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        done = home.run("sweep", "show", "search", "--json")
        found = find(json.loads(done.stdout)["trials"]) if done.returncode == 0 else None
        if found is not None:
            return found
        assert process is None or process.poll() is None, process.communicate()[1]
    raise AssertionError("it never came to that")


def test_what_is_killed_lost_or_stopped_is_told_apart_and_tried_again(home: Home) -> None:
    path = file(home.runs.parent, SEARCH.replace("epochs = 2", "epochs = 100000"))
    first = home.start("sweep", path)
    running(home, first, 0)
    # Killed by a person, from another process: it has had its chance.
    home.json("sweep", "kill", "search", "0")
    lost = running(home, first, 1)
    # Killed with its worker: the next one notices, and tries its settings again.
    first.kill()
    first.wait()
    first.communicate()
    second = home.start("sweep", path)
    again = running(home, second, 2)
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


def test_a_second_ctrl_c_does_not_wait(home: Home) -> None:
    path = file(home.runs.parent, SEARCH.replace("epochs = 2", "epochs = 100000"))
    process = home.start("sweep", path)
    running(home, process, 0)
    # A process that is held still takes both at once when it goes on.
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
