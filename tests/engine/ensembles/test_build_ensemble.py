"""Building ensembles: predictions, run folder, and refused members."""

from __future__ import annotations

import shutil
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fmnist_tui.analysis.metrics import softmax
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config import recipes
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, CheckpointStore
from fmnist_tui.engine.ensembles.build_ensemble import build_ensemble
from fmnist_tui.engine.inference.classifier import MAX_MEMBERS, ModelInfo
from fmnist_tui.engine.run.training_handle import Cancelled
from fmnist_tui.engine.session import run_training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import (
    ENSEMBLE,
    FAILED,
    FINISHED,
    STOPPED,
    Alert,
    CheckpointSaved,
    Evaluated,
    Event,
    RunEnded,
    RunStarted,
)
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.runs.listing import list_runs, summarise_run
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text
from tests.engine import support
from tests.engine.support import PATIENCE, blobs, config

Floats = npt.NDArray[np.floating]


def train(session: Session, **values: Any) -> RunFolder:
    return support.train(session, config(**values))


def build(session: Session, *members: RunFolder, **options: Any) -> RunFolder:
    return session.build_ensemble(members, **options).result(PATIENCE)


def probabilities(folder: RunFolder, split: str) -> Floats:
    return softmax(Predictions.load(folder.predictions / f"{split}.npz").logits)


def events_of(folder: RunFolder) -> list[Event]:
    return EventReader(folder.events).read()


def start_of(folder: RunFolder) -> RunStarted:
    first = events_of(folder)[0]
    assert isinstance(first, RunStarted)
    return first


@pytest.fixture
def two_runs(session: Session) -> tuple[RunFolder, RunFolder]:
    """Two runs with different predictions."""
    return train(session, epochs=1), train(session, epochs=1, seed=1, model="one-conv")


def test_the_probabilities_of_the_members_are_averaged(
    session: Session, two_runs: tuple[RunFolder, RunFolder]
) -> None:
    folder = build(session, *two_runs)
    for split in ("val", "test"):
        expected = np.mean([probabilities(member, split) for member in two_runs], axis=0)
        assert probabilities(folder, split) == pytest.approx(expected, abs=1e-6)
    assert not np.allclose(
        probabilities(two_runs[0], "test"), probabilities(two_runs[1], "test"), atol=1e-3
    )


def test_the_record_describes_the_ensemble_and_ends_once(
    session: Session, two_runs: tuple[RunFolder, RunFolder]
) -> None:
    folder = build(session, *two_runs, recipe="both-of-them")
    events, started = events_of(folder), start_of(folder)
    assert (started.kind, started.model) == (ENSEMBLE, "ensemble of 2")
    assert started.parameters == sum(start_of(member).parameters for member in two_runs)
    assert [e.split for e in events if isinstance(e, Evaluated)] == ["val", "test"]
    ends = [e for e in events if isinstance(e, RunEnded)]
    assert [end.reason for end in ends] == [FINISHED] and events[-1] is ends[0]
    notes = [e.message for e in events if isinstance(e, Alert)]
    for number, member in enumerate(two_runs, 1):
        val = summarise_run(member).best_val_accuracy
        assert val is not None
        assert f"member {number}: {member.name}" in notes[number - 1]
        assert f"val {100 * val:.2f} %" in notes[number - 1]
    summary = summarise_run(folder)
    accuracies = {e.split: e.accuracy for e in events if isinstance(e, Evaluated)}
    assert (summary.best_val_accuracy, summary.test_accuracy) == tuple(accuracies.values())
    assert summary.recipe == "both-of-them"


def test_the_config_lists_members_with_their_hashes(
    session: Session, two_runs: tuple[RunFolder, RunFolder]
) -> None:
    table = tomllib.loads(build(session, *two_runs).config.read_text())
    for number, member in enumerate(two_runs, 1):
        manifest = CheckpointStore(member.checkpoints).manifests("best")[0]
        line = table["made_with"][f"member_{number}"]
        assert line == f"{member.name} {manifest.file} {manifest.sha256}"
    assert table["run"]["recipe"] == "ensemble" and table["run"]["model"] == "linear"


