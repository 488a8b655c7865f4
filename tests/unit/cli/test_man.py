"""The manual page."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fmnist_tui.cli import main

SHIPPED = Path(__file__).parents[3] / "docs" / "fmnist-tui.1"


def test_the_manual_page_that_is_shipped_tells_of_every_command_and_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.run(["man"]) == 0
    page = capsys.readouterr().out
    assert all(f"fmnist\\-tui {name}" in page for name in main.COMMANDS)
    assert page == SHIPPED.read_text(), f"fmnist-tui man --source > {SHIPPED}"
    if shutil.which("groff"):
        command = ["groff", "-man", "-Kutf8", "-Tutf8", "-ww", "-z", str(SHIPPED)]
        assert not subprocess.run(command, capture_output=True, text=True, check=True).stderr
