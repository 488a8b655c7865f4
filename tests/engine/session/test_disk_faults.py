"""A run whose disk is full, or whose folder is deleted, while it trains and at its end."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore, EncodedCheckpoint
from fmnist_tui.engine.run import run_record
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.commands import Detach
from fmnist_tui.protocol.events import EVENTS, FAILED, FINISHED, Event, Progress, RunEnded
from fmnist_tui.runs import lock, log
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.util.errors import UserError
from tests.engine.support import FOREVER, Listener, config, train, wait_for_end

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail_last(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """No `last` can be saved after a step."""
    write = CheckpointStore.write

    def failing(store: CheckpointStore, kind: str, encoded: EncodedCheckpoint) -> object:
        if kind == "last" and encoded.step > after:
            raise NO_SPACE
        return write(store, kind, encoded)

    monkeypatch.setattr(CheckpointStore, "write", failing)


def test_a_run_whose_last_state_is_not_on_disk_has_failed_and_says_what_is(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_last(monkeypatch, 0)
    folder, listener = wait_for_end(session, session.train(config(epochs=2)), FAILED)
    assert listener.events[-1].message == (  # type: ignore[union-attr]
        "the checkpoint at step 8 could not be saved (No space left on device):"
        " the newest on disk is best-0002.pt, of step 8"
    )
    assert not list(folder.predictions.iterdir())


def test_a_run_that_cannot_save_does_not_claim_to_be_detached(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_last(monkeypatch, 0)
    training = session.train(config(epochs=FOREVER))
    listener = Listener(training)
    listener.wait_for(Progress)
    training.send(Detach(0.0))
    assert listener.wait_for_end().reason == FAILED


def test_a_deleted_run_folder_ends_the_run_and_stays_deleted(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LOOK_SECONDS", 0.01)
    training = session.train(config(epochs=FOREVER, checkpoint_seconds=0.0))
    listener = Listener(training)
    listener.wait_for(Progress)
    assert training.folder is not None
    moved = training.folder.path.with_name("moved")
    training.folder.path.rename(moved)
    end = listener.wait_for_end()
    assert end.reason == FAILED
    assert "was deleted or moved while the run was written" in end.message
    assert not training.folder.path.exists()
    # What was saved before is whole, and its record tells how it ended.
    assert EVENTS.decode((moved / "events.jsonl").read_bytes().splitlines()[-1]) == end


def test_a_folder_that_is_deleted_after_the_last_step_is_noticed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete(store: CheckpointStore, *_: object) -> None:
        shutil.rmtree(store.folder.parent)
        raise NO_SPACE

    monkeypatch.setattr(lock, "LOOK_SECONDS", 1000.0)
    monkeypatch.setattr(CheckpointStore, "write", delete)
    training = session.train(config(epochs=1))
    end = Listener(training).wait_for_end()
    assert (end.reason, "was deleted or moved" in end.message) == (FAILED, True)
    assert training.folder is not None and not training.folder.path.exists()


def test_a_run_that_is_refused_leaves_no_folder(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NO_SPACE

    for module, name in ((run_record, "atomic_write"), (lock, "try_lock")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, refuse)
            training = session.train(config())
            assert training.wait(60) and isinstance(training.error, UserError)
            assert "No space left on device" in str(training.error)
        assert list(session.runs_dir.iterdir()) == []


def test_a_resume_that_is_refused_leaves_the_run_as_it_was(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train(session, config(epochs=1))

    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}

    def refuse(*_: object) -> None:
        raise NO_SPACE

    before = contents()
    monkeypatch.setattr(run_record, "atomic_write", refuse)
    training = session.resume(folder, config(epochs=2))
    assert training.wait(60) and isinstance(training.error, UserError)
    assert contents() == before


def test_a_run_whose_end_could_not_be_recorded_is_not_a_success(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = log._write_all

    def failing(descriptor: int, line: bytes) -> None:
        if line.startswith(b'{"is":"RunEnded"'):
            raise NO_SPACE
        write(descriptor, line)

    monkeypatch.setattr(log, "_write_all", failing)
    training = session.train(config(epochs=1))
    listener = Listener(training)
    assert listener.wait_for_end().reason == FINISHED
    assert training.wait(60)
    assert str(training.error).startswith("the end of the run's record is lost (1 event)")


def test_an_evaluation_that_cannot_be_recorded_says_so(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train(session, config(epochs=1))
    before = folder.events.read_bytes()
    with RunLock.acquire(folder.path):
        (note,) = session.evaluate(folder, "val").result().notes
        assert note.startswith("not recorded in the run: the run") and "is in use" in note

    def full(*_: object) -> None:
        raise NO_SPACE

    monkeypatch.setattr(log, "_write_all", full)
    (note,) = session.evaluate(folder, "val").result().notes
    assert note.startswith("not recorded in the run:") and "No space left on device" in note
    assert folder.events.read_bytes() == before


def test_a_run_without_a_training_leaves_nothing_unless_it_begins(tmp_path: Path) -> None:
    def refuse() -> None:
        raise UserError("no space")

    folder = RunFolder.create(tmp_path, "ensemble", "sketches")
    with pytest.raises(UserError, match="no space"), run_record.record_run(folder, refuse):
        pass
    assert not folder.path.exists()


def test_a_run_without_a_training_fails_when_its_folder_is_deleted(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "ensemble", "sketches")
    event: Event = RunEnded(0.0, 1, 1, FINISHED, 1.0)
    with (
        pytest.raises(UserError, match="was deleted or moved"),
        run_record.record_run(folder, lambda: None) as emit,
    ):
        emit(event)
        shutil.rmtree(folder.path)
        emit(event)
    assert not folder.path.exists()
