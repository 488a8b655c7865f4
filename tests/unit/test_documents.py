"""CONTRIBUTING.md names files and identifiers that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("fmnist_tui", "tests", "configs")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".toml")
)


def test_every_file_and_folder_that_it_names_exists() -> None:
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?)`", TEXT))
    assert len(named) > 20
    missing = [
        name
        for name in named
        if "NAME" not in name
        and not any((ROOT / base / name).exists() for base in ("", "fmnist_tui"))
    ]
    assert missing == []


def test_every_folder_of_the_package_is_in_the_map() -> None:
    listed = set(re.findall(r"(\w+)/", TEXT.split("```")[1]))
    folders = {
        folder.name
        for top in ((ROOT / "fmnist_tui").iterdir())
        for folder in (top, *(top.iterdir() if top.is_dir() else ()))
        if folder.is_dir() and any(folder.glob("*.py"))
    }
    assert folders - listed - {"__pycache__"} == set()


def test_every_module_is_in_the_map() -> None:
    """Except in folders of like things, and in those of the screens."""
    listed = set(re.findall(r"\w+", TEXT.split("```")[1]))
    modules = {
        path
        for path in (ROOT / "fmnist_tui").rglob("*.py")
        if not path.stem.startswith("_")
        and path.parent.name not in ("models", "optim", "commands")
        and path.parent.parent.name != "screens"
    }
    assert {path.name for path in modules if path.stem not in listed} == set()


def test_every_identifier_that_it_names_is_in_the_source() -> None:
    named = set(re.findall(r"`@?([A-Za-z_]+(?:\.[a-z_]+)?)(?:\([^`]*\))?`", TEXT))
    words = {
        part for name in named if re.search(r"[A-Z].*[a-z]|_", name) for part in name.split(".")
    }
    assert len(words) > 15
    known = {"Static", "README", "md"}
    assert {word for word in words - known if not re.search(rf"\b{word}\b", SOURCE)} == set()
