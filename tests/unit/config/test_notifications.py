"""The settings of notifications."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.cli import main
from fmnist_tui.config.notifications import Notifications, load_notifications, save_notifications

URL = "https://ntfy.sh/a-secret"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FMNIST_TUI_SETTINGS", str(tmp_path / "settings"))
    monkeypatch.delenv("FMNIST_TUI_NOTIFY_URL", raising=False)
    return tmp_path / "settings" / "notify.toml"


def test_the_command_saves_what_it_shows_without_the_secret(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_notifications() == Notifications()
    words = ["--url", URL, "--terminal", "bell", "--stall", "60"]
    assert main.run(["notify", "set", *words]) == 0
    assert load_notifications() == Notifications(URL, "bell", 60.0)
    assert settings.stat().st_mode & 0o777 == 0o600
    shown = capsys.readouterr().out
    assert "https://ntfy.sh/…" in shown and "bell" in shown and "secret" not in shown
    assert main.run(["notify", "set", "--url", ""]) == 0
    assert load_notifications() == Notifications("", "bell", 60.0)
    assert main.run(["notify", "set"]) == 2


def test_nobody_else_can_read_the_file_while_it_is_written(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes, replace = [], Path.replace

    def record(self: Path, target: Path) -> Path:
        modes.append(self.stat().st_mode & 0o777)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", record)
    save_notifications(Notifications(URL))
    assert modes == [0o600] and settings.stat().st_mode & 0o777 == 0o600


def test_the_environment_names_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_TUI_NOTIFY_URL", URL)
    assert load_notifications().url == URL and load_notifications().is_ntfy
    monkeypatch.setenv("FMNIST_TUI_NOTIFY_URL", "file:///etc/a-secret")
    loaded = load_notifications()
    assert not loaded.url and "http://" in loaded.problem and "a-secret" not in loaded.problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("urll = 'x'", 'did you mean "url"?'),
        ("terminal = 'beep'", "terminal must be off, bell or notification"),
        ("stall_seconds = nan", "must be 0 or more"),
        ("url = 7", "in quotes"),
        ("url =", "not used"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_ignored(
    settings: Path, text: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.parent.mkdir()
    settings.write_text(text)
    loaded = load_notifications()
    assert problem in loaded.problem and "\n" not in loaded.problem
    assert not loaded.url
    assert main.run(["notify", "set", "--terminal", "bell"]) == 1
    assert settings.read_text() == text
