"""`sketches` is drawn once for all tests of this folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fmnist_tui.data import load
from fmnist_tui.data.dataset import Dataset

_LOAD = load.load_dataset


@cache
def _sketches() -> Dataset:
    return _LOAD("sketches", data_dir=Path("nowhere"))


@pytest.fixture(autouse=True)
def draw_sketches_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(name: str, **options: Any) -> Dataset:
        return _sketches() if name == "sketches" else _LOAD(name, **options)

    monkeypatch.setattr(load, "load_dataset", loaded)
