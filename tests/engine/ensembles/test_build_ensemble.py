"""Ensembles: what they say, what they leave, and which runs make none."""

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
from fmnist_tui.engine.run.inbox import Cancelled
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
from fmnist_tui.runs.listing import list_runs, summarise
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text
from tests.engine.support import PATIENCE, Listener, blobs, config

Floats = npt.NDArray[np.floating]


def trained(session: Session, **values: Any) -> RunFolder:
    training = session.train(config(**values))
    Listener(training).wait_for_end()
    assert training.folder is not None
    while session.training is not None:
        time.sleep(0.01)
    return training.folder


def united(session: Session, *members: RunFolder, **options: Any) -> RunFolder:
    return session.build_ensemble(members, **options).result(PATIENCE)


def shares(folder: RunFolder, split: str) -> Floats:
    return softmax(Predictions.load(folder.predictions / f"{split}.npz").logits)


def told(folder: RunFolder) -> list[Event]:
    return EventReader(folder.events).read()


def began(folder: RunFolder) -> RunStarted:
    first = told(folder)[0]
    assert isinstance(first, RunStarted)
    return first


@pytest.fixture
def two(session: Session) -> tuple[RunFolder, RunFolder]:
    """Two runs that say different things."""
    return trained(session, epochs=1), trained(session, epochs=1, seed=1, model="one-conv")


def test_the_probabilities_of_the_members_are_averaged(
    session: Session, two: tuple[RunFolder, RunFolder]
) -> None:
    folder = united(session, *two)
    for split in ("val", "test"):
        expected = np.mean([shares(member, split) for member in two], axis=0)
        assert shares(folder, split) == pytest.approx(expected, abs=1e-6)
    assert not np.allclose(shares(two[0], "test"), shares(two[1], "test"), atol=1e-3)


def test_the_record_says_what_it_is_and_ends_once(
    session: Session, two: tuple[RunFolder, RunFolder]
) -> None:
    folder = united(session, *two, recipe="both-of-them")
    events, started = told(folder), began(folder)
    assert (started.kind, started.model) == (ENSEMBLE, "ensemble of 2")
    assert started.parameters == sum(began(member).parameters for member in two)
    assert [e.split for e in events if isinstance(e, Evaluated)] == ["val", "test"]
    ends = [e for e in events if isinstance(e, RunEnded)]
    assert [end.reason for end in ends] == [FINISHED] and events[-1] is ends[0]
    notes = [e.message for e in events if isinstance(e, Alert)]
    for number, member in enumerate(two, 1):
        val = summarise(member).best_val_accuracy
        assert val is not None
        assert f"member {number}: {member.name}" in notes[number - 1]
        assert f"val {100 * val:.2f} %" in notes[number - 1]
    summary = summarise(folder)
    verdicts = {e.split: e.accuracy for e in events if isinstance(e, Evaluated)}
    assert (summary.best_val_accuracy, summary.test_accuracy) == tuple(verdicts.values())
    assert summary.recipe == "both-of-them"


def test_its_config_names_the_members_with_their_hashes(
    session: Session, two: tuple[RunFolder, RunFolder]
) -> None:
    table = tomllib.loads(united(session, *two).config.read_text())
    for number, member in enumerate(two, 1):
        manifest = CheckpointStore(member.checkpoints).manifests("best")[0]
        line = table["made_with"][f"member_{number}"]
        assert line == f"{member.name} {manifest.file} {manifest.sha256}"
    assert table["run"]["recipe"] == "ensemble" and table["run"]["model"] == "linear"


def test_members_of_one_kind_are_counted_in_its_name(session: Session) -> None:
    members = [trained(session, epochs=1, seed=seed) for seed in range(3)]
    assert began(united(session, *members)).model == "3 × linear"


