"""Default folders, and paths as text and commands."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from fmnist_tui.util.text import safe_text

RUNS_VARIABLE = "FMNIST_TUI_RUNS"
DATA_VARIABLE = "FMNIST_TUI_DATA"
SETTINGS_VARIABLE = "FMNIST_TUI_SETTINGS"


def runs_dir(override: str | None = None) -> Path:
    """The folder of runs: the override, or from the environment, or the user's data folder."""
    return _find_folder(override, RUNS_VARIABLE, "runs")


def data_dir(override: str | None = None) -> Path:
    """The folder of datasets: the override, or from the environment, or the user's data folder."""
    return _find_folder(override, DATA_VARIABLE, "data")


def settings_dir() -> Path:
    """The folder of the user's settings: from the environment, or the user's config path."""
    chosen = os.environ.get(SETTINGS_VARIABLE)
    if chosen:
        return expand_home(chosen)
    from platformdirs import user_config_path

    return user_config_path("fmnist-tui", appauthor=False)


def format_path(path: Path) -> str:
    """A path as text, with the home folder as ~."""
    with contextlib.suppress(ValueError, RuntimeError):
        path = Path("~") / path.relative_to(Path.home())
    return safe_text(path)


def _find_folder(override: str | None, variable: str, name: str) -> Path:
    path = override or os.environ.get(variable)
    if path:
        return expand_home(path)
    from platformdirs import user_data_path

    return user_data_path("fmnist-tui", appauthor=False) / name


def program_command(module: str = "fmnist_tui") -> list[str]:
    """The command that runs this program, or another module of it, in a new process.

    -P keeps the current folder out of the module path, so that no `torch.py` there is imported.
    """
    return [sys.executable, "-P", "-m", module]


def expand_home(name: str) -> Path:
    """The path with a leading `~` replaced by the home folder."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser fails on unknown users
