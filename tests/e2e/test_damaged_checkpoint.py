"""A damaged best checkpoint is said by every command that reads or shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.support import QUICK, Home

SERVES = "serves instead"


@pytest.fixture
def damaged(home: Home) -> Path:
    """A run of whose bests the newest has rotted."""
    run = Path(home.json("train", *QUICK, "--epochs", "3")["path"])
    newest = bests(run)[0]
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    return run


def bests(run: Path) -> list[Path]:
    """The run's best checkpoints, newest first."""
    return sorted((run / "checkpoints").glob("best-*.pt"), reverse=True)


def test_every_command_that_uses_the_weights_names_the_file_that_serves_instead(
    home: Home, damaged: Path, tmp_path: Path
) -> None:
    older = bests(damaged)[1].name
    picture = tmp_path / "coat.png"
    Image.fromarray(np.full((28, 28), 200, np.uint8)).save(picture)
    other = home.json("train", *QUICK, "--seed", "1", "--epochs", "1")["run"]
    for command in (
        ["evaluate", damaged.name],
        ["predict", damaged.name, str(picture)],
        ["export", damaged.name, "--to", "pth", "--no-check"],
        ["ensemble", damaged.name, other],
        ["train", "--fork", damaged.name, "--checkpoint", "best", "--epochs", "1"],
        ["train", *QUICK, "--start", damaged.name, "--epochs", "1"],
    ):
        done = home.run(*command)
        assert done.returncode == 0, done.stderr
        assert f"{older} (step" in done.stderr and SERVES in done.stderr, command


def test_the_figures_that_a_run_shows_stay_those_of_its_own_best(
    home: Home, damaged: Path, tmp_path: Path
) -> None:
    before = home.json("runs", "list")[0]["test_accuracy"]
    errors = home.json("errors", damaged.name)
    assert errors["checkpoint"] == "best" and before == pytest.approx(
        1 - errors["count"] / errors["of"]
    )
    home.json("evaluate", damaged.name)
    assert home.json("runs", "list")[0]["test_accuracy"] == before
    done = home.run("errors", damaged.name)
    assert done.stdout.startswith(f"{errors['count']:,} of") and "is damaged" in done.stderr
    older = bests(damaged)[1].stem
    assert home.json("errors", damaged.name, "--checkpoint", older)["checkpoint"] == older
    page = tmp_path / "page.html"
    assert home.run("report", damaged.name, "--out", str(page)).returncode == 0
    assert "is damaged or gone" in page.read_text()
    shown = home.run("runs", "show", damaged.name).stdout
    assert "the test split was evaluated 2 times in this run" in shown
    rows = [line.split()[:2] for line in shown.splitlines() if line.startswith(("val ", "test "))]
    assert rows == [["val", "best"], ["test", "best"], ["test", older]]
