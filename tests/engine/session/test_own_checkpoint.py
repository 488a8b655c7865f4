"""Which checkpoint stands for a run: its own best, through kills, damage and full disks."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore, EncodedCheckpoint
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.training import resume
from fmnist_tui.engine.training.trainer import Trainer
from fmnist_tui.engine.training.training_end import TrainingEnd
from fmnist_tui.protocol.events import FAILED, FINISHED
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import summarise_run
from tests.engine.support import FOREVER, PATIENCE, config, digest, refusal, train, wait_for_end


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def newest_best(folder: RunFolder) -> Path:
    return max(folder.checkpoints.glob("best-*.pt"))


def fail_saves(
    monkeypatch: pytest.MonkeyPatch, error: Exception, fails: Callable[[str, int], bool]
) -> None:
    """Make saves raise `error` where `fails(kind, step)`."""
    write = CheckpointStore.write

    def failing(store: CheckpointStore, kind: str, encoded: EncodedCheckpoint) -> object:
        if fails(kind, encoded.step):
            raise error
        return write(store, kind, encoded)

    monkeypatch.setattr(CheckpointStore, "write", failing)


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def train_until_killed(session: Session, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run whose newest `last` is of step 4, with a best of that step and of steps 8 and 12."""
    folder = train(session, config(epochs=1))
    with monkeypatch.context() as patch:
        fail_saves(patch, KeyError("killed"), lambda kind, step: kind == "last" and step > 4)
        resumed = session.resume(folder, config(epochs=3))
        wait_for_end(session, resumed, FAILED)
    assert [m.step for m in CheckpointStore(folder.checkpoints).manifests("best")] == [12, 8, 4]
    return folder


def check_agreement(folder: RunFolder, step: int) -> RunState:
    """The events, the marks on the curves, the disk and the judged checkpoint name one best."""
    state = replay(folder.events)
    assert state.best is not None and state.best.step == step
    assert max(m.step for m in state.markers if m.what == "best") == step
    assert CheckpointStore(folder.checkpoints).manifests("best")[0].step == step
    payload = CheckpointStore(folder.checkpoints).load("last")[0]
    assert payload["best"]["step"] == step
    for split in ("val", "test"):
        evaluated = state.evaluation(split)
        assert evaluated is not None and evaluated.step == step
    return state