def test_members_with_one_model_are_counted_in_the_name(session: Session) -> None:
    members = [train(session, epochs=1, seed=seed) for seed in range(3)]
    assert start_of(build(session, *members)).model == "3 × linear"


def test_an_ensemble_works_without_its_members_runs(
    session: Session, two_runs: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    folder = build(session, *two_runs)
    before = probabilities(folder, "val")
    for member in two_runs:
        shutil.rmtree(member.path)
    (folder.predictions / "val.npz").unlink()
    evaluation = session.evaluate(folder, "val").result(PATIENCE)
    assert softmax(evaluation.predictions.logits) == pytest.approx(before, abs=1e-6)
    assert len(session.evaluate(folder, "train").result(PATIENCE).predictions.labels) == 64
    drawing = np.full((28, 28), 9, np.uint8)
    prediction = session.classify(folder.path, drawing).result(PATIENCE)
    assert sum(share for _, share in prediction.ranked) == pytest.approx(1, abs=1e-5)
    # As an untrusted file it is the same classifier.
    file = tmp_path / "ensemble.pt"
    file.write_bytes(next(folder.checkpoints.glob("best-*.pt")).read_bytes())
    assert session.classify(file, drawing).result(PATIENCE).ranked == prediction.ranked


def test_each_member_uses_its_own_normalisation(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(session, epochs=1)
    dim_dataset = blobs(64)
    dim_dataset.train.images[:] = dim_dataset.train.images // 2
    monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: dim_dataset)
    dim_run = train(session, epochs=1)
    folder = build(session, first, dim_run)
    expected = np.mean([probabilities(member, "test") for member in (first, dim_run)], axis=0)
    assert probabilities(folder, "test") == pytest.approx(expected, abs=1e-6)


def test_test_time_augmentation_applies_to_the_whole_ensemble(
    session: Session, two_runs: tuple[RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = build(session, *two_runs)
    mirrored = blobs(64)
    for split in (mirrored.val, mirrored.test):
        split.images[:] = split.images[:, :, ::-1].copy()
    views = build(session, *two_runs, tta="flip")
    monkeypatch.setattr(
        "fmnist_tui.engine.session.small_jobs.load_dataset_for", lambda *_, **__: mirrored
    )
    other = build(session, *two_runs)
    expected = (probabilities(plain, "test") + probabilities(other, "test")) / 2
    assert probabilities(views, "test") == pytest.approx(expected, abs=1e-6)
    warned = [e.message for e in events_of(views) if isinstance(e, Alert) and e.level == "warning"]
    assert len(warned) == 1 and "trained with flip" in warned[0]
    assert not [e for e in events_of(plain) if isinstance(e, Alert) and e.level == "warning"]


# -- refused members ---------------------------------------------------------------------


def refusal(session: Session, *members: RunFolder, **options: Any) -> str:
    """The message of a refused ensemble, which leaves no run folder."""
    before = {run.run for run in list_runs(session.runs_dir)}
    with pytest.raises(UserError) as caught:
        build(session, *members, **options)
    assert {run.run for run in list_runs(session.runs_dir)} == before
    line = str(caught.value)
    assert "\n" not in line and line == safe_text(line)
    return line


def test_members_must_have_the_same_classes(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(session, epochs=1)
    monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: blobs(64, classes=3))
    other = train(session, epochs=1)
    line = refusal(session, first, other)
    assert first.name in line and other.name in line and "different classes" in line


def test_members_must_have_the_same_image_size(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(session, epochs=1)
    monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: blobs(64, size=32))
    line = refusal(session, first, train(session, epochs=1))
    assert "28×28×1 / 32×32×1" in line


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"dataset": "fashion"}, "different datasets (sketches / fashion)"),
        ({"split_seed": 1}, "split_seed 0 / 1"),
        ({"val_fraction": 0.25}, "trained on validation images of the other"),
    ],
)
def test_members_must_have_the_same_dataset_and_validation_split(
    session: Session, other: dict[str, Any], why: str
) -> None:
    line = refusal(session, train(session, epochs=1), train(session, epochs=1, **other))
    assert why in line


