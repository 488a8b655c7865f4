"""Listing and finding runs."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import signal
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.protocol.events import EVENTS, Event, RunStarted
from fmnist_tui.runs import listing
from fmnist_tui.runs.archive import archive
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import (
    RunSummary,
    find_newest_finished,
    list_runs,
    resolve,
    summarise_run,
)
from fmnist_tui.runs.lock import LockHolder, RunLock
from fmnist_tui.runs.lock import find_holder as real_holder
from fmnist_tui.util.errors import UserError
from tests.unit.support import (
    PROPERTY,
    changed,
    ended,
    epoch_ended,
    evaluated,
    note,
    progress,
    read_line,
    start_python,
    started,
    telemetry,
    write_events,
)

WHEN = datetime(2026, 11, 21, 8, 14, 3)
WHOLE_RUN: list[Event] = [
    started(),
    progress(50),
    epoch_ended(1, 0.85),
    epoch_ended(2, 0.91),
    epoch_ended(3, 0.90, best=False),
    evaluated(0.92, 200, "val"),
    evaluated(0.89, 200, "test"),
    ended(),
]


def run_of(
    folder: Path, events: Iterable[Event], days: int = 0, recipe: str = "two-conv"
) -> RunFolder:
    run = RunFolder.create(folder, recipe, "fashion", WHEN + timedelta(days=days))
    write_events(run.events, events)
    return run


def only(folder: Path) -> RunSummary:
    (summary,) = list_runs(folder)
    return summary


def test_summary_of_a_finished_run(tmp_path: Path) -> None:
    run = run_of(tmp_path, WHOLE_RUN)
    assert only(tmp_path) == RunSummary(
        run=run,
        state="finished",
        recipe="two-conv",
        dataset="fashion",
        model="two-conv",
        epochs_done=3,
        epochs_total=5,
        best_val_accuracy=0.92,
        test_accuracy=0.89,
        seconds=60.0,
        started=1000.0,
        seed=0,
    )


@pytest.mark.parametrize("reason", ["finished", "stopped", "detached", "failed"])
def test_summary_of_runs_that_ended_otherwise(tmp_path: Path, reason: str) -> None:
    run_of(tmp_path, [started(), ended(reason, message="because")])
    assert (only(tmp_path).state, only(tmp_path).reason) == (reason, "because")


TRAINER = """
import sys
from pathlib import Path
from fmnist_tui.runs.lock import LockHolder, RunLock
from fmnist_tui.runs.lock import find_holder

lock = RunLock.acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""


def test_the_lock_distinguishes_live_and_crashed_runs(tmp_path: Path) -> None:
    run = run_of(tmp_path, [started(), progress(150)])
    with start_python(TRAINER, run.path) as trainer:
        assert read_line(trainer) == "held"
        live = only(tmp_path)
        assert (live.state, live.is_live, live.epochs_done) == ("running", True, 1)
        assert live.holder is not None and live.holder.pid == trainer.pid
        trainer.send_signal(signal.SIGKILL)
        trainer.wait()
    crashed = only(tmp_path)
    assert (crashed.state, crashed.is_live, crashed.seconds) == ("crashed", False, 15.0)


def test_a_crash_after_a_resume_hides_the_earlier_end(tmp_path: Path) -> None:
    run = run_of(tmp_path, [*WHOLE_RUN[:-1], ended("stopped"), started(t=5000.0, step=200)])
    summary = only(tmp_path)
    assert (summary.state, summary.started, summary.epochs_done) == ("crashed", 1000.0, 2)
    with RunLock.acquire(run.path):
        assert only(tmp_path).state == "running"


def test_the_times_of_a_run_with_a_long_record_are_those_of_all_its_sessions(
    tmp_path: Path,
) -> None:
    sessions: list[Event] = [
        replace(started(), run_seconds=0.0, train_seconds=0.0),
        replace(ended("stopped"), run_seconds=60.0),
        replace(started(t=5000.0, step=50), run_seconds=60.5, train_seconds=4.0),
        *[replace(telemetry(), t=5030.0)] * 90_000,
        replace(progress(60, t=5040.0), run_seconds=100.5, train_seconds=9.0, warm_seconds=80.0),
    ]
    run = run_of(tmp_path, [*sessions, changed("phase", "validating", t=5042.0)])
    assert run.events.stat().st_size > 1 << 22
    assert (only(tmp_path).seconds, only(tmp_path).train_seconds) == pytest.approx((102.5, 9.0))
    assert only(tmp_path).shown_seconds == only(tmp_path).warm_seconds == 80.0
    with run.events.open("a") as file:
        file.write(EVENTS.encode(replace(ended(), run_seconds=104.0)) + "\n")
    assert (only(tmp_path).seconds, only(tmp_path).train_seconds) == (104.0, 9.0)
    assert only(tmp_path).seconds == replay(run.events).seconds


