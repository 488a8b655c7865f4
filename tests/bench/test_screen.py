"""What the benchmark of the screen stands on: a pty that is watched, and a run's pace."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fmnist_tui import __version__
from fmnist_tui.bench.probes import PROBES
from fmnist_tui.bench.screen import SCREENS, pace
from fmnist_tui.bench.terminal import WatchedTerminal
from fmnist_tui.tui import app
from fmnist_tui.util.errors import UserError
from tests.tui.scripted import make_run


def test_the_text_and_the_bytes_of_a_program_are_seen_as_they_come() -> None:
    before = time.perf_counter()
    with WatchedTerminal(["--version"], {}) as watched:
        seen = watched.until(__version__)
        assert before < seen < time.perf_counter()
        assert watched.bytes >= len(__version__)
        assert watched.since(watched.place) == ""


def test_control_sequences_are_no_text() -> None:
    with WatchedTerminal(["doctor", "--help"], {"FORCE_COLOR": "1"}) as watched:
        watched.until("usage")
        assert "\x1b" not in watched.since(0)


def test_what_never_comes_is_told_with_what_came() -> None:
    with (
        WatchedTerminal(["--version"], {}) as watched,
        pytest.raises(UserError, match="never showed"),
    ):
        watched.until("something else", seconds=5)


def test_the_pace_leaves_the_first_epoch_out(tmp_path: Path) -> None:
    run = make_run(tmp_path, splits=())
    # 20 steps of 64 images an epoch, a tenth of a second each.
    assert pace(run.path) == pytest.approx(640.0, rel=0.05)


def test_every_screen_has_its_keys_pressed() -> None:
    assert {probe.screen for probe in PROBES} == set(SCREENS.values())
    assert {screen.KEY: screen.NAME for screen in app.SCREENS} == SCREENS
