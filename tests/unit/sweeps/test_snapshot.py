"""Snapshots of studies, with trials in every state."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.render.sparkline import draw_sparkline
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps import study_locations
from fmnist_tui.sweeps.snapshot import MIN_IMPORTANCE_TRIALS, SnapshotReader, too_few_trials
from fmnist_tui.sweeps.storage import parse_location
from fmnist_tui.util.errors import UserError
from tests.unit.sweeps.support import join_study, journal_in, make_spec, run_trial


def test_a_snapshot_has_every_trial_with_its_state(tmp_path: Path) -> None:
    location = journal_in(tmp_path)
    ledger = join_study(location)
    run_trial(ledger, [0.5, 0.7, 0.6])
    pruned = ledger.claim()
    ledger.report(pruned, 1, 0.2)
    ledger.end(pruned, "pruned")
    ledger.end(ledger.claim(), "failed", why="the loss stopped being a number")
    running = ledger.claim("/runs/a")
    ledger.record_run(running, "/runs/a/trials/b")
    ledger.report(running, 1, 0.4)
    snapshot = SnapshotReader().read(location, "search")
    assert [(trial.state, trial.value, trial.epochs) for trial in snapshot.trials] == [
        ("complete", 0.7, 3),
        ("pruned", 0.2, 1),
        ("failed", None, 0),
        ("running", 0.4, 1),
    ]
    assert snapshot.trials[0].curve == ((1, 0.5), (2, 0.7), (3, 0.6))
    assert snapshot.trials[2].why == "the loss stopped being a number"
    assert snapshot.trials[3].run == "/runs/a/trials/b" and snapshot.trials[3].seconds is not None
    assert (snapshot.done, snapshot.running, snapshot.total) == (3, 1, 6)
    assert snapshot.best is not None and snapshot.best.number == 0
    assert set(snapshot.trials[0].params) == {"lr", "optimizer"}


def test_the_best_so_far_is_a_rising_step_curve(tmp_path: Path) -> None:
    location = journal_in(tmp_path)
    ledger = join_study(location)
    for value in (0.5, 0.4, 0.7):
        run_trial(ledger, [value])
    assert SnapshotReader().read(location, "search").best_so_far() == (
        (0, 0.5),
        (1, 0.5),
        (2, 0.5),
        (2, 0.7),
    )


def test_a_reader_sees_later_changes_by_workers(tmp_path: Path) -> None:
    location, reader = journal_in(tmp_path), SnapshotReader()
    assert reader.list_studies(location) == []
    ledger = join_study(location)
    assert [(line.name, line.done) for line in reader.list_studies(location)] == [("search", 0)]
    run_trial(ledger, [0.5])
    assert reader.read(location, "search").done == 1
    assert [(line.done, line.best) for line in reader.list_studies(location)] == [(1, 0.5)]


def test_an_unknown_study_is_refused_with_similar_names(tmp_path: Path) -> None:
    location = journal_in(tmp_path)
    with pytest.raises(UserError, match=r"there is no study .* does not exist"):
        SnapshotReader().read(location, "search")
    join_study(location)
    with pytest.raises(UserError, match=r'no study serach in .*; did you mean "search"\?'):
        SnapshotReader().read(location, "serach")


def test_importances_show_which_setting_matters(tmp_path: Path) -> None:
    location, reader = journal_in(tmp_path), SnapshotReader()
    ledger = join_study(location)
    assert reader.importances(location, "search") == ()
    for _ in range(12):
        claimed = ledger.claim()
        ledger.end(claimed, "complete", 0.9 if claimed.params["optimizer"] == "sgd" else 0.1)
    shares = reader.importances(location, "search")
    assert [key for key, _ in shares] == ["optimizer", "lr"]
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert shares[0][1] > 0.8


def test_too_few_trials_give_no_importances(tmp_path: Path) -> None:
    location, reader = journal_in(tmp_path), SnapshotReader()
    ledger = join_study(location)
    for number in range(MIN_IMPORTANCE_TRIALS):
        assert reader.importances(location, "search") == ()
        study = reader.read(location, "search")
        assert too_few_trials(study) == f"too few trials ({number} of {MIN_IMPORTANCE_TRIALS})"
        run_trial(ledger, [number / 100])
    assert reader.importances(location, "search")


def test_equal_values_give_no_importances(tmp_path: Path) -> None:
    location = journal_in(tmp_path)
    ledger = join_study(location)
    for _ in range(MIN_IMPORTANCE_TRIALS):
        run_trial(ledger, [0.5])
    shares = SnapshotReader().importances(location, "search")
    assert shares == () or all(0 <= share <= 1 for _, share in shares)


def test_a_sweeps_run_folder_names_the_storage_of_its_study(tmp_path: Path) -> None:
    location = journal_in(tmp_path)
    folder = RunFolder.create(tmp_path / "runs", "search", "sketches")
    (folder.path / "trials").mkdir()
    folder.config.write_text(specs.to_toml(make_spec(), {"storage": location.public_url}))
    assert study_locations.study_of_run(folder) == (location, "search")
    usual = parse_location(None, tmp_path / "runs")
    assert [
        location.public_url for location in study_locations.list_locations(tmp_path / "runs")
    ] == [
        usual.public_url,
        location.public_url,
    ]
    folder.config.write_text("[run]\n")
    with pytest.raises(UserError, match="is not the config of a sweep"):
        study_locations.study_of_run(folder)
    assert study_locations.list_locations(tmp_path / "runs") == [usual]


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([], 4, ""),
        ([0.5], 4, "▅"),
        ([0.0, 1.0], 4, "▁█"),
        ([0.0, 0.5, 1.0, 0.0, 0.0, 1.0], 3, "▅▁█"),
        ([0.0, float("nan"), 1.0], 3, "▁ █"),
    ],
)
def test_a_curve_is_drawn_with_block_characters(values: list[float], width: int, line: str) -> None:
    assert draw_sparkline(values, width) == line
