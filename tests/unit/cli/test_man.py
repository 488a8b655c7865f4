"""The manual page."""

from __future__ import annotations

import re
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
    # Not its words: what a page says of an option may be older than the program.
    names = re.compile(r"^\.SS .*|\\fB\S+?\\fR", re.MULTILINE)
    told, shipped = set(names.findall(page)), set(names.findall(SHIPPED.read_text()))
    assert len(told) > 100
    assert told == shipped, f"fmnist-tui man --source > {SHIPPED}"
    if shutil.which("groff"):
        command = ["groff", "-man", "-Kutf8", "-Tutf8", "-ww", "-z", str(SHIPPED)]
        assert not subprocess.run(command, capture_output=True, text=True, check=True).stderr