def test_a_run_resumed_for_more_epochs_with_a_long_record_shows_their_number(
    tmp_path: Path,
) -> None:
    events: list[Event] = [
        started(epochs=5),
        ended("stopped"),
        started(t=5000.0, step=50, epochs=30),
        *[telemetry(5030.0)] * 90_000,
        replace(progress(60, t=5040.0), epochs=30),
    ]
    run_of(tmp_path, events)
    assert only(tmp_path).epochs_total == 30


def test_a_run_resumed_for_more_epochs_shows_their_number_from_its_start_on(
    tmp_path: Path,
) -> None:
    ran: list[Event] = [started(epochs=5), replace(progress(60), epochs=5), ended("finished")]
    run_of(tmp_path, [*ran, started(t=5000.0, step=60, epochs=30)])
    assert only(tmp_path).epochs_total == 30


def test_a_paused_run_is_shown_as_such(tmp_path: Path) -> None:
    run = run_of(
        tmp_path, [started(), changed("paused", "true"), *[telemetry()] * 2000, epoch_ended(1)]
    )
    assert run.events.stat().st_size > 1 << 16
    with RunLock.acquire(run.path):
        assert only(tmp_path).state == "paused"
        with run.events.open("a") as file:
            file.write(EVENTS.encode(changed("paused", "false")) + "\n")
        assert only(tmp_path).state == "running"


def test_a_locked_run_without_events_is_running(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "two-conv", "fashion")
    with RunLock.acquire(run.path):
        summary = only(tmp_path)
    assert (summary.state, summary.is_live) == ("running", True)
    assert abs(summary.started - time.time()) < 600


def test_a_lock_acquired_while_the_events_are_read_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    run = run_of(tmp_path, [started()])
    with contextlib.ExitStack() as stack:

        def lock_after_reading(folder: Path) -> LockHolder | None:
            holder = real_holder(folder)
            stack.enter_context(RunLock.acquire(run.path)) if holder is None else None
            return holder

        monkeypatch.setattr(listing, "find_holder", lock_after_reading)
        assert summarise_run(run).state == "running"


def test_the_best_epoch_is_found_before_the_end_of_a_long_file(tmp_path: Path) -> None:
    steps: list[Event] = [progress(step) for step in range(2000)]
    events: list[Event] = [
        started(),
        epoch_ended(1, 0.95),
        *steps,
        epoch_ended(4, 0.9, best=False),
        ended(),
    ]
    run = run_of(tmp_path, events)
    assert run.events.stat().st_size > 4 << 16
    summary = only(tmp_path)
    assert (summary.best_val_accuracy, summary.epochs_done) == (0.95, 4)
    assert (summary.started, summary.recipe) == (1000.0, "two-conv")


def test_only_the_ends_of_a_very_long_file_are_read(tmp_path: Path) -> None:
    run = run_of(tmp_path, [started()])
    line = (EVENTS.encode(progress(1)) + "\n") * 30_000
    with run.events.open("a") as file:
        file.write(line)
        file.write("".join(EVENTS.encode(event) + "\n" for event in WHOLE_RUN[2:]))
    assert run.events.stat().st_size > 5_000_000
    before = time.perf_counter()
    summary = only(tmp_path)
    assert time.perf_counter() - before < 0.5
    assert (summary.state, summary.best_val_accuracy, summary.started) == ("finished", 0.92, 1000.0)


def test_an_incomplete_last_line_is_ignored(tmp_path: Path) -> None:
    run = run_of(tmp_path, WHOLE_RUN)
    run.events.write_bytes(run.events.read_bytes()[:-1])
    assert only(tmp_path).state == "crashed"


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    runs = []
    for day in range(4):
        first = started(t=1000.0 + day)
        runs.append(run_of(tmp_path, [first, ended()], days=9 - day))
    assert [summary.run for summary in list_runs(tmp_path)] == runs[::-1]