def test_it_stands_by_itself_when_its_members_are_gone(
    session: Session, two: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    folder = united(session, *two)
    before = shares(folder, "val")
    for member in two:
        shutil.rmtree(member.path)
    (folder.predictions / "val.npz").unlink()
    verdict = session.evaluate(folder, "val").result(PATIENCE)
    assert softmax(verdict.predictions.logits) == pytest.approx(before, abs=1e-6)
    assert len(session.evaluate(folder, "train").result(PATIENCE).predictions.labels) == 64
    drawing = np.full((28, 28), 9, np.uint8)
    said = session.classify(folder.path, drawing).result(PATIENCE)
    assert sum(share for _, share in said.ranked) == pytest.approx(1, abs=1e-5)
    # As a file from elsewhere it is the same classifier.
    file = tmp_path / "ensemble.pt"
    file.write_bytes(next(folder.checkpoints.glob("best-*.pt")).read_bytes())
    assert session.classify(file, drawing).result(PATIENCE).ranked == said.ranked


def test_each_member_normalises_for_itself(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(session, epochs=1)
    whole = blobs(64)
    whole.train.images[:] = whole.train.images // 2
    monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: whole)
    dim = trained(session, epochs=1)
    folder = united(session, first, dim)
    expected = np.mean([shares(member, "test") for member in (first, dim)], axis=0)
    assert shares(folder, "test") == pytest.approx(expected, abs=1e-6)


def test_views_are_averaged_over_the_whole_ensemble(
    session: Session, two: tuple[RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = united(session, *two)
    mirrored = blobs(64)
    for split in (mirrored.val, mirrored.test):
        split.images[:] = split.images[:, :, ::-1].copy()
    views = united(session, *two, tta="flip")
    monkeypatch.setattr(
        "fmnist_tui.engine.session.small_jobs.load_dataset_for", lambda *_, **__: mirrored
    )
    session.submit(lambda workshop: workshop._datasets.clear()).result(PATIENCE)
    other = united(session, *two)
    expected = (shares(plain, "test") + shares(other, "test")) / 2
    assert shares(views, "test") == pytest.approx(expected, abs=1e-6)
    warned = [e.message for e in told(views) if isinstance(e, Alert) and e.level == "warning"]
    assert len(warned) == 1 and "trained with flip" in warned[0]
    assert not [e for e in told(plain) if isinstance(e, Alert) and e.level == "warning"]


# -- what makes none ---------------------------------------------------------------------


def refused(session: Session, *members: RunFolder, **options: Any) -> str:
    """The one line why not; no folder is left of it."""
    before = {run.run for run in list_runs(session.runs_dir)}
    with pytest.raises(UserError) as caught:
        united(session, *members, **options)
    assert {run.run for run in list_runs(session.runs_dir)} == before
    line = str(caught.value)
    assert "\n" not in line and line == safe_text(line)
    return line


def test_members_must_agree_on_classes(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained(session, epochs=1)
    monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: blobs(64, classes=3))
    other = trained(session, epochs=1)
    line = refused(session, first, other)
    assert first.name in line and other.name in line and "different classes" in line


def test_members_must_agree_on_the_size_of_pictures(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(session, epochs=1)
    monkeypatch.setattr(run_training, "load_dataset_for", lambda *_, **__: blobs(64, size=32))
    line = refused(session, first, trained(session, epochs=1))
    assert "28×28×1 / 32×32×1" in line


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"dataset": "fashion"}, "different datasets (sketches / fashion)"),
        ({"split_seed": 1}, "split_seed 0 / 1"),
        ({"val_fraction": 0.25}, "trained on validation images of the other"),
    ],
)
def test_members_must_agree_on_data_and_validation(
    session: Session, other: dict[str, Any], why: str
) -> None:
    line = refused(session, trained(session, epochs=1), trained(session, epochs=1, **other))
    assert why in line


