"""`predict --watch`: the same watcher as the Predict screen's, with a model that is not there."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fmnist_tui.cli.commands import predict
from fmnist_tui.cli.support import options
from fmnist_tui.data.images import image_folder
from fmnist_tui.engine.inference.predict import Prediction


class FakeSession:
    """Every image is a bag. Before each prediction the next of `changes` is made."""

    def __init__(self, changes: list[Any]) -> None:
        self._changes = changes
        self.predicted: list[str] = []

    def predict(self, source: Path, files: list[Path], device: str) -> Future[list[Prediction]]:
        self.predicted += [file.name for file in files]
        if not self._changes:
            raise KeyboardInterrupt
        self._changes.pop(0)()
        result: Future[list[Prediction]] = Future()
        result.set_result([Prediction(file, (("Bag", 0.97),)) for file in files])
        return result


def test_watch_reports_new_and_changed_images_and_survives_one_that_vanishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(image_folder, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(image_folder, "POLL_SECONDS", 0.01)
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    first.write_bytes(b"1")

    def add_second() -> None:
        second.write_bytes(b"2")
        first.unlink()

    def change_second() -> None:
        second.write_bytes(b"changed")

    session = FakeSession([add_second, change_second])

    @contextlib.contextmanager
    def open_session(_: argparse.Namespace) -> Iterator[FakeSession]:
        yield session

    monkeypatch.setattr(options, "open_session", open_session)
    monkeypatch.setattr(options, "find_model", lambda _: tmp_path)
    args = SimpleNamespace(watch=True, json=False, csv=False, files=[str(tmp_path)], device="cpu")
    with pytest.raises(KeyboardInterrupt):
        predict.run(args)  # type: ignore[arg-type]
    assert session.predicted == ["first.png", "second.png", "second.png"]
    assert "second.png: Bag 97.0 %" in capsys.readouterr().out
