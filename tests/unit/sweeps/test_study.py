"""A study as its workers use it: each trial once, lost ones recovered, requests obeyed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fmnist_tui.sweeps import remote_control, sampling, trial_states
from fmnist_tui.sweeps import study as studies
from fmnist_tui.sweeps.snapshot import SnapshotReader
from fmnist_tui.sweeps.storage import StorageLocation, connect, parse_location
from fmnist_tui.sweeps.study import StudyLedger
from fmnist_tui.sweeps.trial_states import AlreadyEndedError
from fmnist_tui.util.errors import UserError
from tests.unit.sweeps.support import (
    SEARCH,
    join_study,
    journal_in,
    make_spec,
    optuna_trials,
    run_trial,
)

GRID = SEARCH.replace("trials = 6", 'sampler = "grid"').replace("log = true", "step = 0.0333")


def claim_as(monkeypatch: pytest.MonkeyPatch, pid: int | None = None, host: str = "") -> None:
    """Have trials claimed by another process, perhaps on another machine."""
    here = studies._this_process()
    process = {**here, "pid": pid if pid is not None else here["pid"], "host": host or here["host"]}
    monkeypatch.setattr(studies, "_this_process", lambda: process)


def dead_pid() -> int:
    """The pid of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_two_workers_share_a_study_and_run_each_trial_once(tmp_path: Path, kind: str) -> None:
    location = (
        journal_in(tmp_path)
        if kind == "journal"
        else parse_location(f"sqlite:///{tmp_path}/s.db", tmp_path)
    )
    first, second = join_study(location), join_study(location)
    numbers = [run_trial(ledger, [0.5, 0.6]) for ledger in (first, second, second, first)]
    assert numbers == [0, 1, 2, 3]
    assert first.counts() == second.counts()
    assert (first.counts().ended, first.counts().best) == (4, 0.6)
    assert len({tuple(trial.params.items()) for trial in optuna_trials(location)}) == 4


def test_a_trials_settings_depend_on_its_number_and_the_seed_only(tmp_path: Path) -> None:
    drawn = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        location = journal_in(tmp_path / name)
        first, second = join_study(location), join_study(location)
        for ledger in (first, first) if name == "a" else (second, first):
            run_trial(ledger, [0.5])
        drawn.append([trial.params for trial in optuna_trials(location)])
    assert drawn[0] == drawn[1]


def test_a_study_with_other_settings_is_not_joined(tmp_path: Path) -> None:
    location = journal_in(tmp_path)
    join_study(location)
    with pytest.raises(UserError, match=r"has other settings \(epochs 4 against 3\)"):
        join_study(location, make_spec(SEARCH.replace("epochs = 3", "epochs = 4")))


def test_a_study_of_another_program_is_not_joined(tmp_path: Path) -> None:
    import optuna

    location = journal_in(tmp_path)
    study = optuna.create_study(study_name="search", storage=connect(location))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(UserError, match=r"the study search in .* was not created by this program"):
        join_study(location)


def test_there_is_room_until_the_study_has_its_trials(tmp_path: Path) -> None:
    ledger = join_study(journal_in(tmp_path))
    for _ in range(2):
        assert ledger.has_room(ledger.counts(), 2)
        run_trial(ledger, [0.5])
    assert not ledger.has_room(ledger.counts(), 2)
    assert ledger.has_room(ledger.counts(), None)


def test_every_grid_point_is_tried_once_by_any_worker(tmp_path: Path) -> None:
    location, spec = journal_in(tmp_path), make_spec(GRID)
    first, second = join_study(location, spec), join_study(location, spec)
    assert spec.grid_size() == 8
    for ledger in (first, second, first, second):
        run_trial(ledger, [0.5])
    # A requeued trial keeps its grid point.
    first.requeue(first.claim(), "stopped")
    for turn in range(20):
        ledger = (first, second)[turn % 2]
        if ledger.has_room(ledger.counts(), None):
            run_trial(ledger, [0.5])
    complete = [trial for trial in optuna_trials(location) if trial.state.name == "COMPLETE"]
    points = {(round(trial.params["lr"], 4), trial.params["optimizer"]) for trial in complete}
    assert len(complete) == len(points) == 8


def test_an_accuracy_of_zero_can_be_the_best(tmp_path: Path) -> None:
    ledger = join_study(journal_in(tmp_path))
    ledger.end(ledger.claim(), "complete", 0.0)
    assert ledger.counts().best == 0.0