def test_two_spellings_of_a_path_are_the_same_dataset(session: Session, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    names = (f"folder:{tmp_path}/set", f"folder:{tmp_path}/runs/../set")
    folder = build(session, *(train(session, epochs=1, dataset=name) for name in names))
    assert summarise_run(folder).state == FINISHED


def test_one_run_or_a_repeated_run_is_refused(session: Session) -> None:
    run = train(session, epochs=1)
    assert "2 to 64 members" in refusal(session, run)
    assert "named twice" in refusal(session, run, RunFolder(run.path / ".." / run.name))


def test_an_ensemble_cannot_be_a_member(
    session: Session, two_runs: tuple[RunFolder, RunFolder]
) -> None:
    folder = build(session, *two_runs)
    assert "an ensemble itself" in refusal(session, folder, two_runs[0])


def test_a_run_without_a_checkpoint_cannot_be_a_member(session: Session) -> None:
    run, empty = train(session, epochs=1), train(session, epochs=1)
    shutil.rmtree(empty.checkpoints)
    line = refusal(session, run, empty)
    assert empty.name in line and "no checkpoint" in line


def test_digits_are_not_mirrored(session: Session) -> None:
    members = [train(session, epochs=1, seed=seed, dataset="mnist") for seed in (0, 1)]
    assert "must not be mirrored" in refusal(session, *members, tta="flip")
    assert summarise_run(build(session, *members)).state == FINISHED


def test_a_member_evaluated_on_other_validation_images_is_refused(
    session: Session, two_runs: tuple[RunFolder, RunFolder]
) -> None:
    path = two_runs[1].predictions / "val.npz"
    predictions = Predictions.load(path)
    predictions.indices[0] += 1000
    predictions.save(path)
    assert "no longer has the validation images" in refusal(session, *two_runs)
    path.unlink()
    assert summarise_run(build(session, *two_runs)).state == FINISHED


def test_a_dataset_whose_classes_have_changed_is_refused(
    session: Session, two_runs: tuple[RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "fmnist_tui.engine.session.small_jobs.load_dataset_for",
        lambda *_, **__: blobs(64, classes=3),
    )
    assert "no longer has the classes" in refusal(session, *two_runs)


# -- refused operations and failures --------------------------------------


def test_an_ensemble_is_neither_resumed_nor_forked(
    session: Session, two_runs: tuple[RunFolder, RunFolder]
) -> None:
    folder = build(session, *two_runs)
    before = folder.events.read_bytes(), folder.config.read_bytes()
    starts: list[Callable[[], Any]] = [
        lambda: session.resume(folder, config()),
        lambda: session.fork(folder, "best", config()),
    ]
    for start, word in zip(starts, ("resumed", "forked"), strict=True):
        training = start()
        assert training.wait(PATIENCE)
        assert f"is an ensemble and cannot be {word}" in str(training.error)
        while session.training is not None:
            time.sleep(0.01)
    assert before == (folder.events.read_bytes(), folder.config.read_bytes())
    assert len(list_runs(session.runs_dir)) == 3


def test_a_full_disk_fails_the_run(
    session: Session, two_runs: tuple[RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CheckpointStore, "save", full)
    with pytest.raises(UserError, match="cannot be saved: No space left"):
        build(session, *two_runs)
    (ensemble,) = [run for run in list_runs(session.runs_dir) if run.kind == ENSEMBLE]
    ends = [e for e in events_of(ensemble.run) if isinstance(e, RunEnded)]
    assert [(end.reason, "No space left" in end.message) for end in ends] == [(FAILED, True)]


def test_a_cancelled_ensemble_ends_as_stopped(
    session: Session, two_runs: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    def on_tick() -> None:
        ensemble = [run for run in list_runs(session.runs_dir) if run.kind == ENSEMBLE]
        if ensemble and any(isinstance(e, CheckpointSaved) for e in events_of(ensemble[0].run)):
            raise Cancelled("requested")

    with pytest.raises(Cancelled):
        build_ensemble(session.runs_dir, lambda _: blobs(64), two_runs, on_tick=on_tick)
    (ensemble,) = [run for run in list_runs(session.runs_dir) if run.kind == ENSEMBLE]
    assert (ensemble.state, ensemble.reason) == (STOPPED, "requested")
    assert not list(ensemble.run.predictions.iterdir())


def test_a_closing_session_cancels_an_ensemble(
    session: Session, two_runs: tuple[RunFolder, RunFolder]
) -> None:
    def on_progress(done: float, total: float, what: str) -> None:
        if what.startswith("evaluating"):
            session._is_closing = True

    with pytest.raises(Cancelled):
        build(session, *two_runs, on_progress=on_progress)


def test_progress_is_reported_to_the_end(
    session: Session, two_runs: tuple[RunFolder, RunFolder]
) -> None:
    reports: list[tuple[float, ...]] = []
    build(session, *two_runs, on_progress=lambda done, total, what: reports.append((done, total)))
    assert list(reports[-1]) == [32, 32]
    assert all(done <= total or not total for done, total in reports)


# -- the about table of a checkpoint -----------------------------------------------------------


def about_table(count: int = 2) -> dict[str, Any]:
    dataset = blobs(16)
    member = ModelInfo.from_dataset(config(), dataset)
    return ModelInfo.for_ensemble((member,) * count, config()).to_dict()


def test_the_about_table_of_an_ensemble_is_read_back() -> None:
    about = ModelInfo.from_dict(about_table(3), "file")
    assert (about.model, len(about.members)) == ("3 × linear", 3)
    assert about.to_dict() == about_table(3)
    assert about.build().state_dict().keys() == {
        f"{number}.{name}" for number in range(3) for name in about.members[0].build().state_dict()
    }


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: table["members"][0].update(members=[about_table()]),
        lambda table: table.update(members=table["members"] * MAX_MEMBERS),
        lambda table: table.update(members={"0": table["members"][0]}),
        lambda table: table.update(members=[1, 2]),
        lambda table: table["members"][1].update(size=32),
        lambda table: table["members"][1]["facts"].update(classes=["a", "b"]),
    ],
)
def test_an_about_table_with_invalid_members_is_refused(
    damage: Callable[[dict[str, Any]], None],
) -> None:
    table = about_table()
    damage(table)
    with pytest.raises(CheckpointError, match="does not say which model"):
        ModelInfo.from_dict(table, "file")


def test_the_members_common_test_time_augmentation_is_the_default(
    session: Session,
) -> None:
    first = train(session, epochs=1, flip=True, tta="flip")
    second = train(session, epochs=1, seed=1, flip=True, tta="flip")
    different = train(session, epochs=1, seed=2, flip=True)

    def views(folder: RunFolder) -> str:
        return recipes.read_recipe(folder.config).config().tta

    assert views(build(session, first, second)) == "flip"
    assert views(build(session, first, second, tta="none")) == "none"
    mixed = build(session, first, different)
    assert views(mixed) == "none"
    notes = [event.message for event in events_of(mixed) if isinstance(event, Alert)]
    assert any("different test-time augmentation" in note for note in notes)


def test_an_ensemble_of_runs_that_left_the_test_split_unread_reads_it(session: Session) -> None:
    members = [train(session, epochs=1, seed=seed, test=False) for seed in range(2)]
    assert [evaluated_splits(member) for member in members] == [["val"], ["val"]]
    folder = build(session, *members)
    assert evaluated_splits(folder) == ["val", "test"]
    assert recipes.read_recipe(folder.config).config().test


def evaluated_splits(folder: RunFolder) -> list[str]:
    return [event.split for event in events_of(folder) if isinstance(event, Evaluated)]
