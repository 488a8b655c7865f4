"""A study at a moment: plain values, right whatever state its trials are in."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.render.sparkline import draw_sparkline
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps import study_locations
from fmnist_tui.sweeps.snapshot import SnapshotReader
from fmnist_tui.sweeps.storage import parse_location
from fmnist_tui.util.errors import UserError
from tests.unit.sweeps.support import join_study, journal_in, make_spec, run_trial


def test_a_snapshot_tells_of_every_trial(tmp_path: Path) -> None:
    where = journal_in(tmp_path)
    book = join_study(where)
    run_trial(book, [0.5, 0.7, 0.6])
    pruned = book.claim()
    book.report(pruned, 1, 0.2)
    book.prune(pruned)
    book.fail(book.claim(), "the loss stopped being a number")
    running = book.claim("/runs/a")
    book.record_run(running, "/runs/a/trials/b")
    book.report(running, 1, 0.4)
    shown = SnapshotReader().read(where, "search")
    assert [(trial.state, trial.value, trial.epochs) for trial in shown.trials] == [
        ("complete", 0.7, 3),
        ("pruned", 0.2, 1),
        ("failed", None, 0),
        ("running", 0.4, 1),
    ]
    assert shown.trials[0].curve == ((1, 0.5), (2, 0.7), (3, 0.6))
    assert shown.trials[2].why == "the loss stopped being a number"
    assert shown.trials[3].run == "/runs/a/trials/b" and shown.trials[3].seconds is not None
    assert (shown.done, shown.running, shown.total) == (3, 1, 6)
    assert shown.best is not None and shown.best.number == 0
    assert set(shown.trials[0].params) == {"lr", "optimizer"}


def test_the_best_so_far_goes_up_in_steps(tmp_path: Path) -> None:
    where = journal_in(tmp_path)
    book = join_study(where)
    for value in (0.5, 0.4, 0.7):
        run_trial(book, [value])
    assert SnapshotReader().read(where, "search").best_so_far() == (
        (0, 0.5),
        (1, 0.5),
        (2, 0.5),
        (2, 0.7),
    )


def test_a_reader_sees_what_others_have_done_since(tmp_path: Path) -> None:
    where, reader = journal_in(tmp_path), SnapshotReader()
    assert reader.list_studies(where) == []
    book = join_study(where)
    assert [(line.name, line.done) for line in reader.list_studies(where)] == [("search", 0)]
    run_trial(book, [0.5])
    assert reader.read(where, "search").done == 1
    assert [(line.done, line.best) for line in reader.list_studies(where)] == [(1, 0.5)]


def test_a_study_that_there_is_not_is_said_with_the_near_ones(tmp_path: Path) -> None:
    where = journal_in(tmp_path)
    with pytest.raises(UserError, match=r"there is no study .* does not exist"):
        SnapshotReader().read(where, "search")
    join_study(where)
    with pytest.raises(UserError, match=r'no study serach in .*; did you mean "search"\?'):
        SnapshotReader().read(where, "serach")


def test_importances_say_which_setting_matters(tmp_path: Path) -> None:
    where, reader = journal_in(tmp_path), SnapshotReader()
    book = join_study(where)
    assert reader.importances(where, "search") == ()
    for _ in range(12):
        begun = book.claim()
        book.complete(begun, 0.9 if begun.params["optimizer"] == "sgd" else 0.1)
    shares = reader.importances(where, "search")
    assert [key for key, _ in shares] == ["optimizer", "lr"]
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert shares[0][1] > 0.8


def test_values_that_are_all_the_same_say_nothing_about_settings(tmp_path: Path) -> None:
    where = journal_in(tmp_path)
    book = join_study(where)
    for _ in range(4):
        run_trial(book, [0.5])
    shares = SnapshotReader().importances(where, "search")
    assert shares == () or all(0 <= share <= 1 for _, share in shares)


def test_the_folder_of_a_sweep_says_where_its_study_is(tmp_path: Path) -> None:
    where = journal_in(tmp_path)
    folder = RunFolder.create(tmp_path / "runs", "search", "sketches")
    (folder.path / "trials").mkdir()
    folder.config.write_text(specs.to_toml(make_spec(), {"storage": where.public_url}))
    assert study_locations.study_of_run(folder) == (where, "search")
    usual = parse_location(None, tmp_path / "runs")
    assert [one.public_url for one in study_locations.list_locations(tmp_path / "runs")] == [
        usual.public_url,
        where.public_url,
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
def test_a_curve_is_a_few_blocks(values: list[float], width: int, line: str) -> None:
    assert draw_sparkline(values, width) == line