def test_a_requeued_trial_is_run_again_with_the_same_settings(tmp_path: Path) -> None:
    location = journal_in(tmp_path)
    first, second = join_study(location), join_study(location)
    claimed = first.claim()
    first.report(claimed, 1, 0.4)
    first.requeue(claimed, "Ctrl-C")
    assert (second.counts().total, second.counts().waiting) == (1, 1)
    again = second.claim()
    assert again.number != claimed.number and again.params == claimed.params
    second.end(again, "complete", 0.7)
    snapshot = SnapshotReader().read(location, "search")
    assert [trial.state for trial in snapshot.trials] == ["stopped", "complete"]
    assert (snapshot.done, snapshot.trials[0].why, snapshot.trials[1].retry_of) == (
        1,
        "Ctrl-C",
        claimed.number,
    )


def test_a_trial_of_a_dead_process_is_recovered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = journal_in(tmp_path)
    with monkeypatch.context() as context:
        claim_as(context, pid=dead_pid())
        claimed = join_study(location).claim()
    first, second = join_study(location), join_study(location)
    assert (first.recover(), second.recover()) == ([claimed.number], [])
    assert second.claim().params == claimed.params
    assert [trial.state for trial in SnapshotReader().read(location, "search").trials] == [
        "lost",
        "running",
    ]


@pytest.mark.parametrize("chosen", ["nothing", "a part", "all"])
def test_a_worker_that_dies_while_it_claims_a_trial_costs_no_point_of_a_grid(
    tmp_path: Path, chosen: str
) -> None:
    location, spec = parse_location(f"sqlite:///{tmp_path}/s.db", tmp_path), make_spec(GRID)
    points = [sampling.NumberedSampler(spec)._grid[number] for number in range(3)]
    first = join_study(location, spec)
    assert first.claim().params == points[0]
    known = {"nothing": 0, "a part": 1, "all": None}[chosen]
    # As `claim` does, up to where it was killed.
    first.study.ask(dict(list(first._distributions.items())[:known]))
    again = join_study(location, spec)
    assert again.recover() == [1]
    assert [again.claim().params for _ in range(2)] == points[1:]


def test_a_lost_trial_whose_recovery_was_killed_too_is_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = parse_location(f"sqlite:///{tmp_path}/s.db", tmp_path)
    ledger = join_study(location)
    claimed = ledger.claim()
    with monkeypatch.context() as context:
        context.setattr(studies, "_enqueue", lambda *_: None)  # killed just before
        ledger.requeue(claimed, "Ctrl-C")
    assert ledger.counts().waiting == 0
    again = join_study(location)
    for _ in range(2):
        again.recover()
        assert again.counts().waiting == 1
    assert again.claim().params == claimed.params


def test_two_workers_that_find_a_lost_trial_at_once_requeue_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = journal_in(tmp_path)
    with monkeypatch.context() as context:
        claim_as(context, pid=dead_pid())
        join_study(location).claim()
    first = join_study(location)
    (trial,) = first.study.get_trials(deepcopy=False)
    assert first.recover() == [trial.number]
    # The other worker has seen it running just before.
    with pytest.raises(AlreadyEndedError):
        studies.end_lost_trial(first.study, first._storage, location, trial)
    assert first.counts().waiting == 1


def test_a_trial_of_a_living_process_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = journal_in(tmp_path)
    with monkeypatch.context() as context:
        claim_as(context, pid=os.getppid())
        join_study(location).claim()
    assert join_study(location).recover() == []


def test_a_trial_of_another_machine_is_lost_after_missing_heartbeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = journal_in(tmp_path)
    with monkeypatch.context() as context:
        claim_as(context, host="elsewhere")
        other = join_study(location)
        claimed = other.claim()
    ledger = join_study(location)
    clock = [1000.0]
    monkeypatch.setattr("fmnist_tui.sweeps.study.time.monotonic", lambda: clock[0])
    assert ledger.recover() == []
    clock[0] += trial_states.LOST_SECONDS - 1
    other.send_heartbeat(claimed)
    assert ledger.recover() == []
    clock[0] += trial_states.LOST_SECONDS - 1
    assert ledger.recover() == []
    clock[0] += 2
    assert ledger.recover() == [claimed.number]
    with pytest.raises(AlreadyEndedError):
        other.report(claimed, 1, 0.5)


