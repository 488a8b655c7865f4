"""Saved settings and custom keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.settings import KEYS, VIEW, Settings
from tests.tui.conftest import OpenDashboard
from tests.tui.support import record_toasts


def test_a_saved_setting_is_loaded_again(tmp_path: Path) -> None:
    Settings.load(tmp_path).save("theme", "bench-light")
    assert Settings.load(tmp_path).get("theme") == "bench-light"


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
    assert settings.get("theme") == "bench-light"
    assert len(settings.warnings) == 1


async def test_a_custom_key_replaces_the_default(
    app_state: AppState, open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    toasts = record_toasts(monkeypatch)
    app_state.settings.keymap = {"app.help": "f1", "train.nosuch": "x"}
    async with open_dashboard("train") as (dashboard, pilot):
        assert any("train.nosuch" in toast for toast in toasts)
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
