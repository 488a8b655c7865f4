"""A session over a small drawn data set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_tui.engine import job
from fmnist_tui.engine.session import Session
from tests.engine.support import blobs


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    def load(*_: object, **__: object) -> object:
        return blobs(64)

    monkeypatch.setattr(job, "load_wanted", load)
    monkeypatch.setattr("fmnist_tui.engine.workshop.load_wanted", load)
    with Session(tmp_path / "runs", tmp_path / "data") as opened:
        yield opened
