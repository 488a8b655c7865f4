"""Where files belong on this machine, unless the user says otherwise."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from fmnist_tui.util.text import safe_text

RUNS_VARIABLE = "FMNIST_TUI_RUNS"
DATA_VARIABLE = "FMNIST_TUI_DATA"


def runs_dir(given: str | None = None) -> Path:
    """The folder of run folders: as given, from the environment, or the user's data path."""
    return _folder(given, RUNS_VARIABLE, "runs")


def data_dir(given: str | None = None) -> Path:
    """The folder of data sets: as given, from the environment, or the user's data path."""
    return _folder(given, DATA_VARIABLE, "data")


def format_path(path: Path) -> str:
    """A path to show, the user's own folder as ~."""
    with contextlib.suppress(ValueError, RuntimeError):
        path = Path("~") / path.relative_to(Path.home())
    return safe_text(path)


def _folder(given: str | None, variable: str, part: str) -> Path:
    chosen = given or os.environ.get(variable)
    if chosen:
        return expand_home(chosen)
    from platformdirs import user_data_path

    return user_data_path("fmnist-tui", appauthor=False) / part


def program_command(module: str = "fmnist_tui") -> list[str]:
    """The command that runs this program, or another module of it, in a process of its own.

    Without -P the folder it is called in would come first among those that modules are taken
    from: a stranger's `torch.py` in there would be run."""
    return [sys.executable, "-P", "-m", module]


def expand_home(name: str) -> Path:
    """The path with `~` spelt out."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path's fails on unknown users
