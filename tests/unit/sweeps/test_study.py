"""A study as its workers see it: each trial once, what is left is done again, marks are heeded."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fmnist_tui.sweeps import remote_control
from fmnist_tui.sweeps import study as studies
from fmnist_tui.sweeps.snapshot import SnapshotReader
from fmnist_tui.sweeps.storage import StorageLocation, connect, parse_location
from fmnist_tui.sweeps.study import StudyLedger, TrialTakenError
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


def someone_elses(monkeypatch: pytest.MonkeyPatch, pid: int | None = None, host: str = "") -> None:
    """From now on trials are begun by another process, perhaps on another machine."""
    here = studies._this_process()
    other = {**here, "pid": pid if pid is not None else here["pid"], "host": host or here["host"]}
    monkeypatch.setattr(studies, "_this_process", lambda: other)


def dead() -> int:
    """The number of a process that was."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_two_workers_share_a_study_and_do_each_trial_once(tmp_path: Path, kind: str) -> None:
    where = (
        journal_in(tmp_path)
        if kind == "journal"
        else parse_location(f"sqlite:///{tmp_path}/s.db", tmp_path)
    )
    one, other = join_study(where), join_study(where)
    numbers = [run_trial(book, [0.5, 0.6]) for book in (one, other, other, one)]
    assert numbers == [0, 1, 2, 3]
    assert one.counts() == other.counts()
    assert (one.counts().ended, one.counts().best) == (4, 0.6)
    assert len({tuple(trial.params.items()) for trial in optuna_trials(where)}) == 4


def test_a_trials_draw_depends_on_its_number_and_the_seed_alone(tmp_path: Path) -> None:
    drawn = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        where = journal_in(tmp_path / name)
        one, other = join_study(where), join_study(where)
        for book in (one, one) if name == "a" else (other, one):
            run_trial(book, [0.5])
        drawn.append([trial.params for trial in optuna_trials(where)])
    assert drawn[0] == drawn[1]


def test_a_study_of_other_settings_is_not_joined(tmp_path: Path) -> None:
    where = journal_in(tmp_path)
    join_study(where)
    with pytest.raises(UserError, match=r"has other settings \(epochs 4 against 3\)"):
        join_study(where, make_spec(SEARCH.replace("epochs = 3", "epochs = 4")))


def test_a_study_of_another_program_is_not_joined(tmp_path: Path) -> None:
    import optuna

    where = journal_in(tmp_path)
    study = optuna.create_study(study_name="search", storage=connect(where))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(UserError, match=r"the study search in .* was not created by this program"):
        join_study(where)


def test_there_is_room_until_the_study_has_its_trials(tmp_path: Path) -> None:
    book = join_study(journal_in(tmp_path))
    for _ in range(2):
        assert book.has_room(book.counts(), 2)
        run_trial(book, [0.5])
    assert not book.has_room(book.counts(), 2)
    assert book.has_room(book.counts(), None)


def test_every_point_of_a_grid_is_tried_once_whoever_does_it(tmp_path: Path) -> None:
    where, spec = journal_in(tmp_path), make_spec(GRID)
    one, other = join_study(where, spec), join_study(where, spec)
    assert spec.grid_size() == 8
    for book in (one, other, one, other):
        run_trial(book, [0.5])
    # What is given back keeps its point: the others go on with theirs.
    one.requeue(one.claim(), "stopped")
    for turn in range(20):
        book = (one, other)[turn % 2]
        if book.has_room(book.counts(), None):
            run_trial(book, [0.5])
    kept = [trial for trial in optuna_trials(where) if trial.state.name == "COMPLETE"]
    points = {(round(trial.params["lr"], 4), trial.params["optimizer"]) for trial in kept}
    assert len(kept) == len(points) == 8


def test_a_trial_given_back_is_done_again_with_the_same_settings(tmp_path: Path) -> None:
    where = journal_in(tmp_path)
    one, other = join_study(where), join_study(where)
    begun = one.claim()
    one.report(begun, 1, 0.4)
    one.requeue(begun, "Ctrl-C")
    assert (other.counts().total, other.counts().waiting) == (1, 1)
    again = other.claim()
    assert again.number != begun.number and again.params == begun.params
    other.complete(again, 0.7)
    shown = SnapshotReader().read(where, "search")
    assert [trial.state for trial in shown.trials] == ["stopped", "complete"]
    assert (shown.done, shown.trials[0].why, shown.trials[1].retry_of) == (
        1,
        "Ctrl-C",
        begun.number,
    )


def test_a_trial_of_a_dead_process_is_recovered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = journal_in(tmp_path)
    with monkeypatch.context() as context:
        someone_elses(context, pid=dead())
        begun = join_study(where).claim()
    one, other = join_study(where), join_study(where)
    assert (one.recover(), other.recover()) == ([begun.number], [])
    assert other.claim().params == begun.params
    assert [trial.state for trial in SnapshotReader().read(where, "search").trials] == [
        "lost",
        "running",
    ]


def test_two_that_find_a_lost_trial_at_once_put_it_back_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = journal_in(tmp_path)
    with monkeypatch.context() as context:
        someone_elses(context, pid=dead())
        join_study(where).claim()
    one = join_study(where)
    (trial,) = one.study.get_trials(deepcopy=False)
    assert one.recover() == [trial.number]
    # The other had seen it running just before.
    with pytest.raises(TrialTakenError):
        studies.end_lost_trial(one.study, one._storage, where, trial)
    assert one.counts().waiting == 1


