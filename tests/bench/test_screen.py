"""The parts of the dashboard's benchmark: a watched pty, and a run's speed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fmnist_tui import __version__
from fmnist_tui.bench.probes import PROBES
from fmnist_tui.bench.screen import SCREENS, BenchFolders, images_per_second
from fmnist_tui.bench.terminal import WatchedTerminal
from fmnist_tui.tui import app
from fmnist_tui.util.errors import UserError
from tests.tui.support import make_run


def test_the_output_of_a_program_is_recorded_with_its_times() -> None:
    before = time.perf_counter()
    with WatchedTerminal(["--version"], {}) as watched:
        shown = watched.wait_for(__version__)
        assert before < shown < time.perf_counter()
        assert watched.bytes >= len(__version__)
        assert watched.text_since(watched.position) == ""


def test_control_sequences_are_not_text() -> None:
    with WatchedTerminal(["doctor", "--help"], {"FORCE_COLOR": "1"}) as watched:
        watched.wait_for("usage")
        assert "\x1b" not in watched.text_since(0)


def test_a_timeout_reports_the_last_output() -> None:
    with (
        WatchedTerminal(["--version"], {}) as watched,
        pytest.raises(UserError, match="did not show"),
    ):
        watched.wait_for("something else", seconds=5)


def test_the_data_screen_shows_the_benchmarks_dataset(tmp_path: Path) -> None:
    with BenchFolders(tmp_path, tmp_path / "data", "sketches").open() as watched:
        watched.wait_for("#0", seconds=30)


def test_the_speed_leaves_out_the_first_epoch(tmp_path: Path) -> None:
    run = make_run(tmp_path, splits=())
    # 20 steps of 64 images an epoch, a tenth of a second each.
    assert images_per_second(run.path) == pytest.approx(640.0, rel=0.05)


def test_every_screen_has_a_probe() -> None:
    assert {probe.screen for probe in PROBES} == set(SCREENS.values())
    assert {screen.KEY: screen.NAME for screen in app.SCREENS} == SCREENS
