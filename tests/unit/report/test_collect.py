"""The facts and pages of complete, incomplete, damaged and untrained runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE, EVENTS, LRFIND, SWEEP, Evaluated, RunEnded
from fmnist_tui.report.collect import collect_facts
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.util.errors import UserError
from tests.tui.support import CONFIG, make_run
from tests.unit.report.support import build_report, make_predictions, make_run_with_predictions
from tests.unit.support import evaluated, started, write_events

FASHION = RunConfig(dataset="fashion", recipe="tiny", epochs=4)


def make_run_of_kind(runs_dir: Path, kind: str) -> RunFolder:
    folder = RunFolder.create(runs_dir, "some", "fashion")
    fields = {**{name: getattr(started(), name) for name in started().__slots__}, "kind": kind}
    evaluation = evaluated(0.9)
    write_events(
        folder.events, [type(started())(**fields), evaluation, RunEnded(9.0, 0, 0, "finished", 1.0)]
    )
    return folder


def test_scores_are_computed_from_the_predictions(tmp_path: Path) -> None:
    facts, _ = build_report(make_run_with_predictions(tmp_path), tmp_path)
    expected = make_predictions("test").evaluation()
    assert facts.split == "test"
    assert facts.scores is not None
    assert facts.scores.evaluation == expected
    assert facts.missing == ()


def test_without_predictions_scores_are_read_from_the_events_and_the_page_lists_what_is_missing(
    tmp_path: Path,
) -> None:
    folder = make_run(tmp_path, splits=())
    facts, page = build_report(folder, tmp_path)
    evaluation = facts.state.evaluation("test")
    assert evaluation is not None and facts.scores is not None
    assert facts.scores.evaluation.accuracy == evaluation.accuracy
    right = sum(row[index] for index, row in enumerate(evaluation.confusion))
    recalls = [score.recall * score.support for score in facts.scores.evaluation.classes]
    assert sum(recalls) == pytest.approx(right)
    command = f"fmnist-tui evaluate {folder.id} --split test"
    assert [part.command for part in facts.missing] == [command]
    assert "no predictions are stored" in page.text
    assert "Calibration" not in page.text
    assert "Confusion matrix" in page.text


def test_validation_is_used_if_test_was_never_evaluated(tmp_path: Path) -> None:
    folder = make_run(tmp_path, ended=False, splits=("val",))
    facts, page = build_report(folder, tmp_path)
    assert facts.split == "val"
    assert "accuracy on val" in page.text
    assert "accuracy on test" not in page.text


def test_the_requested_split_is_used(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    facts, _ = build_report(folder, tmp_path, "val")
    assert facts.scores is not None
    assert facts.scores.split == "val"


def test_images_of_a_missing_dataset_are_listed_as_missing_with_a_command(tmp_path: Path) -> None:
    facts, page = build_report(make_run_with_predictions(tmp_path, FASHION), tmp_path / "nothing")
    assert facts.images is None
    assert [part.command for part in facts.missing] == ["fmnist-tui data get fashion"]
    assert "fashion is not in" in page.text
    assert "Calibration" in page.text


def test_images_of_a_deleted_folder_are_listed_as_missing(tmp_path: Path) -> None:
    config = RunConfig(dataset=f"folder:{tmp_path}/gone", recipe="tiny")
    facts, _ = build_report(make_run_with_predictions(tmp_path, config), tmp_path)
    assert "no longer exists" in facts.missing[0].reason
    assert facts.missing[0].command == ""


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no zip at all"])
def test_damaged_predictions_are_listed_as_missing(tmp_path: Path, damage: bytes) -> None:
    folder = make_run_with_predictions(tmp_path)
    (folder.predictions / "test.npz").write_bytes(damage)
    facts, page = build_report(folder, tmp_path)
    assert "damaged predictions" in facts.missing[0].reason
    assert "Confusion matrix" in page.text


@pytest.mark.parametrize("text", [None, "no toml ]]", "[run]\nlr = 'fast'\n", "[[made_with]]\n"])
def test_an_unreadable_config_is_listed_as_missing(tmp_path: Path, text: str | None) -> None:
    folder = make_run_with_predictions(tmp_path)
    folder.config.unlink()
    if text is not None:
        folder.config.write_text(text)
    facts, page = build_report(folder, tmp_path)
    assert facts.config is None or text == "[[made_with]]\n"
    assert facts.made_with == {}
    assert "Learning curves" in page.text


def test_lines_that_cannot_be_read_are_listed_as_missing(tmp_path: Path) -> None:
    folder = make_run(tmp_path, splits=())
    with_all, _ = build_report(folder, tmp_path)
    bad = Evaluated(9.0, 80, 4, "best", "test", 3, 0.1, 0.5, 0.4, 0.6, 0.5, 0.1, ((1, 2),))
    with folder.events.open("a") as file:
        file.write(f"{EVENTS.encode(bad)}\nno event\n")
    facts, _ = build_report(folder, tmp_path)
    assert facts.scores == with_all.scores
    assert facts.missing[0].reason == "1 line of events.jsonl cannot be read"


def test_an_unfinished_run_is_labelled(tmp_path: Path) -> None:
    folder = make_run(tmp_path, epochs=2, ended=False, splits=())
    with RunLock.acquire(folder.path):
        facts, page = build_report(folder, tmp_path)
    assert facts.summary.is_live
    assert "NOT FINISHED" in page.text
    assert "2 of 4 epochs done" in page.text
    assert "has not finished" in facts.missing[0].reason


def test_a_crashed_run_is_labelled(tmp_path: Path) -> None:
    _, page = build_report(make_run(tmp_path, epochs=1, ended=False, splits=()), tmp_path)
    assert "CRASHED after 1 epoch" in page.text


def test_a_run_without_results_has_a_page(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "new", "fashion")
    write_events(folder.events, [started()])
    _, page = build_report(folder, tmp_path)
    assert "There are no results yet" in page.text or "fit" in page.text
    assert not page.unbalanced


@pytest.mark.parametrize(
    ("kind", "named"), [(LRFIND, "a learning-rate search"), (SWEEP, "a sweep")]
)
def test_runs_without_a_model_are_refused_in_one_line(
    tmp_path: Path, kind: str, named: str
) -> None:
    with pytest.raises(UserError, match=rf"is {named}.*a report needs a trained run") as caught:
        collect_facts(make_run_of_kind(tmp_path, kind), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_events_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no readable events"):
        collect_facts(RunFolder.create(tmp_path, "empty", "fashion"), tmp_path)


def test_an_ensemble_lists_its_members_with_their_accuracies(tmp_path: Path) -> None:
    member = make_run(tmp_path)
    folder = make_run_of_kind(tmp_path, ENSEMBLE)
    folder.config.write_text(
        f'[run]\ntta = "flip"\n[made_with]\nmember_1 = "{member.name} best-0001.pt abc"\n'
        'member_2 = "gone_run best-0002.pt def"\n'
    )
    facts, page = build_report(folder, tmp_path)
    assert [shown.name for shown in facts.members] == [member.name, "gone_run"]
    assert facts.members[0].summary is not None
    assert facts.members[0].summary.test_accuracy is not None
    assert facts.members[1].summary is None
    assert f"fmnist-tui ensemble {member.id} gone_run --tta=flip" in page.text
    assert "Settings that differ from the defaults" not in page.text
    assert "Learning curves" not in page.text
    assert facts.fit is None


def test_progress_is_reported(tmp_path: Path) -> None:
    calls: list[tuple[float, float, str]] = []
    collect_facts(
        make_run_with_predictions(tmp_path, CONFIG),
        tmp_path,
        on_progress=lambda *what: calls.append(what),
    )
    assert [what for _, _, what in calls] == [
        "reading the run",
        "evaluating on test",
        "loading images",
    ]
    assert [done for done, _, _ in calls] == [0, 1, 2]
