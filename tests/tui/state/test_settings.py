"""Saved settings and custom keys."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.state import settings as settings_module
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.settings import KEYS, VIEW, Settings
from tests.tui.conftest import OpenDashboard
from tests.tui.support import record_toasts


def test_a_saved_setting_is_loaded_again(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path)
    settings.save("theme", "bench-light")
    settings.flush()
    assert Settings.load(tmp_path).get("theme") == "bench-light"


def test_two_dashboards_keep_each_others_choices(tmp_path: Path) -> None:
    first, second = Settings.load(tmp_path), Settings.load(tmp_path)
    for settings, name, value in (
        (first, "theme", "bench-light"),
        (second, "renderer", "braille"),
        (second, "theme", "bench-dark"),
        (first, "zoom", "2"),
    ):
        settings.save(name, value)
        settings.flush()
    expected = {"theme": "bench-dark", "renderer": "braille", "zoom": "2"}
    assert Settings.load(tmp_path).values == expected


def test_invalid_files_and_keys_are_reported_and_ignored(tmp_path: Path) -> None:
    (tmp_path / VIEW).write_text("{nonsense")
    (tmp_path / KEYS).write_text('[keys]\n"train.stop" = 7\n"train.go" = "x"\n[other]\n')
    settings = Settings.load(tmp_path)
    assert settings.keymap == {"train.go": "x"}
    assert len(settings.warnings) == 3
    assert all("\n" not in warning for warning in settings.warnings)


def test_an_unwritable_folder_is_reported_once_and_the_setting_applies(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(tmp_path / "file" / "below")
    settings.save("theme", "bench-light")
    settings.flush()
    settings.save("theme", "bench-dark")
    settings.flush()
    assert settings.get("theme") == "bench-dark"
    assert len(settings.warnings) == 1


async def test_a_custom_key_replaces_the_default(
    app_state: AppState, open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    toasts = record_toasts(monkeypatch)
    app_state.settings.keymap = {
        "app.help": "f1",
        "train.nosuch": "x",
        "train.stop": "c",
        "form.edit": "n",
        "show.runs": "R",
        "runs.report": "r",
        "errors.pair": "f2",
        "gallery.open": "f2",
    }
    async with open_dashboard("train") as (dashboard, pilot):
        assert any("train.nosuch" in toast for toast in toasts)
        clashes = "n is both form.edit and train.new; c is both train.stop and train.checkpoint"
        assert [toast for toast in toasts if "both" in toast] == [clashes]
        assert key_name("app.help") == "f1" and key_name("gallery.left") == "left"
        assert [tab.key for tab in dashboard.tabs] == [*"12345R7"]
        before = dashboard.screen
        await pilot.press("question_mark")
        assert dashboard.screen is before
        await pilot.press("f1")
        assert dashboard.screen is not before


async def test_the_theme_is_saved(app_state: AppState, open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        dark = dashboard.current_theme.dark
        await pilot.press("t")
        await pilot.pause()
        assert dashboard.current_theme.dark is not dark
        assert app_state.settings.get("theme") == dashboard.theme


class SlowDisk:
    """A disk that answers once it may, instead of `atomic_write`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_answer, self.written = threading.Event(), list[dict[str, str]]()
        monkeypatch.setattr(settings_module, "atomic_write", self.write)

    def write(self, path: Path, data: bytes) -> None:
        assert self.may_answer.wait(60)
        self.written.append(json.loads(data))


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    disk = SlowDisk(monkeypatch)
    yield disk
    disk.may_answer.set()


def test_saving_does_not_wait_for_the_disk_and_the_last_choice_is_saved(
    tmp_path: Path, slow_disk: SlowDisk
) -> None:
    settings = Settings(tmp_path)
    for number in range(20):
        settings.save("zoom", str(number))
    settings.save("renderer", "braille")
    slow_disk.may_answer.set()
    settings.flush()
    assert len(slow_disk.written) <= 2
    assert slow_disk.written[-1] == {"zoom": "19", "renderer": "braille"}
    assert settings.warnings == []


def test_a_disk_that_does_not_answer_does_not_hold_up_the_end_and_is_reported(
    tmp_path: Path, slow_disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_module, "FLUSH_SECONDS", 0.01)
    settings = Settings(tmp_path)
    settings.save("zoom", "2")
    settings.flush()
    (warning,) = settings.warnings
    assert warning.endswith("view.json: not saved: the disk does not answer")
