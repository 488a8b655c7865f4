"""A fake session, and what Evaluate shows."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.support import headline, predictions, wait_until


async def wait_for_scores(dashboard: Dashboard, pilot: Pilot[int], text: str = "accuracy") -> None:
    await wait_until(pilot, lambda: text in headline(dashboard))
    await pilot.pause()


class FakeSession:
    """Replaces the session: an evaluation is completed by `answer`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, app_state: AppState) -> None:
        self.requests: list[tuple[RunFolder, str]] = []
        self.futures: list[Future[Any]] = []
        monkeypatch.setattr(app_state.session, "evaluate", self._evaluate)

    def _evaluate(self, folder: RunFolder, split: str, *_: Any) -> Future[Any]:
        self.requests.append((folder, split))
        self.futures.append(Future())
        return self.futures[-1]

    def answer(self, seed: int = 5, step: int = 40, notes: tuple[str, ...] = ()) -> None:
        predicted = replace(predictions(self.requests[-1][1], seed=seed), step=step, epoch=2)
        figures = predicted.evaluation()
        result = SimpleNamespace(predictions=predicted, evaluation=figures, notes=notes)
        self.futures[-1].set_result(result)