def test_settings_that_kill_their_workers_are_not_tried_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location, dead = journal_in(tmp_path), dead_pid()
    for _ in range(studies.MAX_ATTEMPTS):
        with monkeypatch.context() as context:
            claim_as(context, pid=dead)
            join_study(location).claim()
        join_study(location).recover()
    snapshot = SnapshotReader().read(location, "search")
    assert [trial.state for trial in snapshot.trials] == ["lost", "lost", "failed"]
    assert snapshot.trials[-1].why == "its worker died, after 2 others"
    assert join_study(location).counts().waiting == 0


def test_a_trial_is_killed_by_a_request_in_the_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = journal_in(tmp_path)
    claim_as(monkeypatch, host="elsewhere")
    ledger = join_study(location)
    claimed = ledger.claim()
    assert ledger.read_requests(claimed) == (False, False)
    monkeypatch.undo()
    assert remote_control.kill(SnapshotReader(), location, "search", claimed.number).endswith(
        "kill requested"
    )
    assert ledger.read_requests(claimed) == (True, False)
    ledger.report(claimed, 1, 0.3)
    ledger.end(claimed, "killed", why="killed")
    assert ledger.read_requests(ledger.claim()) == (False, False)
    (trial, _) = SnapshotReader().read(location, "search").trials
    assert (trial.state, trial.value, trial.why) == ("killed", 0.3, "killed")


def test_killing_a_trial_whose_worker_is_dead_ends_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = journal_in(tmp_path)
    with monkeypatch.context() as context:
        claim_as(context, pid=dead_pid())
        join_study(location).claim()
    assert "was dead" in remote_control.kill(SnapshotReader(), location, "search", 0)
    assert [trial.state for trial in SnapshotReader().read(location, "search").trials] == ["killed"]
    assert join_study(location).counts().waiting == 0


@pytest.mark.parametrize(
    ("number", "line"),
    [(0, "trial 0 of search is not running: it is complete"), (7, "there is no trial 7")],
)
def test_killing_a_trial_that_is_not_running_is_refused(
    tmp_path: Path, number: int, line: str
) -> None:
    location = journal_in(tmp_path)
    run_trial(join_study(location), [0.5])
    with pytest.raises(UserError, match=line):
        remote_control.kill(SnapshotReader(), location, "search", number)


def test_a_stop_request_does_not_affect_later_workers(tmp_path: Path) -> None:
    location = journal_in(tmp_path)
    before = join_study(location)
    claimed = before.claim()
    assert remote_control.stop(SnapshotReader(), location, "search") == 1
    assert before.read_requests(claimed) == (False, True)
    assert join_study(location).read_requests(None) == (False, False)


def test_a_failing_storage_is_a_user_error_and_the_study_stays_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location: StorageLocation = journal_in(tmp_path)
    ledger = join_study(location)
    claimed = ledger.claim()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr("fmnist_tui.sweeps.journal.append_line", full)
        with pytest.raises(UserError, match=r"cannot be used: .*No space left on device"):
            ledger.report(claimed, 1, 0.5)
        with pytest.raises(UserError, match="No space left"):
            ledger.end(claimed, "complete", 0.5)
    ledger.report(claimed, 1, 0.5)
    ledger.end(claimed, "complete", 0.5)
    assert SnapshotReader().read(location, "search").trials[0].state == "complete"


def test_the_pruner_ends_a_trial_that_is_worse_than_others(tmp_path: Path) -> None:
    ledger = StudyLedger.join(journal_in(tmp_path), connect(journal_in(tmp_path)), make_spec())
    for _ in range(3):
        run_trial(ledger, [0.5, 0.6, 0.7])
    claimed = ledger.claim()
    assert ledger.report(claimed, 1, 0.1)


def test_workers_never_claim_the_same_waiting_trial(tmp_path: Path) -> None:
    location = parse_location(f"sqlite:///{tmp_path}/s.db", tmp_path)
    ledgers = [join_study(location) for _ in range(4)]
    for number in range(20):
        ledgers[0].study.enqueue_trial({"lr": 0.001 * (number + 1), "optimizer": "sgd"})
    claimed: list[int] = []

    def work(ledger: StudyLedger) -> None:
        claimed.extend(ledger.claim().number for _ in range(5))

    threads = [threading.Thread(target=work, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(20))
