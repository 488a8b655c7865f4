"""The session, used like a screen uses it: commands in, events out, from other threads."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config.recipes import read_recipe
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.engine.run.run_record import evaluate_and_record
from fmnist_tui.engine.session import run_training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.commands import Detach, Pause, Resume, SetLearningRate
from fmnist_tui.protocol.events import (
    DETACHED,
    FAILED,
    FINISHED,
    STOPPED,
    Alert,
    Changed,
    Evaluated,
    RunStarted,
)
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import summarise_run
from fmnist_tui.runs.lock import RunLock, find_holder
from fmnist_tui.runs.log import send_command
from fmnist_tui.util.errors import UserError
from tests.engine.support import FOREVER, PATIENCE, Listener, config, wait_for_end


def test_a_session_is_created_without_importing_torch() -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from fmnist_tui.engine.session.session import Session;"
        "s = Session(Path('r'), Path('d')); assert s.training is None; s.close();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_finished_run_leaves_a_complete_folder(session: Session) -> None:
    training = session.train(config(epochs=2))
    listener = Listener(training)
    assert listener.wait_for_end().reason == FINISHED
    folder = training.folder
    assert folder is not None
    state = replay(folder.events)
    assert state.end_reason == FINISHED and state.epochs_done == 2
    assert isinstance(listener.events[0], RunStarted)
    verdicts = {event.split: event for event in listener.events if isinstance(event, Evaluated)}
    assert set(verdicts) == {"val", "test"}
    predictions = Predictions.load(folder.predictions / "test.npz")
    assert predictions.evaluation().accuracy == verdicts["test"].accuracy
    assert predictions.evaluation().confusion == verdicts["test"].confusion
    assert read_recipe(folder.config).config() == training.config
    assert find_holder(folder.path) is None


def test_images_that_an_epoch_leaves_out_are_said_at_the_start(session: Session) -> None:
    for size, notes in (
        (48, ["each epoch trains on 48 of 64 images, drawn anew: batches of 48"]),
        (32, []),
    ):
        _, listener = wait_for_end(session, session.train(config(batch_size=size)))
        assert listener.notes == notes


def test_a_few_images_that_an_epoch_leaves_out_are_not_worth_a_note(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_training, "FEW_IMAGES", 0.25)
    _, listener = wait_for_end(session, session.train(config(epochs=1, batch_size=48)))
    assert listener.notes == []


def test_the_events_on_disk_are_those_emitted(session: Session) -> None:
    from fmnist_tui.runs.jsonl_reader import EventReader

    training = session.train(config(epochs=2))
    listener = Listener(training)
    listener.wait_for_end()
    assert training.folder is not None
    assert EventReader(training.folder.events).read() == listener.events


def test_a_second_training_is_refused_until_the_first_has_ended(session: Session) -> None:
    first = session.train(config(epochs=FOREVER))
    with pytest.raises(UserError, match="a training is running"):
        session.train(config())
    first.stop("enough")
    ended = Listener(first).wait_for_end()
    assert (ended.reason, ended.message) == (STOPPED, "enough")
    deadline = time.monotonic() + PATIENCE
    while session.training is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert Listener(session.train(config(epochs=1))).wait_for_end().reason == FINISHED


def test_commands_from_another_thread_are_obeyed(session: Session) -> None:
    training = session.train(config(epochs=FOREVER))
    listener = Listener(training)
    listener.wait_for(RunStarted)
    sender = threading.Thread(target=training.send, args=(SetLearningRate(0.0, 0.005),))
    sender.start()
    sender.join()
    listener.wait_for(Changed, what="lr", value="0.005")
    training.send(Pause(0.0))
    listener.wait_for(Changed, what="paused", value="true")
    training.send(Resume(0.0))
    listener.wait_for(Changed, what="paused", value="false")
    training.stop()
    assert listener.wait_for_end().reason == STOPPED


def test_commands_from_another_process_arrive_through_the_run_folder(session: Session) -> None:
    training = session.train(config(epochs=FOREVER))
    listener = Listener(training)
    listener.wait_for(RunStarted)
    assert training.folder is not None
    send_command(training.folder, SetLearningRate(0.0, 0.004))
    listener.wait_for(Changed, what="lr", value="0.004")
    training.stop()
    listener.wait_for_end()


def test_small_jobs_run_during_a_training(session: Session, tmp_path: Path) -> None:
    done = session.train(config(epochs=2))
    Listener(done).wait_for_end()
    assert done.folder is not None
    image_file = tmp_path / "garment.png"
    Image.fromarray(np.full((50, 50), 200, np.uint8)).save(image_file)
    running = session.train(config(epochs=FOREVER))
    listener = Listener(running)
    listener.wait_for(RunStarted)
    answer = session.predict(done.folder.path, [image_file, tmp_path / "none.png"]).result(PATIENCE)
    assert sum(share for _, share in answer[0].ranked) == pytest.approx(1.0)
    assert "none.png" in answer[1].error
    verdict = session.evaluate(done.folder, "val").result(PATIENCE)
    assert verdict.evaluation.count == 16
    assert not running.is_done
    running.stop()
    assert listener.wait_for_end().reason == STOPPED


def test_a_small_job_changes_no_bit_of_the_training(session: Session, tmp_path: Path) -> None:
    from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
    from tests.engine.support import digest

    def train(disturbed: bool) -> str:
        training = session.train(config(epochs=30, model="custom-cnn", width=0.1, dropout=0.3))
        while disturbed and not training.is_done:
            if previous is not None:
                session.evaluate(previous, "test").result(PATIENCE)
        Listener(training).wait_for_end()
        assert training.folder is not None
        folders.append(training.folder)
        return digest(CheckpointStore(training.folder.checkpoints).load("last")[0]["model"])

    folders: list[RunFolder] = []
    previous: RunFolder | None = None
    quiet = train(False)
    previous = folders[0]
    assert train(True) == quiet


def test_a_failing_job_raises_for_its_caller_only(session: Session) -> None:
    def broken(jobs: object) -> None:
        raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError):
        session.submit(broken).result(PATIENCE)
    assert Listener(session.train(config(epochs=1))).wait_for_end().reason == FINISHED


def test_a_job_fails_instead_of_hanging_if_its_module_cannot_be_imported(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "fmnist_tui.engine.session.small_jobs", None)
        with pytest.raises(ImportError):
            session.submit(lambda _: None).result(PATIENCE)
    assert Listener(session.train(config(epochs=1))).wait_for_end().reason == FINISHED


def test_closing_stops_a_training_saves_it_and_joins_the_thread(session: Session) -> None:
    training = session.train(config(epochs=FOREVER))
    listener = Listener(training)
    listener.wait_for(RunStarted)
    assert session.close(PATIENCE)
    assert listener.wait_for_end().reason == STOPPED
    assert training.folder is not None
    assert list(training.folder.checkpoints.glob("last-*.pt"))
    assert not [thread for thread in threading.enumerate() if thread.name == "engine"]
    with pytest.raises(UserError, match="closed"):
        session.train(config())


def test_jobs_waiting_when_the_session_closes_are_refused(session: Session) -> None:
    started = threading.Event()

    def slow(jobs: object) -> None:
        started.set()
        time.sleep(0.2)

    session.submit(slow)
    started.wait(PATIENCE)
    waiting = session.submit(lambda jobs: jobs.predict(Path("x"), [], "cpu"))
    closer = threading.Thread(target=session.close)
    closer.start()
    with pytest.raises(UserError):
        waiting.result(PATIENCE)
    closer.join()


def test_a_process_that_does_not_close_its_session_still_saves_and_ends(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from fmnist_tui.engine.session.session import Session
from tests.engine.support import FOREVER, PATIENCE, Listener, blobs, config
import fmnist_tui.engine.session.run_training as job
job.load_dataset_for = lambda *a, **k: blobs(64)
training = Session(Path({str(tmp_path)!r}), Path("d")).train(config(epochs={FOREVER}))
while training.folder is None or not training.events:
    time.sleep(0.05)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    folder = next(path for path in tmp_path.iterdir() if path.is_dir())
    assert replay(folder / "events.jsonl").end_reason == STOPPED


def test_several_devices_are_refused_with_the_command_for_them(session: Session) -> None:
    training = session.train(config(devices=2))
    assert training.wait(PATIENCE)
    assert "`fmnist-tui train`, or Train in the dashboard" in str(training.error)
    assert not session.runs_dir.exists()


def test_a_dataset_that_cannot_be_loaded_leaves_no_run_folder(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UserError("no data, sorry")

    monkeypatch.setattr(run_training, "load_dataset_for", fail)
    training = session.train(config())
    assert training.wait(PATIENCE)
    assert isinstance(training.error, UserError)
    assert training.folder is None
    assert not (tmp_path / "runs").exists()


def test_a_bug_in_training_fails_the_run_and_saves_a_traceback(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("fmnist_tui.engine.training.trainer.Trainer.run", broken)
    training = session.train(config())
    ended = Listener(training).wait_for_end()
    assert ended.reason == FAILED and "surprise" in ended.message
    assert training.folder is not None
    assert "surprise" in (training.folder.path / "traceback.txt").read_text()


def test_running_out_of_memory_suggests_a_batch_size(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(self: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("fmnist_tui.engine.training.trainer.Trainer.run", full)
    ended = Listener(session.train(config(batch_size=64))).wait_for_end()
    assert ended.reason == FAILED and "batch_size = 32" in ended.message


def test_a_stopped_run_is_resumed_in_its_folder_and_finished(session: Session) -> None:
    first = session.train(config(epochs=40))
    listener = Listener(first)
    listener.wait_for(RunStarted)
    first.stop()
    ended = listener.wait_for_end()
    assert first.folder is not None
    while session.training is not None:
        time.sleep(0.01)
    again = session.resume(first.folder, read_recipe(first.folder.config).config())
    listener = Listener(again)
    finished = listener.wait_for_end()
    assert finished.reason == FINISHED
    started = next(event for event in listener.events if isinstance(event, RunStarted))
    assert started.step == ended.step
    assert again.folder == first.folder
    state = replay(first.folder.events)
    assert (state.end_reason, state.epochs_done) == (FINISHED, 40)
    # Both sessions count, in the record, in the list of runs and in the checkpoint.
    session_seconds = ended.seconds + finished.seconds
    assert started.run_seconds == pytest.approx(ended.seconds, abs=0.5)
    summary = summarise_run(first.folder)
    assert state.seconds == summary.seconds == pytest.approx(session_seconds, abs=1e-6)
    payload, _, _ = CheckpointStore(first.folder.checkpoints).load("last")
    assert state.train_seconds == summary.train_seconds == payload["seconds"]
    assert started.warm_seconds == ended.warm_seconds
    assert state.warm_seconds == summary.warm_seconds == finished.warm_seconds
    assert (started.warm_seconds or 0) < (state.warm_seconds or 0) < state.seconds


@pytest.mark.parametrize("settings", [{}, {"epochs": 50, "lr": 1e-30, "patience": 1}])
def test_a_run_detached_during_its_evaluation_is_evaluated_when_it_is_resumed(
    session: Session, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    def evaluate(*args: Any) -> None:
        assert session.training is not None
        session.training.send(Pause(0.0))
        session.training.send(Detach(0.0))
        evaluate_and_record(*args)

    with monkeypatch.context() as patch:
        patch.setattr(run_training, "evaluate_and_record", evaluate)
        first = session.train(config(**settings))
        listener = Listener(first)
        ended = listener.wait_for_end()
    assert ended.reason == DETACHED
    assert ended.epoch == 2
    warnings = [event.message for event in listener.events if isinstance(event, Alert)]
    assert "ignored the command Pause: the training is over" in warnings
    assert first.folder is not None
    listener = Listener(session.resume(first.folder, first.config))
    resumed = listener.wait_for_end()
    assert (resumed.reason, resumed.step) == (FINISHED, ended.step)
    verdicts = {event.split for event in listener.events if isinstance(event, Evaluated)}
    assert verdicts == {"val", "test"}


def test_a_detach_after_the_last_evaluated_image_is_not_ignored_silently(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(*args: Any) -> None:
        evaluate_and_record(*args)
        assert session.training is not None
        if args[1] is session.training.dataset.test:  # type: ignore[union-attr]
            session.training.send(Detach(0.0))

    with monkeypatch.context() as patch:
        patch.setattr(run_training, "evaluate_and_record", evaluate)
        listener = Listener(session.train(config()))
        assert listener.wait_for_end().reason == FINISHED
    notes = [event.message for event in listener.events if isinstance(event, Alert)]
    assert "ignored the command Detach: the run has finished" in notes


@pytest.mark.parametrize("epochs", [50, 60])
def test_a_run_that_patience_ended_trains_on_when_it_is_resumed(
    session: Session, epochs: int
) -> None:
    first = session.train(config(epochs=50, lr=1e-30, patience=1))
    ended = Listener(first).wait_for_end()
    assert (ended.reason, ended.epoch) == (FINISHED, 2)
    assert first.folder is not None
    resumed = session.resume(first.folder, first.config.changed(epochs=epochs))
    assert Listener(resumed).wait_for_end().epoch == 3


def test_a_run_that_another_process_trains_cannot_be_resumed(session: Session) -> None:
    first = session.train(config(epochs=1))
    Listener(first).wait_for_end()
    assert first.folder is not None
    while session.training is not None:
        time.sleep(0.01)
    with RunLock.acquire(first.folder.path):
        again = session.resume(first.folder, first.config.changed(epochs=2))
        assert again.wait(PATIENCE)
        assert isinstance(again.error, UserError)
        assert "in use" in str(again.error)


def test_a_damaged_last_checkpoint_is_reported_and_the_previous_used(session: Session) -> None:
    first = session.train(config(epochs=FOREVER, checkpoint_seconds=0.05))
    listener = Listener(first)
    listener.wait_for(RunStarted)
    time.sleep(0.5)
    first.stop()
    listener.wait_for_end()
    assert first.folder is not None
    newest = sorted(first.folder.checkpoints.glob("last-*.pt"))[-1]
    newest.write_bytes(b"PK" + newest.read_bytes()[2:-1])
    while session.training is not None:
        time.sleep(0.01)
    epochs = 1 + listener.wait_for_end().epoch
    again = session.resume(first.folder, first.config.changed(epochs=epochs))
    listener = Listener(again)
    listener.wait_for_end()
    alerts = [event.message for event in listener.events if isinstance(event, Alert)]
    assert any(newest.name in message for message in alerts)


def test_another_run_can_start_as_soon_as_one_has_ended(session: Session) -> None:
    for _ in range(5):
        training = session.train(config(epochs=1))
        assert training.wait(PATIENCE)
        assert session.training is None