def test_the_newest_finished_run_is_one_that_has_a_model(tmp_path: Path) -> None:
    assert find_newest_finished(tmp_path) is None
    run_of(tmp_path, WHOLE_RUN)
    newest = run_of(tmp_path, WHOLE_RUN, days=1)
    run_of(tmp_path, [started(), ended("stopped")], days=2)
    run_of(tmp_path, [replace(started(), kind="lrfind"), ended("finished")], days=3)
    run_of(tmp_path, [], days=4)
    found = find_newest_finished(tmp_path)
    assert found is not None and found.run == newest


def test_a_folder_without_runs_has_an_empty_list(tmp_path: Path) -> None:
    assert list_runs(tmp_path) == list_runs(tmp_path / "none") == []


def broken_runs(folder: Path) -> list[RunFolder]:
    runs = [RunFolder.create(folder, "fast", "mnist") for _ in range(6)]
    runs[1].events.write_bytes(os.urandom(200_000))
    runs[2].events.mkdir()
    runs[3].events.write_bytes(b"")
    runs[4].events.write_bytes(b'{"is":"EpochEnded"\n{"is":"RunStarted","t":"x"}\n' * 5000)
    (runs[5].path / "lock").mkdir()
    runs[5].events.symlink_to(runs[5].events)
    return runs


def test_a_damaged_run_is_listed_as_broken_beside_the_others(tmp_path: Path) -> None:
    runs = broken_runs(tmp_path)
    good = run_of(tmp_path, WHOLE_RUN)
    summaries = {summary.run: summary for summary in list_runs(tmp_path)}
    assert len(summaries) == 7
    for run in runs:
        assert summaries[run].state == "broken" and summaries[run].reason
    assert summaries[good].state == "finished"


@PROPERTY
@given(
    st.lists(st.sampled_from([*WHOLE_RUN, progress(1)]), max_size=8),
    st.binary(max_size=30),
    st.data(),
)
def test_any_damage_to_a_file_is_handled(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Event],
    garbage: bytes,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    run = run_of(folder, events)
    content = run.events.read_bytes()
    position = data.draw(st.integers(0, len(content)))
    run.events.write_bytes(content[:position] + garbage + content[position:])
    assert only(folder).run == run


def test_a_run_that_disappears_during_listing_is_handled(tmp_path: Path) -> None:
    run = run_of(tmp_path, WHOLE_RUN)
    gone = RunFolder(run.path.rename(tmp_path / "gone"))
    assert summarise_run(run).state == "broken"
    assert summarise_run(gone).state == "finished"


def test_a_thousand_runs_are_listed_quickly(tmp_path: Path) -> None:
    lines = "".join(EVENTS.encode(progress(step)) + "\n" for step in range(50))
    body = lines * 4 + "".join(EVENTS.encode(event) + "\n" for event in WHOLE_RUN[2:])
    for number in range(1000):
        path = tmp_path / f"2026-11-21_{number:06d}_two-conv_fashion_{number:04x}"
        path.mkdir()
        (path / "lock").touch()
        first = EVENTS.encode(started(t=float(number))) + "\n"
        (path / "events.jsonl").write_text(first + body, "ascii")
    before = time.perf_counter()
    summaries = list_runs(tmp_path)
    took = time.perf_counter() - before
    assert [summary.started for summary in summaries] == [float(n) for n in reversed(range(1000))]
    assert {summary.state for summary in summaries} == {"finished"}
    assert took < 2.0


# --- finding one


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunFolder]:
    ids = iter(["7f3a", "01ab", "9c2e"])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(ids))
    return [
        run_of(tmp_path, WHOLE_RUN, days=0, recipe="two-conv"),
        run_of(tmp_path, WHOLE_RUN, days=1, recipe="linear"),
        run_of(tmp_path, WHOLE_RUN, days=2, recipe="one-conv"),
    ]


@pytest.mark.parametrize(
    ("text", "index"),
    [("7f3a", 0), ("01ab", 1), ("linear", 1), ("LINEAR", 1), ("2026-11-23", 2), ("last", 2)],
)
def test_a_run_is_found_by_id_part_of_its_name_or_last(
    tmp_path: Path, three: list[RunFolder], text: str, index: int
) -> None:
    assert resolve(tmp_path, text) == three[index]


