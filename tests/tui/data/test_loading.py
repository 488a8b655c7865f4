"""The Data screen: loading a dataset, choosing one, files that disappear."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image
from textual.widgets import Input, OptionList, Static

from fmnist_tui.config import dataset_catalog
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.tui.base.dialogs import PickerDialog, TextDialog
from fmnist_tui.tui.screens.data import screen as data_screen
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.conftest import OpenDashboard
from tests.tui.data.support import (
    FakeDatasets,
    classes,
    dialog_problem,
    gallery_titles,
    header,
    is_loaded,
    loading_text,
    rendered,
    submit,
    wait_for_images,
    wait_for_text,
)
from tests.tui.support import record_toasts, wait_until


async def test_f_fetches_it_and_shows_the_sources_tried_and_the_progress(
    open_dashboard: OpenDashboard, datasets: FakeDatasets, app_state: AppState
) -> None:
    datasets.may_finish.clear()
    datasets.steps = [
        LoadStep("fashion", "data folder", "failed", "not found"),
        LoadStep("fashion", "mirrors", "progress", "images", 13 << 20, 26 << 20),
    ]
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("f")
        await wait_for_text(dashboard, pilot, "13.0 of 26.0 MB")
        assert loading_text(dashboard).startswith("fetching Fashion-MNIST")
        assert "· data folder: not found" in loading_text(dashboard)
        assert "━" * 20 + "─" * 20 in loading_text(dashboard)
        assert loading_text(dashboard).endswith("escape cancels")
        assert datasets.calls == [("fashion", True)]
        await pilot.press("f")
        await pilot.pause()
        assert datasets.calls == [("fashion", True)]
        datasets.may_finish.set()
        await wait_for_images(dashboard, pilot)
        assert "Fashion-MNIST" in header(dashboard)
    assert app_state.settings.get("dataset", "") == "fashion"


async def test_escape_cancels_and_a_dataset_that_arrives_later_is_not_shown(
    open_dashboard: OpenDashboard, datasets: FakeDatasets
) -> None:
    datasets.may_finish.clear()
    datasets.steps = [LoadStep("fashion", "mirrors", "progress", "images", 5, 10)]
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("enter")  # the same as f
        await wait_for_text(dashboard, pilot, "mirrors")
        await pilot.press("escape")
        await pilot.pause()
        assert datasets.cancelled is not None and datasets.cancelled.is_set()
        assert "cancelled; partial downloads are kept" in loading_text(dashboard)
        assert "· mirrors: not finished" in loading_text(dashboard)
        assert "f  try again" in loading_text(dashboard)
        datasets.may_finish.set()
        await wait_until(pilot, lambda: "fashion" in datasets.on_disk)
        await pilot.pause()
        assert dashboard.screen.has_class("-loading")


async def test_a_failure_is_shown_with_the_keys_and_f_tries_again(
    open_dashboard: OpenDashboard, datasets: FakeDatasets
) -> None:
    datasets.failure = "fashion: not found: mirrors: no network. Copy [these] files to a folder"
    datasets.steps = [
        LoadStep("fashion", "mirrors", "failed", "no route to \x1b[31m[host]"),
        LoadStep("fashion", "Debian package", "failed", "no apt here"),
    ]
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("f")
        await wait_for_text(dashboard, pilot, "cannot be loaded")
        first, second = loading_text(dashboard).splitlines()[:2]
        assert first == "Fashion-MNIST cannot be loaded"
        assert second == "Copy [these] files to a folder"  # the sources follow below
        assert "· mirrors: no route to ␛[31m[host]" in loading_text(dashboard)
        assert "f  try again" in loading_text(dashboard)
        assert "S  open sketches" in loading_text(dashboard)
        datasets.failure = ""
        await pilot.press("f")
        await wait_for_images(dashboard, pilot)


async def test_quitting_cancels_a_fetch(
    open_dashboard: OpenDashboard, datasets: FakeDatasets
) -> None:
    datasets.may_finish.clear()
    datasets.stops_on_cancel = True
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("f")
        await wait_until(pilot, lambda: bool(datasets.calls))
        assert datasets.cancelled is not None and not datasets.cancelled.is_set()
        await pilot.press("q")
    assert datasets.cancelled.is_set()


async def test_a_dataset_fetched_by_a_run_is_shown_on_return(
    open_dashboard: OpenDashboard, datasets: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("6")
        await pilot.pause()
        datasets.on_disk.add("fashion")
        await pilot.press("1")
        await wait_for_images(dashboard, pilot)
        assert datasets.calls == [("fashion", False)]


async def test_a_fetch_continues_while_another_screen_is_shown(
    open_dashboard: OpenDashboard, datasets: FakeDatasets
) -> None:
    datasets.may_finish.clear()
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("f")
        await wait_until(pilot, lambda: bool(datasets.calls))
        await pilot.press("6")
        await pilot.pause()
        datasets.may_finish.set()
        await wait_until(pilot, lambda: "fashion" in datasets.on_disk)
        await pilot.press("1")
        await wait_for_images(dashboard, pilot)


# -- choosing a dataset -------------------------------------------------------------------


async def test_s_lists_the_datasets_and_opens_the_chosen_one(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("s")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        listed = dashboard.screen.query_one(OptionList)
        lines = [str(option.prompt) for option in listed.options]
        assert len(lines) == len(dataset_catalog.DATASETS) + 1
        assert lines[0].startswith("✓ local   Fashion-MNIST") and "70,000 images" in lines[0]
        assert lines[1].startswith("· remote  MNIST")
        await submit(dashboard, pilot, "kuzu")
        await wait_for_text(dashboard, pilot, "Kuzushiji-MNIST is not downloaded yet")
        await pilot.press("s")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        await pilot.press("escape")
        await pilot.pause()
        assert "Kuzushiji-MNIST is not downloaded yet" in loading_text(dashboard)


async def test_shift_s_opens_sketches_marked_as_synthetic(
    open_dashboard: OpenDashboard, datasets: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("S")
        await wait_for_images(dashboard, pilot)
        assert "SYNTHETIC" in header(dashboard) and "SYNTHETIC" in gallery_titles(dashboard)
        assert "1 note on loading: press i" in header(dashboard)


async def test_i_describes_the_dataset(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(dashboard.screen, TextDialog)
        lines = str(dashboard.screen.query_one(Static).content).splitlines()
        assert lines[1:] == ["from a test", "train 60 · val 10 · test 7"]
        await pilot.press("escape", "S")
        await wait_until(pilot, lambda: is_loaded(dashboard) and "SYNTHETIC" in header(dashboard))
        await pilot.press("i")
        await pilot.pause()
        assert "a note about the reading" in str(dashboard.screen.query_one(Static).content)


def class_folders(where: Path) -> Path:
    for number, name in enumerate(["cat", "[red]dog"]):
        (where / name).mkdir(parents=True)
        for image in range(8):
            shade = 40 + 100 * number + image
            Image.new("L", (28, 28), shade).save(where / name / f"{image}.png")
    return where


async def test_a_folder_is_entered_and_browsed_and_may_disappear_and_return(
    open_dashboard: OpenDashboard,
    app_state: AppState,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(data_screen, "FILE_CHECK_INTERVAL", 0.05)
    app_state.settings.values["dataset"] = "fashion"
    folder, elsewhere = class_folders(tmp_path / "own images"), tmp_path / "elsewhere"
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("s")
        await submit(dashboard, pilot, "a folder of")
        await submit(dashboard, pilot, "folder:")
        problem = "“folder:” is not a dataset: enter folder:PATH or a name such as mnist"
        assert dialog_problem(dashboard) == problem
        assert dashboard.screen.query_one(Input).value == "folder:"
        await submit(dashboard, pilot, str(folder))  # a bare path
        await wait_for_images(dashboard, pilot)
        assert "own images" in header(dashboard) and "2 classes · 28×28 grey" in header(dashboard)
        assert "[red]dog" in rendered(classes(dashboard))

        folder.rename(elsewhere)
        await wait_until(pilot, lambda: "files missing, in memory" in header(dashboard))
        for key in ("right", "p", "m", "escape", "enter", "escape"):
            await pilot.press(key)
        await wait_until(pilot, lambda: "val" in gallery_titles(dashboard))
        await pilot.press("i")
        await pilot.pause()
        assert "The files are missing" in str(dashboard.screen.query_one(Static).content)
        await pilot.press("escape")
        elsewhere.rename(folder)
        await wait_until(pilot, lambda: "2 classes · 28×28 grey" in header(dashboard))

        # The folder is missing when it is read: the pane reports it, and f tries again.
        app_state.datasets._loaded.clear()
        folder.rename(elsewhere)
        await pilot.press("S")
        await wait_until(pilot, lambda: is_loaded(dashboard) and "SYNTHETIC" in header(dashboard))
        await pilot.press("s")
        await submit(dashboard, pilot, "a folder of")
        await submit(dashboard, pilot, f"folder:{folder}")
        await wait_for_text(dashboard, pilot, "cannot be loaded")
        assert "f  try again" in loading_text(dashboard)
        shutil.copytree(elsewhere, folder)
        await pilot.press("f")
        await wait_until(pilot, lambda: is_loaded(dashboard) and "own images" in header(dashboard))
    assert app_state.settings.get("dataset", "") == f"folder:{folder}"


@pytest.mark.parametrize("path", ["~nosuchuser/images", "x" * 300])
async def test_an_invalid_path_is_reported_in_the_pane(
    open_dashboard: OpenDashboard, app_state: AppState, path: str
) -> None:
    app_state.settings.values["dataset"] = "fashion"
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        for typed in (path, f"folder:{path}"):
            await pilot.press("s")
            await submit(dashboard, pilot, "a folder of")
            await submit(dashboard, pilot, typed)
            await wait_for_text(dashboard, pilot, "cannot be loaded")
            await pilot.press("S")
            await wait_until(
                pilot, lambda: is_loaded(dashboard) and "SYNTHETIC" in header(dashboard)
            )


async def test_unreadable_files_count_as_missing(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_screen, "FILE_CHECK_INTERVAL", 0.05)
    async with open_dashboard(size=(80, 24)) as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)

        def refused(name: str) -> bool:
            raise PermissionError(13, "Permission denied", name)

        toasts = record_toasts(monkeypatch)
        monkeypatch.setattr(dashboard.app_state.datasets, "is_present", refused)
        await wait_until(pilot, lambda: "files missing, in memory" in header(dashboard))
        assert toasts == []
