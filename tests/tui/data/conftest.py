"""Fixtures for tests of the Data screen."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.data.support import FakeDatasets


@pytest.fixture
def datasets(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDatasets]:
    """Only sketches are on disk; this is not the first start: a dataset has been chosen."""
    app_state.settings.values["dataset"] = "fashion"
    datasets = FakeDatasets(app_state)
    monkeypatch.setattr(app_state.datasets, "is_present", datasets.is_present)
    monkeypatch.setattr(app_state.datasets, "load", datasets.load)
    yield datasets
    datasets.may_finish.set()


@pytest.fixture
def with_fashion(datasets: FakeDatasets) -> FakeDatasets:
    """Sketches and Fashion-MNIST are on disk."""
    datasets.on_disk.add("fashion")
    return datasets


@pytest.fixture
def augment_calls(
    app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[RunConfig, Any, int, Any]]:
    """The calls of the session's `augment`, each with the future that it has returned."""
    calls: list[tuple[RunConfig, Any, int, Any]] = []

    def augmented(config: RunConfig, images: Any, seed: int) -> Future[Any]:
        future: Future[Any] = Future()
        calls.append((config, images, seed, future))
        return future

    monkeypatch.setattr(app_state.session, "augment", augmented)
    return calls
