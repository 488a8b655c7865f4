"""What happens around the dashboard: the tour, and the fetch that goes on meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from fmnist_tui.tui import launch
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.dataset_load import DatasetFetch


def test_a_tour_that_ends_the_program_ends_the_fetch_of_the_dashboard_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = Mock(spec=DatasetFetch)

    def run_app(app_state: AppState, *_: Any) -> str:
        app_state.fetch, app_state.wants_tour = fetch, True
        return ""

    monkeypatch.setattr(launch, "_run_app", run_app)
    monkeypatch.setattr(launch, "open_tour", lambda *_, **__: 130)
    assert launch.open_dashboard(tmp_path / "runs", tmp_path / "data") == 130
    fetch.end.assert_called_once()
