"""The welcome: the first dataset arrives by itself, and one key trains."""

from __future__ import annotations

import pytest

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.screens.data.class_list import DatasetHeader
from fmnist_tui.tui.screens.data.welcome import WelcomePane
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.conftest import OpenDashboard
from tests.tui.data.support import FakeDatasets, header, keys, wait_for_images
from tests.tui.support import make_run, record_toasts, wait_until


@pytest.fixture
def first(app_state: AppState, datasets: FakeDatasets) -> FakeDatasets:
    """A first start; the dataset arrives when the test lets it."""
    app_state.settings.values.clear()
    datasets.may_finish.clear()
    return datasets


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The runs that are started, without training."""
    configs: list[RunConfig] = []

    def start(_: Dashboard, config: RunConfig) -> bool:
        configs.append(config)
        return True

    monkeypatch.setattr(Dashboard, "start_run", start)
    return configs


def text(dashboard: Dashboard) -> str:
    return dashboard.screen.query_one(WelcomePane).text


async def test_the_first_dataset_arrives_by_itself_and_the_key_pressed_meanwhile_trains_on_it(
    open_dashboard: OpenDashboard,
    app_state: AppState,
    first: FakeDatasets,
    started: list[RunConfig],
) -> None:
    first.steps = [
        LoadStep("fashion", "data folder", "failed", "nothing there"),
        LoadStep("fashion", "mirrors", "progress", "images", 13 << 20, 26 << 20),
    ]
    async with open_dashboard() as (dashboard, pilot):
        await wait_until(pilot, lambda: "Fashion-MNIST is on its way" in text(dashboard))
        await wait_until(pilot, lambda: "13.0 of 26.0 MB" in text(dashboard))
        assert "· data folder: nothing there" in text(dashboard) and "✗" not in text(dashboard)
        await wait_until(pilot, lambda: "SYNTHETIC" in text(dashboard))
        assert "train fast when they are here" in text(dashboard)
        assert "space Train" in keys(dashboard)
        await pilot.press("space")
        assert "training starts when the images are here" in text(dashboard)
        await pilot.press("enter")  # the sketches, meanwhile
        await wait_for_images(dashboard, pilot)
        assert "SYNTHETIC" in header(dashboard)
        shown = dashboard.screen.query_one(DatasetHeader)
        assert str(shown.border_subtitle) == "Fashion-MNIST 50 %"
        await pilot.press("escape")
        await wait_until(pilot, lambda: dashboard.screen.has_class("-welcome"))
        assert started == []
        first.may_finish.set()
        await wait_until(pilot, lambda: bool(started))
        assert (started[0].recipe, started[0].dataset) == ("fast", "fashion")
        assert dashboard.current_mode == "train"
    assert first.calls.count(("fashion", True)) == 1
    assert app_state.settings.get("dataset") == ""  # nobody has chosen one


async def test_where_no_source_has_it_the_key_trains_on_the_sketches_and_f_tries_again(
    open_dashboard: OpenDashboard, first: FakeDatasets, started: list[RunConfig]
) -> None:
    first.may_finish.set()
    first.failure = "fashion: no network. Copy the files to a folder"
    first.steps = [LoadStep("fashion", "mirrors", "failed", "no route")]
    async with open_dashboard(size=(80, 24)) as (dashboard, pilot):
        await wait_until(pilot, lambda: "could not be fetched" in text(dashboard))
        assert "\nCopy the files to a folder\n· mirrors: no route" in text(dashboard)
        await pilot.press("space")
        assert [config.dataset for config in started] == ["sketches"]
        first.failure = ""
        await pilot.press("1", "f")
        await wait_until(pilot, lambda: "Fashion-MNIST is here" in text(dashboard))
        await pilot.press("space")
        assert [config.dataset for config in started] == ["sketches", "fashion"]


async def test_it_arrives_while_another_screen_is_shown_and_a_toast_says_so(
    open_dashboard: OpenDashboard, first: FakeDatasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    toasts = record_toasts(monkeypatch)
    async with open_dashboard() as (dashboard, pilot):
        await wait_until(pilot, lambda: "on its way" in text(dashboard))
        await pilot.press("6")
        first.may_finish.set()
        await wait_until(pilot, lambda: toasts == ["Fashion-MNIST is here"])


async def test_with_a_run_or_a_chosen_dataset_there_is_no_welcome_and_nothing_is_fetched(
    open_dashboard: OpenDashboard, app_state: AppState, first: FakeDatasets
) -> None:
    make_run(app_state.runs_dir, splits=())
    async with open_dashboard() as (dashboard, pilot):
        await wait_until(pilot, lambda: "f Fetch" in keys(dashboard))
        assert not dashboard.screen.has_class("-welcome")
    assert app_state.fetch is None and first.calls == []
