"""The tables of studies and trials."""

from __future__ import annotations

import pytest
from rich.text import Text

from fmnist_tui.sweeps import storage
from fmnist_tui.sweeps.snapshot import Snapshot, StudySummary, TrialView
from fmnist_tui.tui.base.table_screen import filter_items
from fmnist_tui.tui.screens.sweep import tables
from fmnist_tui.tui.theme import TableColours
from fmnist_tui.tui.widgets.columns import RowCache, fit_columns
from tests.tui.sweep.support import make_study, make_trial
from tests.unit.sweeps.support import make_spec

PLAIN = TableColours("x", {}, {})


@pytest.mark.parametrize("width", [30, 60, 76, 90, 120, 200])
def test_trial_rows_are_as_wide_as_the_table(width: int) -> None:
    spec = make_spec()
    study = Snapshot(
        "search",
        spec,
        (
            make_trial(
                value=0.5, params={"lr": 0.0123456, "optimizer": "adamw"}, curve=((1, 0.5),)
            ),
            make_trial(number=12345, state="failed", why="w" * 200, params={}),
            make_trial(
                number=2, state="running", silent_seconds=200.0, seconds=90000.0, params={"lr": 0.1}
            ),
        ),
    )
    columns = tables.trial_columns(study, width)
    trials = {str(trial.number): trial for trial in study.trials}
    rows = tables.build_trial_rows(RowCache(), trials, study, columns, PLAIN)
    lines = [line for _, line in rows]
    assert {line.cell_len for line in lines} == {width}
    assert all(isinstance(line, Text) for line in lines)
    assert "quiet 3:20" in lines[2].plain or width < 60


def test_settings_have_columns_of_their_own_before_less_important_ones() -> None:
    study = make_study(6)
    keys = [part.key for part in study.spec.space]
    columns = [column.key for column in tables.trial_columns(study, 92)]
    assert {f"={key}" for key in keys} < set(columns)
    assert "time" in columns and "curve" not in columns
    assert "curve" in [column.key for column in tables.trial_columns(study, 120)]
    # In a narrow table one column has all of them, beside what says which trial it is.
    narrow = [column.key for column in tables.trial_columns(study, 60)]
    assert narrow == ["best", "number", "state", "value", "settings"]


def test_the_subtitle_says_what_the_columns_do_not_show() -> None:
    study, reason = make_study(3), "the loss stopped being a number"
    failed = make_trial(number=3, state="failed", why=reason, params=study.trials[0].params)
    wide, narrow = (tables.trial_columns(study, width) for width in (120, 60))
    assert tables.table_subtitle(study.trials[1], "newest", wide, 120) == "newest"
    assert tables.table_subtitle(study.trials[1], "newest", narrow, 60).startswith("1: lr 0.001, ")
    assert tables.table_subtitle(failed, "newest", tables.trial_columns(study, 92), 92) == (
        f"3: {reason}  newest"
    )


def test_rows_of_unchanged_trials_are_reused() -> None:
    study, cache = make_study(30), RowCache[TrialView]()
    columns = tables.trial_columns(study, 120)
    trials = {str(trial.number): trial for trial in study.trials}
    before = dict(tables.build_trial_rows(cache, trials, study, columns, PLAIN))
    changed = trials | {"29": make_trial(number=29, state="failed")}
    after = dict(tables.build_trial_rows(cache, changed, study, columns, PLAIN))
    assert [after[key] is before[key] for key in trials] == [True] * 29 + [False]
    assert "failed" in after["29"].plain


def test_control_characters_from_a_storage_are_escaped() -> None:
    study = Snapshot("search", make_spec(), ())
    hostile = make_trial(state="failed", why="\x1b[2J\u202e boom")
    columns = tables.trial_columns(study, 160)
    ((_, row),) = tables.build_trial_rows(RowCache(), {"1": hostile}, study, columns, PLAIN)
    assert "\x1b" not in row.plain and "\u202e" not in row.plain
    summary = StudySummary("\x1b]0;name", storage.StorageLocation("x"), error="")
    line = tables.format_study(summary, fit_columns(tables.STUDY_COLUMNS, 30), PLAIN)
    assert "\x1b" not in line.plain and line.cell_len == 30
    assert "\x1b" not in tables.table_title(Snapshot("\x1b[0m", make_spec(), ()))


def test_the_filter_matches_every_word_of_a_trial() -> None:
    some = [
        make_trial(number=1, params={"optimizer": "sgd"}),
        make_trial(number=2, state="failed", why="too little memory"),
    ]
    assert [trial.number for trial in filter_items(some, "optimizer sgd", tables.search_text)] == [
        1
    ]
    assert [trial.number for trial in filter_items(some, "FAILED memory", tables.search_text)] == [
        2
    ]
