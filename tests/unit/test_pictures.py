"""The README's pictures are those that `make pictures` takes of the program as it is."""

from __future__ import annotations

import re
import tomllib
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


def test_a_wheel_has_all_of_the_assets_but_the_pictures() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    shipped = {
        file
        for path in map(ROOT.joinpath, included)
        for file in (path, *path.rglob("*"))
        if file.is_file()
    }
    left_out = {file for file in (ROOT / "assets").rglob("*") if file.is_file()} - shipped
    assert left_out == set(FOLDER.iterdir())


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200