def test_the_best_of_an_abandoned_future_is_not_judged(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train_until_killed(session, monkeypatch)
    # With such a rate nothing gets better than it was at step 4.
    _, listener = wait_for_end(session, session.resume(folder, config(epochs=3, lr=1e-30)))
    check_agreement(folder, 4)
    assert any(
        note.startswith("best-0003.pt is deleted: the run goes on from step 4")
        for note in listener.notes
    )


def test_a_run_killed_before_its_last_is_resumed_to_the_same_best(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train_until_killed(session, monkeypatch)
    wait_for_end(session, session.resume(folder, config(epochs=3)))
    check_agreement(folder, 12)


def test_a_best_that_is_damaged_when_the_run_is_resumed_counts_no_longer(
    session: Session,
) -> None:
    folder = train(session, config(epochs=2))
    damage(newest_best(folder))
    resumed = session.resume(folder, config(epochs=3, lr=1e-30))
    _, listener = wait_for_end(session, resumed)
    assert any("best-0001.pt (step 4) serves instead" in note for note in listener.notes)
    assert "best-0002.pt is deleted: it cannot be used" in listener.notes
    # Epoch 3 repeats step 8, which is better than step 4.
    check_agreement(folder, 12)


def test_a_best_that_could_not_be_saved_is_not_the_best(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_saves(monkeypatch, no_space(), lambda kind, step: kind == "best" and step > 4)
    check_agreement(train(session, config(epochs=3)), 4)


def test_a_run_without_any_checkpoint_has_failed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_saves(monkeypatch, no_space(), lambda *_: True)
    folder, _ = wait_for_end(session, session.train(config()), FAILED)
    state = replay(folder.events)
    assert state.message == (
        "no checkpoint could be saved (No space left on device): nothing is left of this training"
    )
    assert state.epochs_done == 2 and state.best is None


def test_a_run_that_is_stopped_without_any_checkpoint_has_failed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_saves(monkeypatch, no_space(), lambda *_: True)
    training = session.train(config(epochs=FOREVER))
    training.stop()
    folder, _ = wait_for_end(session, training, FAILED)
    assert replay(folder.events).message.startswith("no checkpoint could be saved")


def test_a_damaged_best_is_named_and_replaces_no_figure(session: Session) -> None:
    folder = train(session, config(epochs=2))
    before, summary = replay(folder.events).evaluation("test"), summarise_run(folder)
    assert before is not None and before.checkpoint == "best"
    predictions = (folder.predictions / "test.npz").read_bytes()
    damage(newest_best(folder))
    result = session.evaluate(folder, "test").result(PATIENCE)
    assert result.checkpoint == "best-0001"
    # A line of a screen shows the beginning: what happened comes before where.
    assert result.notes[0].startswith("best-0002.pt: damaged")
    assert f"best-0001.pt (step 4) serves instead, in {folder.path}" in result.notes[0]
    state = replay(folder.events)
    assert state.evaluation("test") == before and summarise_run(folder) == summary
    assert state.record.evaluations["test", "best-0001"].step == 4
    assert (folder.predictions / "test.npz").read_bytes() == predictions
    saved = Predictions.load(folder.predictions / "test-best-0001.npz")
    assert (saved.checkpoint, saved.step, saved.epoch) == ("best-0001", 4, 1)


def test_an_older_checkpoint_has_figures_of_its_own(session: Session) -> None:
    folder = train(session, config(epochs=2))
    before = replay(folder.events).evaluation("test")
    for name, recorded in (("best-0001", "best-0001"), ("last", "last"), ("best-0002", "best")):
        assert session.evaluate(folder, "test", name).result(PATIENCE).checkpoint == recorded
    state = replay(folder.events)
    headline = state.evaluation("test")
    assert headline is not None and before is not None
    assert (headline.sha256, headline.accuracy) == (before.sha256, before.accuracy)
    assert state.record.readings["test"] == 4
    assert sorted(path.name for path in folder.predictions.iterdir()) == [
        "test-best-0001.npz",
        "test-last.npz",
        "test.npz",
        "val.npz",
    ]


def test_a_best_that_rots_before_the_end_is_said_and_gives_no_headline(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Trainer.run

    def rot(trainer: Trainer) -> TrainingEnd:
        end = run(trainer)
        damage(max(session.runs_dir.glob("*/checkpoints/best-*.pt")))
        return end

    monkeypatch.setattr(Trainer, "run", rot)
    folder, listener = wait_for_end(session, session.train(config(epochs=2)))
    assert any("best-0001.pt (step 4) serves instead" in note for note in listener.notes)
    state = replay(folder.events)
    assert state.evaluation("test") is None
    assert state.record.evaluations["test", "best-0001"].step == 4


def test_a_best_with_a_damaged_manifest_is_not_passed_over_for_the_last(session: Session) -> None:
    folder = train(session, config(epochs=1))
    damage(folder.checkpoints / "best-0001.json")
    with pytest.raises(Exception, match=r"no usable best checkpoint.*manifest is damaged"):
        session.evaluate(folder, "test").result(PATIENCE)


@pytest.mark.parametrize(
    ("epochs", "why"),
    [(1, "has already trained 2 epochs: epochs = 1 cannot undo that"), (2, "is finished")],
)
def test_a_finished_run_is_not_resumed_to_its_own_length_or_less(
    session: Session, epochs: int, why: str
) -> None:
    folder = train(session, config(epochs=2))
    before = {path: path.read_bytes() for path in (folder.config, folder.events)}
    assert why in refusal(session, lambda: session.resume(folder, config(epochs=epochs)))
    assert {path: path.read_bytes() for path in before} == before


def test_a_resumed_run_records_that_it_reads_the_test_split_again(session: Session) -> None:
    folder = train(session, config(epochs=1))
    _, listener = wait_for_end(session, session.resume(folder, config(epochs=2)))
    assert "the test split is read again: reading 2" in listener.notes
    state = check_agreement(folder, 8)
    assert state.record.readings["test"] == 2
    assert state.record.evaluations["test", "best-0001"].step == 4
    assert state.end_reason == FINISHED


def test_a_resumed_run_records_its_changed_settings_and_repeats_no_note(session: Session) -> None:
    folder = train(session, config(epochs=1, batch_size=48))
    _, listener = wait_for_end(
        session, session.resume(folder, config(epochs=2, batch_size=48, lr=0.5))
    )
    changes = "epochs 2 instead of 1, lr 0.5 instead of "
    assert any(note.startswith(f"resumed with {changes}") for note in listener.notes)
    state = replay(folder.events)
    assert any(mark.what == "resumed" and mark.text.startswith(changes) for mark in state.markers)
    messages = [alert.message for alert in state.alerts]
    assert len([each for each in messages if each.startswith("each epoch trains on")]) == 1


def test_a_run_without_any_checkpoint_left_is_not_marked_failed_by_a_resume(
    session: Session,
) -> None:
    folder = train(session, config(epochs=1))
    for kind in ("last", "best"):
        CheckpointStore(folder.checkpoints).delete(kind)
    before = folder.events.read_bytes()
    assert "no last checkpoint" in refusal(
        session, lambda: session.resume(folder, config(epochs=2))
    )
    assert folder.events.read_bytes() == before


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_run_without_a_usable_last_is_resumed_from_its_best_and_says_so(
    session: Session, is_damaged: bool
) -> None:
    folder = train(session, config(epochs=2, ema=0.9))
    if is_damaged:
        for path in folder.checkpoints.glob("last-*.pt"):
            damage(path)
    else:
        CheckpointStore(folder.checkpoints).delete("last")
    why = "no usable last checkpoint: " if is_damaged else "there is no last checkpoint"
    step = CheckpointStore(folder.checkpoints).manifests("best")[0].step
    _, listener = wait_for_end(session, session.resume(folder, config(epochs=4, ema=0.9)))
    (note,) = [each for each in listener.notes if "goes on from best-" in each]
    assert f"(step {step}), with a new optimiser and so to other weights: {why}" in note
    state = replay(folder.events)
    assert (state.epochs_done, state.step, state.end_reason) == (4, 16, FINISHED)
    check_agreement(folder, state.best.step if state.best else 0)
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3, 4]


def test_a_run_that_was_killed_before_it_saved_anything_begins_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(session, config(epochs=2))
    with monkeypatch.context() as patch:
        fail_saves(patch, KeyError("killed"), lambda *_: True)
        folder, _ = wait_for_end(session, session.train(config(epochs=2)), FAILED)
    assert not list(folder.checkpoints.iterdir())
    _, listener = wait_for_end(session, session.resume(folder, config(epochs=2)))
    assert resume.BEGINS_AGAIN in listener.notes
    ours, theirs = (CheckpointStore(each.checkpoints).load("last")[0] for each in (folder, whole))
    assert digest(ours["model"]) == digest(theirs["model"])


def test_the_first_epoch_leaves_a_last_from_which_the_run_can_go_on(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(session, config(epochs=3))
    with monkeypatch.context() as patch:
        fail_saves(patch, KeyError("killed"), lambda kind, step: kind == "best" and step > 4)
        folder, _ = wait_for_end(session, session.train(config(epochs=3)), FAILED)
    assert [m.step for m in CheckpointStore(folder.checkpoints).manifests("last")] == [4]
    wait_for_end(session, session.resume(folder, config(epochs=3)))
    ours, theirs = (CheckpointStore(each.checkpoints).load("last")[0] for each in (folder, whole))
    assert digest(ours["model"]) == digest(theirs["model"])
