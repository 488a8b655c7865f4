"""The README's pictures are those that `make pictures` takes of the program as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from fmnist_tui.tui.app import SCREENS
from tests.pictures.scenes import SCENES
from tests.pictures.session import TEXT

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "assets/screens"


def test_the_readme_shows_every_picture_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    taken = {f"{name}{scene.suffix}" for name, scene in SCENES.items()}
    assert set(re.findall(r"assets/screens/([\w.-]+)", readme)) == taken
    assert {path.name for path in FOLDER.iterdir()} == taken


@pytest.mark.parametrize("name", [name for name, scene in SCENES.items() if scene.suffix == ".png"])
def test_a_picture_shows_the_screens_that_there_are(name: str) -> None:
    tabs = "  ".join(f"{screen.KEY} {screen.TITLE}" for screen in SCREENS)
    with Image.open(FOLDER / f"{name}.png") as picture:
        assert tabs in str(picture.info[TEXT]).splitlines()[0]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200