def test_a_path_may_be_written_in_two_ways(session: Session, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    names = (f"folder:{tmp_path}/set", f"folder:{tmp_path}/runs/../set")
    folder = united(session, *(trained(session, epochs=1, dataset=name) for name in names))
    assert summarise(folder).state == FINISHED


def test_one_run_or_one_twice_makes_none(session: Session) -> None:
    run = trained(session, epochs=1)
    assert "2 to 64 members" in refused(session, run)
    assert "named twice" in refused(session, run, RunFolder(run.path / ".." / run.name))


def test_an_ensemble_is_no_member(session: Session, two: tuple[RunFolder, RunFolder]) -> None:
    folder = united(session, *two)
    assert "an ensemble itself" in refused(session, folder, two[0])


def test_a_run_without_a_checkpoint_is_no_member(session: Session) -> None:
    run, empty = trained(session, epochs=1), trained(session, epochs=1)
    shutil.rmtree(empty.checkpoints)
    line = refused(session, run, empty)
    assert empty.name in line and "no checkpoint" in line


def test_digits_are_not_mirrored(session: Session) -> None:
    members = [trained(session, epochs=1, seed=seed, dataset="mnist") for seed in (0, 1)]
    assert "must not be mirrored" in refused(session, *members, tta="flip")
    assert summarise(united(session, *members)).state == FINISHED


def test_a_member_that_was_validated_on_other_images_is_refused(
    session: Session, two: tuple[RunFolder, RunFolder]
) -> None:
    path = two[1].predictions / "val.npz"
    kept = Predictions.load(path)
    kept.indices[0] += 1000
    kept.save(path)
    assert "no longer has the validation images" in refused(session, *two)
    path.unlink()
    assert summarise(united(session, *two)).state == FINISHED


def test_data_that_have_other_classes_by_now_are_refused(
    session: Session, two: tuple[RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "fmnist_tui.engine.session.small_jobs.load_dataset_for",
        lambda *_, **__: blobs(64, classes=3),
    )
    assert "no longer has the classes" in refused(session, *two)


# -- what is not done with one, and what goes wrong --------------------------------------


def test_an_ensemble_is_neither_resumed_nor_forked(
    session: Session, two: tuple[RunFolder, RunFolder]
) -> None:
    folder = united(session, *two)
    before = folder.events.read_bytes(), folder.config.read_bytes()
    begin: list[Callable[[], Any]] = [
        lambda: session.resume(folder, config()),
        lambda: session.fork(folder, "best", config()),
    ]
    for asked, word in zip(begin, ("resumed", "forked"), strict=True):
        training = asked()
        assert training.wait(PATIENCE)
        assert f"is an ensemble and cannot be {word}" in str(training.error)
        while session.training is not None:
            time.sleep(0.01)
    assert before == (folder.events.read_bytes(), folder.config.read_bytes())
    assert len(list_runs(session.runs_dir)) == 3


def test_a_full_disk_ends_it_and_the_record_says_so(
    session: Session, two: tuple[RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CheckpointStore, "save", full)
    with pytest.raises(UserError, match="cannot be saved: No space left"):
        united(session, *two)
    (made,) = [run for run in list_runs(session.runs_dir) if run.kind == ENSEMBLE]
    ends = [e for e in told(made.run) if isinstance(e, RunEnded)]
    assert [(end.reason, "No space left" in end.message) for end in ends] == [(FAILED, True)]


def test_given_up_half_way_it_ends_as_stopped(
    session: Session, two: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    def on_tick() -> None:
        made = [run for run in list_runs(session.runs_dir) if run.kind == ENSEMBLE]
        if made and any(isinstance(e, CheckpointSaved) for e in told(made[0].run)):
            raise Cancelled("told to")

    with pytest.raises(Cancelled):
        build_ensemble(session.runs_dir, lambda _: blobs(64), two, on_tick=on_tick)
    (made,) = [run for run in list_runs(session.runs_dir) if run.kind == ENSEMBLE]
    assert (made.state, made.reason) == (STOPPED, "told to")
    assert not list(made.run.predictions.iterdir())


def test_a_session_that_closes_gives_an_ensemble_up(
    session: Session, two: tuple[RunFolder, RunFolder]
) -> None:
    def on_progress(done: float, total: float, what: str) -> None:
        if what.startswith("evaluating"):
            session._is_closing = True

    with pytest.raises(Cancelled):
        united(session, *two, on_progress=on_progress)


def test_progress_is_told_to_the_end(session: Session, two: tuple[RunFolder, RunFolder]) -> None:
    heard: list[tuple[float, ...]] = []
    united(session, *two, on_progress=lambda done, total, what: heard.append((done, total)))
    assert list(heard[-1]) == [32, 32]
    assert all(done <= total or not total for done, total in heard)


# -- what a checkpoint may say -----------------------------------------------------------


def plain(count: int = 2) -> dict[str, Any]:
    dataset = blobs(16)
    member = ModelInfo.from_dataset(config(), dataset)
    return ModelInfo.for_ensemble((member,) * count, config()).to_dict()


def test_the_table_of_an_ensemble_is_read_back() -> None:
    about = ModelInfo.from_dict(plain(3), "file")
    assert (about.model, len(about.members)) == ("3 × linear", 3)
    assert about.to_dict() == plain(3)
    assert about.build().state_dict().keys() == {
        f"{number}.{name}" for number in range(3) for name in about.members[0].build().state_dict()
    }


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table["members"][0].update(members=[plain()]),
        lambda table: table.update(members=table["members"] * MAX_MEMBERS),
        lambda table: table.update(members={"0": table["members"][0]}),
        lambda table: table.update(members=[1, 2]),
        lambda table: table["members"][1].update(size=32),
        lambda table: table["members"][1]["facts"].update(classes=["a", "b"]),
    ],
)
def test_a_table_of_impossible_members_is_refused(
    spoil: Callable[[dict[str, Any]], None],
) -> None:
    table = plain()
    spoil(table)
    with pytest.raises(CheckpointError, match="does not say which model"):
        ModelInfo.from_dict(table, "file")


def test_views_that_all_members_are_used_to_are_taken_unless_others_are_asked_for(
    session: Session,
) -> None:
    used = trained(session, epochs=1, flip=True, tta="flip")
    also = trained(session, epochs=1, seed=1, flip=True, tta="flip")
    not_used = trained(session, epochs=1, seed=2, flip=True)

    def views(folder: RunFolder) -> str:
        return recipes.read_recipe(folder.config).config().tta

    assert views(united(session, used, also)) == "flip"
    assert views(united(session, used, also, tta="none")) == "none"
    mixed = united(session, used, not_used)
    assert views(mixed) == "none"
    notes = [event.message for event in told(mixed) if isinstance(event, Alert)]
    assert any("different test-time augmentation" in note for note in notes)
