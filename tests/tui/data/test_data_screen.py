"""The Data screen: sizes, paging, splits, classes and help."""

from __future__ import annotations

from typing import cast

import pytest
from textual.widgets import Input, Static

from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.tui.base.dialogs import PickerDialog
from fmnist_tui.tui.help import KeyColumns
from fmnist_tui.tui.screens.data.browser import DatasetBrowser
from fmnist_tui.tui.screens.data.class_list import ClassList, DatasetHeader
from fmnist_tui.tui.screens.data.loading_pane import LoadingPane
from fmnist_tui.tui.screens.data.sample import SampleNumbers
from fmnist_tui.tui.screens.data.screen import DataScreen
from fmnist_tui.tui.widgets.image_view import ImageView
from tests.tui.conftest import OpenDashboard
from tests.tui.data.support import (
    FakeDatasets,
    browser,
    classes,
    dialog_problem,
    gallery,
    gallery_titles,
    header,
    keys,
    loading_text,
    numbers,
    rendered,
    sample,
    submit,
    type_text,
    wait_for_images,
    wait_for_text,
)
from tests.tui.support import wait_until

SIZES = [(50, 14), (80, 24), (120, 36), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
async def test_it_is_usable_at_every_size(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets, size: tuple[int, int]
) -> None:
    async with open_dashboard(size=size) as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        assert "[train]" in header(dashboard) and "60" in header(dashboard)
        last = gallery(dashboard).page_size
        assert f"{f'1–{last}' if last > 1 else '1'} of 60 ·" in gallery_titles(dashboard)
        assert "T-shirt" in rendered(gallery(dashboard))
        width = dashboard.screen.size.width
        for pane in (
            gallery(dashboard),
            classes(dashboard),
            dashboard.screen.query_one(DatasetHeader),
        ):
            assert pane.size.area and pane.region.right <= width
        assert rendered(classes(dashboard)).splitlines()[0].rstrip().endswith(" 6")
        await pilot.press("enter")
        await pilot.pause()
        assert sample(dashboard).has_focus
        assert sample(dashboard).query_one(ImageView).size.height >= 7
        assert "label  T-shirt/top" in numbers(dashboard)
        assert (
            dashboard.screen.query_one(SampleNumbers).region.bottom <= dashboard.screen.size.height
        )
        # If both fit, the values are shown beside the image from the beginning.
        await wait_until(pilot, lambda: sample(dashboard).has_class("-values") is (width == 200))


@pytest.mark.parametrize("size", SIZES)
async def test_without_a_dataset_it_shows_the_keys_at_every_size(
    open_dashboard: OpenDashboard, datasets: FakeDatasets, size: tuple[int, int]
) -> None:
    async with open_dashboard(size=size) as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        lines = loading_text(dashboard).splitlines()
        assert lines[0] == "Fashion-MNIST is not downloaded yet"
        assert [line[0] for line in lines if line[1:3] == "  "] == ["f", "S", "s"]
        assert dashboard.screen.query_one(Static).region.right <= size[0]
        assert "f Fetch" in keys(dashboard) and "Zoom" not in keys(dashboard)
        # Keys that need a dataset do nothing.
        await pilot.press("g", "a", "m", "z", "i", "p", "slash", "backspace", "escape")
        await pilot.pause()
        assert dashboard.screen.has_class("-loading")
        assert "is not downloaded yet" in loading_text(dashboard)


# -- paging, splits, classes --------------------------------------------------------------


async def test_paging_keys_reach_all_images(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        size, across = gallery(dashboard).page_size, gallery(dashboard).tile_layout.across
        steps = {
            "right": 1, "l": 2, "left": 1, "h": 0, "down": across, "up": 0, "j": across,
            "k": 0, "pagedown": size, "pageup": 0, "end": 59, "home": 0,
        }  # fmt: skip
        for key, number in steps.items():
            await pilot.press(key)
            await pilot.pause()
            assert gallery(dashboard).cursor == number, key
            assert f"index  #{number} of train" in numbers(dashboard), key
            assert f"number {number + 1} of 60" in numbers(dashboard), key
        await pilot.press("end")
        await pilot.pause()
        assert "60 of 60" in gallery_titles(dashboard)


async def test_p_and_clicks_change_the_split(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        for name, count in (("val", 10), ("test", 7), ("train", 60)):
            await pilot.press("p")
            await pilot.pause()
            assert f"[{name}]" in header(dashboard)
            assert gallery_titles(dashboard).startswith(name) and f"of {count}" in gallery_titles(
                dashboard
            )
        assert rendered(classes(dashboard)).splitlines()[0].rstrip().endswith(" 6")
        await pilot.click(DatasetHeader, offset=(15, 2))
        await pilot.pause()
        assert "[val]" in header(dashboard)
        assert rendered(classes(dashboard)).splitlines()[0].rstrip().endswith(" 1")
        await pilot.click(DatasetHeader, offset=(3, 1))
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))


async def test_a_key_pressed_while_the_dataset_changes_opens_no_hidden_filter(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        # Both in one turn, as when keys arrive faster than the focus changes.
        browser = dashboard.screen.query_one(DatasetBrowser)
        cast(DataScreen, dashboard.screen).load_dataset("mnist")
        browser.action_filter()
        await wait_until(pilot, lambda: isinstance(dashboard.focused, LoadingPane))
        await pilot.pause()
        assert isinstance(dashboard.focused, LoadingPane)
        await pilot.press("a")
        assert not browser.query_one("#filter", Input).value


async def test_a_key_never_goes_to_a_hidden_filter(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        cast(DataScreen, dashboard.screen).load_dataset("mnist")
        await wait_until(pilot, lambda: isinstance(dashboard.focused, LoadingPane))
        line = dashboard.screen.query_one("#filter", Input)
        dashboard.screen.set_focus(line)
        await pilot.press("a")
        assert isinstance(dashboard.focused, LoadingPane) and not line.value


async def test_the_focus_returns_after_the_terminal_was_too_small(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        assert dashboard.focused is gallery(dashboard)
        await pilot.resize_terminal(40, 10)
        await wait_until(pilot, lambda: dashboard.focused is None)
        await pilot.resize_terminal(120, 36)
        await wait_until(pilot, lambda: dashboard.focused is gallery(dashboard))


async def test_the_filter_narrows_as_it_is_typed(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash")
        await pilot.pause()
        assert dashboard.focused is not None and dashboard.focused.id == "filter"
        await type_text(pilot, "shirt")
        assert "train · T-shirt/top, Shirt | " in gallery_titles(
            dashboard
        ) and "of 12" in gallery_titles(dashboard)
        assert classes(dashboard).border_title == "2 of 10 classes"
        assert [line[0] for line in rendered(classes(dashboard)).splitlines()[:10]] == [
            *"●○○○○○●○○○"
        ]
        await type_text(pilot, "s")
        assert classes(dashboard).border_title == "no matching class"
        assert "of 12" in gallery_titles(dashboard)
        await pilot.press("enter")
        await pilot.pause()
        assert gallery(dashboard).has_focus
        assert not dashboard.screen.query_one("#filter").display
        assert classes(dashboard).border_title == "2 of 10 classes"
        await pilot.press("escape")
        await pilot.pause()
        assert classes(dashboard).border_title == "all classes" and "of 60" in gallery_titles(
            dashboard
        )
        await pilot.press("slash", "7")
        await pilot.pause()
        assert "train · Sneaker" in gallery_titles(dashboard)
        await pilot.press("escape")
        await pilot.pause()
        assert gallery(dashboard).has_focus and "of 60" in gallery_titles(dashboard)


async def test_classes_are_selected_by_keys_and_backspace_shows_all(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("tab")
        await pilot.pause()
        assert classes(dashboard).has_focus and "Select this class" in keys(dashboard)
        moves = {
            "down": 1, "j": 2, "up": 1, "k": 0, "end": 9, "home": 0, "pagedown": 9, "pageup": 0,
        }  # fmt: skip
        for key, number in moves.items():
            await pilot.press(key)
            assert classes(dashboard).cursor == number, key
        await pilot.press("end", "enter")
        await pilot.pause()
        assert "train · Ankle boot" in gallery_titles(dashboard) and "of 6 " in gallery_titles(
            dashboard
        )
        await pilot.press("up", "space")
        await pilot.pause()
        assert "train · Bag, Ankle boot" in gallery_titles(dashboard) and "of 12" in gallery_titles(
            dashboard
        )
        await pilot.press("enter")
        await pilot.pause()
        assert "train · Ankle boot" in gallery_titles(dashboard)
        await pilot.press("backspace")
        await pilot.pause()
        assert "train · all classes" in gallery_titles(dashboard)
        await pilot.click(ClassList, offset=(5, 1 + 3))
        await pilot.pause()
        assert "train · Dress" in gallery_titles(dashboard)


async def test_a_split_without_matching_images_is_reported(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash", "b", "a", "g", "enter", "enter")
        await pilot.pause()
        assert sample(dashboard).has_focus
        await pilot.press("p", "p")
        await pilot.pause()
        assert not browser(dashboard).is_single
        assert "no images of Bag in test" in rendered(gallery(dashboard))
        assert "backspace shows all classes" in rendered(gallery(dashboard))
        assert "test · Bag | none" in gallery_titles(dashboard) and numbers(dashboard) == ""
        await pilot.press("right", "enter", "m")
        await wait_until(pilot, lambda: "of 10" in gallery_titles(dashboard))
        await pilot.press("escape", "backspace")
        await wait_until(pilot, lambda: "of 7" in gallery_titles(dashboard))


async def test_g_goes_to_an_index_and_reports_why_one_is_invalid(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        shown = gallery(dashboard)
        await pilot.press("g")
        for text, problem in {
            "many": "“many” is not an index",
            "-3": "“-3” is not an index",
            "": "is not an index",
            "65": "#65 is in val, not in train",
            "9" * 30: "its indices are from 0 to 59",
        }.items():
            await submit(dashboard, pilot, text)
            assert problem in dialog_problem(dashboard)
            assert shown.cursor == 0
        await submit(dashboard, pilot, "#37")
        assert gallery(dashboard).cursor == 37 and "#37" in rendered(gallery(dashboard))
        await pilot.press("g", "escape")
        await pilot.pause()
        assert gallery(dashboard).cursor == 37


async def test_help_lists_every_key_of_the_screen(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("question_mark")
        await pilot.pause()
        text = dashboard.screen.query_one(KeyColumns).render().plain
        for what in (
            "Dataset", "Go to", "Augmented", "Means", "Zoom", "How images are drawn",
            "About this dataset", "Sketches (SYNTHETIC)", "Split", "Filter", "All classes",
            "Back", "Move", "Open",
        ):  # fmt: skip
            assert what in text


async def test_all_classes_are_listed_in_every_split(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("p", "p")
        await pilot.pause()
        lines = rendered(classes(dashboard)).splitlines()
        assert all(name in line for name, line in zip(GARMENTS, lines, strict=False))
        assert lines[8].rstrip().endswith(" 0") and lines[0].rstrip().endswith(" 2")