def test_a_run_is_found_by_its_whole_name_and_by_path(
    tmp_path: Path, three: list[RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolve(tmp_path, three[0].name) == three[0]
    assert resolve(tmp_path / "elsewhere", str(three[0].path)) == three[0]
    monkeypatch.chdir(tmp_path)
    assert resolve(tmp_path / "elsewhere", f"./{three[0].name}") == three[0]
    monkeypatch.chdir(three[0].path)
    assert resolve(tmp_path / "elsewhere", ".") == three[0]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve(tmp_path / "elsewhere", f"~/{three[0].name}") == three[0]


def test_an_archived_run_is_found_by_its_path_below_the_runs(
    tmp_path: Path, three: list[RunFolder]
) -> None:
    archived = archive(three[0])
    assert resolve(tmp_path, f"archive/{archived.name}") == archived
    with pytest.raises(UserError, match="is archived"):
        resolve(tmp_path, "7f3a")


def test_an_id_takes_precedence_over_a_part_of_a_name(
    tmp_path: Path, three: list[RunFolder]
) -> None:
    other = three[2].path.rename(tmp_path / "2026-11-25_000000_linear_7f3a-again_0000")
    assert RunFolder(other).id == "0000"
    assert resolve(tmp_path, "7f3a") == three[0]


def test_an_ambiguous_name_lists_the_candidates(tmp_path: Path, three: list[RunFolder]) -> None:
    with pytest.raises(UserError) as caught:
        resolve(tmp_path, "conv")
    assert str(caught.value) == (
        f'"conv" could be {three[2].name}, {three[0].name}; give an id, the last part of a name'
    )


def test_at_most_five_candidates_are_listed(tmp_path: Path) -> None:
    for day in range(8):
        run_of(tmp_path, WHOLE_RUN, days=day)
    with pytest.raises(UserError) as caught:
        resolve(tmp_path, "fashion")
    assert str(caught.value).count("two-conv") == 5
    assert " and 3 more; " in str(caught.value)
    with pytest.raises(UserError, match="no run matches"):
        resolve(tmp_path, "")


def test_similar_names_are_suggested_for_an_unknown_run(
    tmp_path: Path, three: list[RunFolder]
) -> None:
    with pytest.raises(UserError, match=r'no run matches "linaer" in .*; did you mean "linear"'):
        resolve(tmp_path, "linaer")
    with pytest.raises(UserError, match="runs list"):
        resolve(tmp_path, "zzzzzzzz")


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    for text in ("last", "7f3a"):
        with pytest.raises(UserError, match=r"there are no runs in .* yet"):
            resolve(tmp_path, text)


def test_last_is_the_newest_run_with_events(tmp_path: Path, three: list[RunFolder]) -> None:
    (tmp_path / "2026-12-24_000000_fast_mnist_ffff").mkdir()
    three[0].path.rename(tmp_path / "zzz")
    assert resolve(tmp_path, "last") == three[2]


@pytest.mark.parametrize(
    "text", ["/", "../..", "a/b", "~", "~nobody-here/x", "\x00/", "n" * 5000, "/" * 5000, "\x1b[2J"]
)
def test_control_characters_in_a_run_name_are_shown_safely(
    tmp_path: Path, three: list[RunFolder], text: str
) -> None:
    with pytest.raises(UserError) as caught:
        resolve(tmp_path, text)
    assert str(caught.value).isprintable()


def test_a_resumed_run_keeps_its_first_start_time(tmp_path: Path) -> None:
    again = dataclasses.replace(started(t=5000.0, step=300), model="two-conv-2")
    assert isinstance(again, RunStarted)
    run_of(tmp_path, [*WHOLE_RUN, again, ended(t=5100.0)])
    summary = only(tmp_path)
    assert (summary.started, summary.model, summary.state) == (1000.0, "two-conv-2", "finished")


def test_a_note_that_quotes_an_event_is_not_mistaken_for_it(tmp_path: Path) -> None:
    quoted = note("x\n" + EVENTS.encode(ended("failed")) + '\n"what":"paused"')
    run_of(tmp_path, [started(), epoch_ended(1), ended(), quoted])
    assert only(tmp_path).state == "finished"
