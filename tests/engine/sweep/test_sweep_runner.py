"""Sweeps: trials are ordinary trainings evaluated on validation only; failures are handled."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fmnist_tui.config.dataset_catalog import SPLITS
from fmnist_tui.data.fingerprint import Fingerprint, SplitFingerprint
from fmnist_tui.engine.inference import evaluate
from fmnist_tui.engine.run import run_record
from fmnist_tui.engine.session import run_training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.sweep.sweep_runner import SweepOutcome, SweepRunner, normalise
from fmnist_tui.protocol.commands import Pause, Resume, Stop
from fmnist_tui.protocol.events import Alert, RunEnded, RunStarted, TrialEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader, replay
from fmnist_tui.runs.listing import list_runs, summarise_run
from fmnist_tui.runs.log import append_line, send_command
from fmnist_tui.sweeps import remote_control, retry
from fmnist_tui.sweeps.snapshot import Snapshot, SnapshotReader
from fmnist_tui.sweeps.storage import StorageLocation, connect
from fmnist_tui.sweeps.study import ClaimedTrial, StudyLedger, end_lost_trial
from fmnist_tui.util.errors import UserError
from tests.engine.support import FOREVER, PATIENCE, blobs
from tests.unit.sweeps.support import join_study, journal_in, make_spec, optuna_trials

TINY = """
[run]
dataset = "sketches"
model = "linear"
epochs = 2
batch_size = 16
threads = 1
device = "cpu"
[sweep]
trials = 3
pruner = "none"
[space.lr]
low = 1e-3
high = 1e-1
log = true
"""
LONG = TINY.replace("epochs = 2", f"epochs = {FOREVER}")


class SweepHarness:
    """A sweep that can run in its own thread."""

    def __init__(
        self,
        session: Session,
        folder: Path,
        text: str,
        trials: int | None = None,
        group: Path | None = None,
    ) -> None:
        self.where: StorageLocation = journal_in(folder)
        self.ledger: StudyLedger = join_study(self.where, make_spec(text))
        self.run = RunFolder.create(session.runs_dir, "search", "sketches")
        self.messages: list[str] = []
        self.progress: list[tuple[float, float, str]] = []
        self.sweep = SweepRunner(
            session,
            self.ledger,
            self.run,
            limit=trials,
            group=group,
            on_progress=lambda *progress: self.progress.append(progress),
            on_message=self.messages.append,
        )
        self.outcome: SweepOutcome | None = None
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        self.outcome = self.sweep.run()

    def start(self) -> None:
        self._thread.start()

    def end(self) -> SweepOutcome:
        self._thread.join(PATIENCE)
        assert self.outcome is not None
        return self.outcome

    def read(self) -> Snapshot:
        return SnapshotReader().read(self.where, "search")

    def until(self, done: Callable[[Snapshot], bool]) -> Snapshot:
        until = time.monotonic() + PATIENCE
        while True:
            snapshot = self.read()
            if done(snapshot):
                return snapshot
            assert time.monotonic() < until, snapshot
            time.sleep(0.02)

    def until_epoch(self, number: int = 0) -> Snapshot:
        """Wait until a trial has reported an epoch."""
        return self.until(
            lambda snapshot: len(snapshot.trials) > number and snapshot.trials[number].epochs > 0
        )

    def until_state(self, number: int, state: str) -> Snapshot:
        return self.until(lambda snapshot: snapshot.trials[number].state == state)


def test_a_sweep_runs_its_trials_and_leaves_a_record(session: Session, tmp_path: Path) -> None:
    harness = SweepHarness(session, tmp_path, TINY)
    assert harness.sweep.run() == SweepOutcome("finished", "", 3)
    snapshot = harness.read()
    assert [trial.state for trial in snapshot.trials] == ["complete"] * 3
    events = EventReader(harness.run.events).read()
    started, *trials, ended = events
    assert isinstance(started, RunStarted) and (started.kind, started.epochs) == ("sweep", 3)
    assert isinstance(ended, RunEnded) and (ended.reason, ended.step) == ("finished", 3)
    ends = [event for event in trials if isinstance(event, TrialEnded)]
    assert [(end.trial, end.done, end.value) for end in ends] == [
        (trial.number, trial.number + 1, trial.value) for trial in snapshot.trials
    ]
    assert snapshot.best is not None and ends[-1].best == snapshot.best.value
    assert harness.progress[-1] == (3.0, 3.0, "trial 2 complete")
    assert len(harness.messages) == 3


def test_a_sweep_is_one_run_in_the_run_list(session: Session, tmp_path: Path) -> None:
    harness = SweepHarness(session, tmp_path, TINY)
    harness.sweep.run()
    (line,) = list_runs(session.runs_dir)
    best = harness.read().best
    assert best is not None
    assert (line.kind, line.epochs_done, line.epochs_total) == ("sweep", 3, 3)
    assert line.best_val_accuracy == best.value and line.test_accuracy is None


def test_a_trial_is_an_ordinary_run_that_never_reads_the_test_split(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[str] = []
    evaluate_split = evaluate.evaluate_split

    def record_split(classifier: object, split: object, *rest: object) -> object:
        evaluated.append(split.name)  # type: ignore[attr-defined]
        return evaluate_split(classifier, split, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(run_record, "evaluate_split", record_split)
    harness = SweepHarness(session, tmp_path, TINY)
    harness.sweep.run()
    assert evaluated == ["val"] * 3
    for trial in harness.read().trials:
        folder = RunFolder.open(Path(trial.run))
        state = replay(folder.events)
        assert folder.path.parent == harness.run.path / "trials"
        assert summarise_run(folder).kind == "train" and state.end_reason == "finished"
        assert state.best is not None and state.best.val_accuracy == trial.value
        assert state.evaluation("val") is not None and state.evaluation("test") is None
        assert [path.name for path in folder.predictions.iterdir()] == ["val.npz"]
        # Only the best checkpoint is evaluated; the last one is not needed.
        kinds = {path.name.partition("-")[0] for path in folder.checkpoints.iterdir()}
        assert kinds == {"best"}


def test_an_ordinary_run_still_reads_the_test_split(session: Session) -> None:
    training = session.train(make_spec(TINY).base)
    assert training.wait(PATIENCE) and training.folder is not None
    assert replay(training.folder.events).evaluation("test") is not None
    kinds = {path.name.partition("-")[0] for path in training.folder.checkpoints.iterdir()}
    assert kinds == {"best", "last"}


def test_the_pruner_ends_a_trial_early(session: Session, tmp_path: Path) -> None:
    harness = SweepHarness(
        session, tmp_path, LONG.replace('"none"', '"median"\nstartup = 0'), trials=1
    )
    for _ in range(3):
        claimed = harness.ledger.claim()
        for epoch in range(1, 40):
            harness.ledger.report(claimed, epoch, 1.01)
        harness.ledger.end(claimed, "complete", 1.01)
    assert harness.sweep.run().reason == "finished"
    trial = harness.read().trials[-1]
    assert trial.state == "pruned" and 0 < trial.epochs < FOREVER
    assert replay(RunFolder(Path(trial.run)).events).message == "pruned"


def test_a_killed_trial_ends_and_the_sweep_continues(session: Session, tmp_path: Path) -> None:
    harness = SweepHarness(session, tmp_path, LONG, trials=2)
    harness.start()
    for number in (0, 1):
        harness.until_epoch(number)
        remote_control.kill(SnapshotReader(), harness.where, "search", number)
        harness.until_state(number, "killed")
    assert harness.end() == SweepOutcome("finished", "", 2)


def test_a_stopped_sweep_requeues_its_trial(session: Session, tmp_path: Path) -> None:
    harness = SweepHarness(session, tmp_path, LONG)
    harness.start()
    snapshot = harness.until_epoch()
    harness.sweep.stop("Ctrl-C")
    assert harness.end() == SweepOutcome("stopped", "Ctrl-C", 0)
    after = harness.read()
    assert [trial.state for trial in after.trials] == ["stopped", "waiting"]
    assert after.trials[1].params == snapshot.trials[0].params
    assert replay(harness.run.events).message == "Ctrl-C"


def test_a_sweep_obeys_commands_in_its_folder(session: Session, tmp_path: Path) -> None:
    harness = SweepHarness(session, tmp_path, LONG)
    harness.start()
    harness.until_epoch()
    trial = RunFolder(Path(harness.read().trials[0].run))

    def paused(is_so: bool) -> None:
        until = time.monotonic() + PATIENCE
        while summarise_run(trial).state != ("paused" if is_so else "running"):
            assert time.monotonic() < until
            time.sleep(0.02)

    send_command(harness.run, Pause(time.time()))
    paused(True)
    send_command(harness.run, Resume(time.time()))
    paused(False)
    send_command(harness.run, Stop(time.time(), "requested in the run list"))
    assert harness.end() == SweepOutcome("stopped", "requested in the run list", 0)


def test_no_trial_starts_after_the_time_limit(session: Session, tmp_path: Path) -> None:
    text = TINY.replace("trials = 3", "trials = 3\ntimeout = 0.000001")
    assert SweepHarness(session, tmp_path, text).sweep.run() == SweepOutcome(
        "finished", "reached the time limit of 1e-06 s", 0
    )


def test_a_stop_request_ends_every_worker(session: Session, tmp_path: Path) -> None:
    harness = SweepHarness(session, tmp_path, LONG)
    harness.start()
    harness.until_epoch()
    assert remote_control.stop(SnapshotReader(), harness.where, "search") == 1
    assert harness.end().reason == "stopped"
    assert harness.read().trials[0].state == "stopped"


def test_a_trial_with_invalid_settings_fails_and_the_study_continues(
    session: Session, tmp_path: Path
) -> None:
    text = TINY.replace("trials = 3", 'sampler = "grid"').partition("[space.lr]")[0]
    text += "[space.mixup]\nchoices = [0.0, 0.2]\n[space.cutmix]\nchoices = [0.0, 0.2]\n"
    harness = SweepHarness(session, tmp_path, text)
    assert harness.sweep.run() == SweepOutcome("finished", "", 4)
    states = sorted(trial.state for trial in harness.read().trials)
    assert states == ["complete", "complete", "complete", "failed"]
    (failed,) = (trial for trial in harness.read().trials if trial.state == "failed")
    assert "cannot be used with mixup" in failed.why


def test_a_nan_loss_fails_only_its_trial(session: Session, tmp_path: Path) -> None:
    text = TINY.partition("[space.lr]")[0].replace("trials = 3", 'sampler = "grid"')
    text = text.replace('model = "linear"', 'model = "mlp"\nmomentum = 0.0\noptimizer = "sgd"')
    harness = SweepHarness(
        session,
        tmp_path,
        f"{text}[space.lr]\nchoices = [0.001, 100.0]\n[space.ema]\nchoices = [0.0]\n",
    )
    harness.sweep.run()
    trials = {trial.params["lr"]: trial for trial in harness.read().trials}
    assert trials[0.001].state == "complete"
    assert trials[100.0].state == "failed" and "stopped being a number" in trials[100.0].why


def test_three_equal_failures_at_the_start_end_the_sweep(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> object:
        raise UserError("the dataset fashion is not here and cannot be fetched (try 3)")

    monkeypatch.setattr(run_training, "load_dataset_for", missing)
    harness = SweepHarness(session, tmp_path, TINY.replace("trials = 3", "trials = 9"))
    outcome = harness.sweep.run()
    assert (outcome.reason, outcome.done) == ("failed", 3)
    assert outcome.message.startswith(
        "3 trials in a row failed for the same reason: the dataset fashion is not"
    )
    assert [trial.state for trial in harness.read().trials] == ["failed"] * 3


def test_a_gpu_that_has_failed_ends_the_sweep_and_costs_no_further_trial(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("fmnist_tui.engine.run.failures._failed", [])
    monkeypatch.setattr("fmnist_tui.engine.training.trainer.Trainer.run", fault)
    harness = SweepHarness(session, tmp_path, TINY.replace('device = "cpu"', 'device = "auto"'))
    outcome = harness.sweep.run()
    assert outcome.reason == "failed" and "start fmnist-tui again" in outcome.message
    assert [trial.state for trial in harness.read().trials] == ["failed"]


def test_a_dataset_that_becomes_available_lets_the_sweep_continue(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail_sometimes(*_: object, **__: object) -> object:
        calls.append(1)
        if len(calls) in (1, 2, 4, 5):
            raise UserError("the disk is asleep")
        return blobs(64)

    monkeypatch.setattr(run_training, "load_dataset_for", fail_sometimes)
    harness = SweepHarness(session, tmp_path, TINY.replace("trials = 3", "trials = 6"))
    assert harness.sweep.run() == SweepOutcome("finished", "", 6)
    states = [trial.state for trial in harness.read().trials]
    assert states == ["failed", "failed", "complete", "failed", "failed", "complete"]


def test_failures_that_differ_only_in_numbers_are_equal() -> None:
    near = "too little memory for batch_size = {}; try batch_size = {}"
    assert normalise(near.format(512, 256)) == normalise(near.format("1,024", 512))
    assert normalise(near.format(512, 256)) != normalise("the disk is full")


def test_a_full_disk_is_reported_once_and_the_study_updated_later(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.01)
    harness = SweepHarness(session, tmp_path, TINY, trials=1)
    full = threading.Event()
    refused: list[bytes] = []

    def write(path: Path, line: bytes, *, durable: bool = False) -> None:
        # The disk is full for a while during the trial.
        if b'"run"' in line:
            full.set()
        if full.is_set() and len(refused) < 8:
            refused.append(line)
            raise OSError(28, "No space left on device")
        append_line(path, line, durable=durable)

    monkeypatch.setattr("fmnist_tui.sweeps.journal.append_line", write)
    assert harness.sweep.run() == SweepOutcome("finished", "", 1)
    (trial,) = harness.read().trials
    assert (trial.state, trial.epochs) == ("complete", 2) and Path(trial.run).is_dir()
    events = EventReader(harness.run.events).read()
    alerts = [event for event in events if isinstance(event, Alert)]
    assert len(refused) == 8 and len(alerts) == 1
    assert "No space left on device" in alerts[0].message and alerts[0].level == "warning"


def test_a_storage_that_keeps_failing_ends_the_sweep(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(retry, "TIMEOUT_SECONDS", 0.2)
    harness = SweepHarness(session, tmp_path, TINY)
    harness.start()
    harness.until(lambda snapshot: snapshot.done >= 1)

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as context:
        context.setattr("fmnist_tui.sweeps.journal.append_line", fail)
        outcome = harness.end()
    assert outcome.reason == "failed" and "Input/output error" in outcome.message
    assert "\n" not in outcome.message
    assert replay(harness.run.events).end_reason == "failed"
    # Earlier trials are intact, and another worker can continue.
    assert harness.read().done >= 1


def test_a_trial_that_another_worker_has_ended_is_abandoned(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = SweepHarness(session, tmp_path, LONG, trials=1)
    harness.start()
    harness.until_epoch()
    other = join_study(harness.where, make_spec(LONG))
    monkeypatch.setattr(other, "_is_lost", lambda trial: True)
    assert other.recover() == [0]
    harness.until(
        lambda snapshot: snapshot.done + snapshot.running == 1 and len(snapshot.trials) == 2
    )
    harness.sweep.stop("enough")
    harness.end()
    states = [trial.state for trial in harness.read().trials]
    assert states[0] == "lost" and "ended by another process" in " ".join(harness.messages)


def test_fast_epochs_do_not_wait_for_a_slow_storage(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(path: Path, line: bytes, *, durable: bool = False) -> None:
        time.sleep(0.02)
        append_line(path, line, durable=durable)

    monkeypatch.setattr("fmnist_tui.sweeps.journal.append_line", slowly)
    harness = SweepHarness(session, tmp_path, LONG.replace(str(FOREVER), "1000"), trials=1)
    assert harness.sweep.run().reason == "finished"
    (trial,) = harness.read().trials
    # One that waited would have written the value of each epoch.
    assert trial.epochs == 1000 and 1 < len(trial.curve) < 1000


def test_small_jobs_run_during_a_trial(session: Session, tmp_path: Path) -> None:
    harness = SweepHarness(session, tmp_path, LONG)
    harness.start()
    harness.until_epoch()
    assert session.submit(lambda _: 42).result(PATIENCE) == 42
    harness.sweep.stop("enough")
    assert harness.end().reason == "stopped"


# -- several workers together -------------------------------------------------------------


def test_workers_share_the_number_of_trials_and_take_them_one_at_a_time(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = SweepHarness(session, tmp_path, TINY, trials=2, group=tmp_path)
    other = harness.ledger.claim("elsewhere", str(tmp_path))
    harness.ledger.end(other, "complete", 0.5)
    claim, locks = StudyLedger.claim, []

    def claim_under_lock(*args: str) -> ClaimedTrial:
        descriptor = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
        locks.append(descriptor)
        return claim(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(StudyLedger, "claim", claim_under_lock)
    assert harness.sweep.run() == SweepOutcome("finished", "", 1)
    assert len(harness.read().trials) == 2 and len(locks) == 1
    assert harness.progress[-1] == (1.0, 2.0, "trial 1 complete")


def test_a_worker_without_a_trial_waits_and_repeats_the_trial_of_one_that_died(
    session: Session, tmp_path: Path
) -> None:
    harness = SweepHarness(session, tmp_path, TINY, trials=1, group=tmp_path)
    harness.ledger.claim("elsewhere", str(tmp_path))
    harness.start()
    until = time.monotonic() + PATIENCE
    while not harness.progress:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert harness.progress == [(0.0, 1.0, "waiting for the other workers")]
    lost = optuna_trials(harness.where)[0]
    storage = connect(harness.where)
    end_lost_trial(harness.ledger.study, storage, harness.where, lost)
    assert harness.end() == SweepOutcome("finished", "", 1)
    snapshot = harness.read()
    assert [trial.state for trial in snapshot.trials] == ["lost", "complete"]
    assert snapshot.trials[1].retry_of == 0


def test_a_sweep_that_goes_on_with_other_images_says_so_once(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def have_images(digest: str) -> None:
        data = Fingerprint({name: SplitFingerprint(1, digest) for name in SPLITS})
        dataset = replace(blobs(64), fingerprint=data)
        monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: dataset)

    def run_one(digest: str, expected: Callable[[SweepHarness], bool]) -> list[str]:
        have_images(digest)
        harness = SweepHarness(session, tmp_path, LONG)
        harness.start()
        until = time.monotonic() + PATIENCE
        while not expected(harness):
            assert time.monotonic() < until
            time.sleep(0.02)
        harness.sweep.stop("enough")
        harness.end()
        return [line for line in harness.messages if "first trial" in line]

    assert run_one("first", lambda harness: "images" in harness.ledger.study.user_attrs) == []
    assert run_one("second", lambda harness: bool(harness.messages)) == [
        "sketches has changed since the first trial of this study: its trials are compared on"
        " other images"
    ]