def test_a_living_process_keeps_its_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = journal_in(tmp_path)
    with monkeypatch.context() as context:
        someone_elses(context, pid=os.getppid())
        join_study(where).claim()
    assert join_study(where).recover() == []


def test_a_trial_of_another_machine_is_lost_when_it_gives_no_sign_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = journal_in(tmp_path)
    with monkeypatch.context() as context:
        someone_elses(context, host="elsewhere")
        theirs = join_study(where)
        begun = theirs.claim()
    ours = join_study(where)
    clock = [1000.0]
    monkeypatch.setattr("fmnist_tui.sweeps.study.time.monotonic", lambda: clock[0])
    assert ours.recover() == []
    clock[0] += studies.LOST_SECONDS - 1
    theirs.send_heartbeat(begun)
    assert ours.recover() == []
    clock[0] += studies.LOST_SECONDS - 1
    assert ours.recover() == []
    clock[0] += 2
    assert ours.recover() == [begun.number]
    with pytest.raises(TrialTakenError):
        theirs.report(begun, 1, 0.5)


def test_settings_that_kill_their_workers_are_not_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, gone = journal_in(tmp_path), dead()
    for _ in range(studies.MAX_ATTEMPTS):
        with monkeypatch.context() as context:
            someone_elses(context, pid=gone)
            join_study(where).claim()
        join_study(where).recover()
    shown = SnapshotReader().read(where, "search")
    assert [trial.state for trial in shown.trials] == ["lost", "lost", "failed"]
    assert shown.trials[-1].why == "its worker died, as 2 before it"
    assert join_study(where).counts().waiting == 0


def test_a_trial_is_killed_from_elsewhere_by_a_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = journal_in(tmp_path)
    someone_elses(monkeypatch, host="elsewhere")
    book = join_study(where)
    begun = book.claim()
    assert book.read_requests(begun) == (False, False)
    monkeypatch.undo()
    assert remote_control.kill(SnapshotReader(), where, "search", begun.number).endswith(
        "kill requested"
    )
    assert book.read_requests(begun) == (True, False)
    book.report(begun, 1, 0.3)
    book.prune(begun, "killed", killed=True)
    assert book.read_requests(book.claim()) == (False, False)
    (trial, _) = SnapshotReader().read(where, "search").trials
    assert (trial.state, trial.value, trial.why) == ("killed", 0.3, "killed")


def test_killing_a_trial_whose_worker_is_dead_ends_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = journal_in(tmp_path)
    with monkeypatch.context() as context:
        someone_elses(context, pid=dead())
        join_study(where).claim()
    assert "was dead" in remote_control.kill(SnapshotReader(), where, "search", 0)
    assert [trial.state for trial in SnapshotReader().read(where, "search").trials] == ["killed"]
    assert join_study(where).counts().waiting == 0


@pytest.mark.parametrize(
    ("number", "line"),
    [(0, "trial 0 of search is not running: it is complete"), (7, "there is no trial 7")],
)
def test_what_cannot_be_killed_is_said(tmp_path: Path, number: int, line: str) -> None:
    where = journal_in(tmp_path)
    run_trial(join_study(where), [0.5])
    with pytest.raises(UserError, match=line):
        remote_control.kill(SnapshotReader(), where, "search", number)


def test_workers_that_were_there_are_stopped_and_later_ones_are_not(tmp_path: Path) -> None:
    where = journal_in(tmp_path)
    before = join_study(where)
    begun = before.claim()
    assert remote_control.stop(SnapshotReader(), where, "search") == 1
    assert before.read_requests(begun) == (False, True)
    assert join_study(where).read_requests(None) == (False, False)


def test_a_storage_that_fails_is_a_user_error_and_the_study_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: StorageLocation = journal_in(tmp_path)
    book = join_study(where)
    begun = book.claim()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr("fmnist_tui.sweeps.journal.append_line", full)
        with pytest.raises(UserError, match=r"cannot be used: .*No space left on device"):
            book.report(begun, 1, 0.5)
        with pytest.raises(UserError, match="No space left"):
            book.complete(begun, 0.5)
    book.report(begun, 1, 0.5)
    book.complete(begun, 0.5)
    assert SnapshotReader().read(where, "search").trials[0].state == "complete"


def test_the_pruner_gives_up_what_is_worse_than_others_were(tmp_path: Path) -> None:
    book = StudyLedger.join(journal_in(tmp_path), connect(journal_in(tmp_path)), make_spec())
    for _ in range(3):
        run_trial(book, [0.5, 0.6, 0.7])
    begun = book.claim()
    assert book.report(begun, 1, 0.1)


def test_workers_that_ask_at_once_never_get_the_same_waiting_trial(tmp_path: Path) -> None:
    where = parse_location(f"sqlite:///{tmp_path}/s.db", tmp_path)
    books = [join_study(where) for _ in range(4)]
    for number in range(20):
        books[0].study.enqueue_trial({"lr": 0.001 * (number + 1), "optimizer": "sgd"})
    taken: list[int] = []

    def work(book: StudyLedger) -> None:
        taken.extend(book.claim().number for _ in range(5))

    threads = [threading.Thread(target=work, args=(book,)) for book in books]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(20))
