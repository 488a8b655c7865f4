"""A session whose dataset is small and generated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_tui.engine.checkpoints import weights_source
from fmnist_tui.engine.session import run_training
from fmnist_tui.engine.session.session import Session
from tests.e2e.support import FORK_SERVER
from tests.engine.support import blobs


@pytest.fixture(autouse=True)
def forked_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that read untrusted files have torch imported already."""

    def command(module: str) -> list[str]:
        return [FORK_SERVER.python(), "-P", "-m", module]

    monkeypatch.setattr(weights_source, "program_command", command)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    def load(*_: object, **__: object) -> object:
        return blobs(64)

    monkeypatch.setattr(run_training, "load_dataset_for", load)
    monkeypatch.setattr("fmnist_tui.engine.session.small_jobs.load_dataset_for", load)
    with Session(tmp_path / "runs", tmp_path / "data") as opened:
        yield opened
