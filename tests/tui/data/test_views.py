"""The Data screen: zoom and renderer, class means, single images, augmentation."""

from __future__ import annotations

from typing import Any

import pytest

from fmnist_tui.tui.screens.data.sample import PixelValues
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.image_view import ImageView
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import OpenDashboard
from tests.tui.data.support import (
    FakeDatasets,
    classes,
    gallery,
    gallery_lines,
    gallery_titles,
    numbers,
    rendered,
    sample,
    submit,
    wait_for_images,
)
from tests.tui.support import CONFIG, make_run, record_toasts, wait_until


async def test_z_and_r_change_zoom_and_renderer_and_save_them(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets, app_state: AppState
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        sizes = []
        for zoom in ("small", "tiny", "full"):
            await pilot.press("z")
            await pilot.pause()
            assert f"· {zoom} ·" in gallery_titles(dashboard)
            assert app_state.settings.get("data.zoom", "") == zoom
            sizes.append(gallery(dashboard).page_size)
        assert sizes[1] > sizes[0] > sizes[2]
        marks = {"braille": "⣿", "ascii": "@", "halfblock": "▀"}
        for _ in marks:
            await pilot.press("r")
            await pilot.pause()
            kind = app_state.settings.get("renderer", "")
            assert gallery_titles(dashboard).endswith(f"· {kind}")
            text = rendered(gallery(dashboard))
            assert [mark in text for mark in marks.values()].count(True) <= 1
            if kind != "halfblock":
                assert any(ord(letter) > 0x2800 for letter in text) is (kind == "braille")
        assert kind == "halfblock"
        await pilot.press("r")
        await pilot.press("6", "1")
        await pilot.pause()
        assert (
            gallery_titles(dashboard).endswith(app_state.renderer)
            and app_state.renderer != "halfblock"
        )


async def test_r_reports_why_it_changes_nothing_under_ascii(
    open_dashboard: OpenDashboard,
    with_fashion: FakeDatasets,
    app_state: AppState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app_state.ascii = True
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        toasts = record_toasts(monkeypatch)
        await pilot.press("r")
        await pilot.pause()
        assert gallery_titles(dashboard).endswith("ascii") and "--ascii" in toasts[0]
        assert app_state.settings.get("renderer", "none") == "none"


async def test_m_shows_class_means_and_enter_the_images_of_the_class(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("m")
        await wait_until(pilot, lambda: "class means" in gallery_titles(dashboard))
        assert "of 10" in gallery_titles(dashboard) and "count  6 in train" in numbers(dashboard)
        await pilot.press("tab", "p")  # class means of the next split
        await wait_until(pilot, lambda: "count  1 in val" in numbers(dashboard))
        await wait_until(pilot, lambda: gallery_titles(dashboard).startswith("val · class means"))
        assert classes(dashboard).has_focus
        await pilot.press("shift+tab", "right", "enter")
        await pilot.pause()
        assert "val · Trouser" in gallery_titles(dashboard) and "of 1 " in gallery_titles(dashboard)
        await pilot.press("escape", "m")
        await wait_until(pilot, lambda: "class means" in gallery_titles(dashboard))
        await pilot.press("escape")
        await pilot.pause()
        assert "val · all classes" in gallery_titles(dashboard)
        await pilot.press("m")
        await wait_until(pilot, lambda: "class means" in gallery_titles(dashboard))
        await pilot.press("g")
        await submit(dashboard, pilot, "63")
        assert "val · all classes" in gallery_titles(dashboard) and gallery(dashboard).cursor == 3


async def test_m_leads_to_the_class_means_and_back_to_the_images(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("m")
        await wait_until(pilot, lambda: "class means" in gallery_titles(dashboard))
        await pilot.press("m")
        await pilot.pause()
        assert "train · all classes" in gallery_titles(dashboard)


async def test_enter_shows_one_image_with_its_statistics_and_values(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("right", "enter")
        await pilot.pause()
        view = sample(dashboard)
        assert view.has_focus and not gallery(dashboard).display
        assert "Trouser  #1 of train  2 of 60" in rendered(view.query_one(ImageView))
        assert "pixels 0–56, mean 11.4" in numbers(dashboard)
        assert "dark   79.6 % below 32" in numbers(dashboard)
        steps = {
            "right": 2, "l": 3, "left": 2, "h": 1, "pagedown": 11, "pageup": 1,
        }  # fmt: skip
        for key, number in steps.items():
            await pilot.press(key)
            await pilot.pause()
            assert f"#{number} of train" in rendered(view.query_one(ImageView)), key
            assert f"index  #{number} of train" in numbers(dashboard), key
        await pilot.press("v")
        await pilot.pause()
        values = view.query_one(PixelValues)
        assert not view.query_one(ImageView).display
        lines = [line.strip() for line in rendered(values).splitlines() if line.strip()]
        assert len(lines) == 28
        assert lines[1] == "00" * 4 + "38" * 20 + "00" * 4  # 56 in hexadecimal
        await pilot.press("v")
        await pilot.pause()
        assert view.query_one(ImageView).display and not values.display
        await pilot.press("escape")
        await pilot.pause()
        assert gallery(dashboard).has_focus and gallery(dashboard).cursor == 1


async def test_arrows_scroll_values_that_do_not_fit(
    open_dashboard: OpenDashboard, with_fashion: FakeDatasets
) -> None:
    async with open_dashboard(size=(80, 24)) as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("enter", "v")
        await pilot.pause()
        values = sample(dashboard).query_one(PixelValues)
        hidden = 28 - values.size.height
        for key, top in {"down": 1, "j": 2, "up": 1, "k": 0}.items():
            await pilot.press(key)
            assert values.top == top, key
        assert "3" * 20 in rendered(values).splitlines()[0]  # the first of two digits
        await pilot.press(*["down"] * 30)
        assert values.top == hidden > 0
        assert "3" not in rendered(values).splitlines()[0]


# -- augmented images ---------------------------------------------------------------------


async def test_a_augments_the_images_with_new_random_numbers_each_time(
    open_dashboard: OpenDashboard,
    with_fashion: FakeDatasets,
    augment_calls: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FMNIST_TUI_FLIP", "true")
    monkeypatch.setenv("FMNIST_TUI_SHIFT", "2")
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("a")
        await pilot.pause()
        assert "…" in rendered(gallery(dashboard))  # not augmented yet
        assert "augmented: flip, shift 2 · recipe two-conv" in gallery_titles(dashboard)
        config, images, seed, future = augment_calls[-1]
        assert (config.flip, config.shift) == (True, 2)
        assert len(images) == gallery(dashboard).page_size
        future.set_result(255 - images)
        await wait_until(pilot, lambda: "pixels 200–255" in numbers(dashboard))
        assert "…" not in rendered(gallery(dashboard))
        once = gallery_lines(dashboard)
        await pilot.press("a")
        await pilot.pause()
        assert len(augment_calls) == 2 and augment_calls[1][2] != seed
        augment_calls[1][3].set_result(images // 2)
        await wait_until(pilot, lambda: "pixels 0–27" in numbers(dashboard))
        assert gallery_lines(dashboard) != once
        # Another page is augmented when it is shown.
        await pilot.press("pagedown")
        await pilot.pause()
        assert len(augment_calls) == 3 and "…" in rendered(gallery(dashboard))
        # Another split cancels the pending request.
        await pilot.press("p")
        await pilot.pause()
        late, now = augment_calls[2], augment_calls[-1]
        assert len(augment_calls) == 4
        assert late[3].cancelled()
        assert "…" in rendered(gallery(dashboard))
        now[3].set_result(now[1])
        await wait_until(pilot, lambda: "#60" in rendered(gallery(dashboard)))
        await pilot.press("escape")
        await pilot.pause()
        assert "val · all classes" in gallery_titles(dashboard)


async def test_a_after_class_means_shows_augmented_images(
    open_dashboard: OpenDashboard,
    with_fashion: FakeDatasets,
    augment_calls: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FMNIST_TUI_FLIP", "true")
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("m")
        await wait_until(pilot, lambda: "class means" in gallery_titles(dashboard))
        await pilot.press("a")
        await wait_until(pilot, lambda: bool(augment_calls))
        assert "augmented: flip" in gallery_titles(dashboard) and "of 60" in gallery_titles(
            dashboard
        )


async def test_a_failed_augmentation_leaves_the_original_images(
    open_dashboard: OpenDashboard,
    with_fashion: FakeDatasets,
    augment_calls: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        toasts = record_toasts(monkeypatch)
        await pilot.press("a")
        await pilot.pause()
        assert "recipe two-conv has no augmentation" in toasts[-1] and "(2)" in toasts[-1]
        monkeypatch.setenv("FMNIST_TUI_FLIP", "perhaps")
        await pilot.press("a")
        await pilot.pause()
        assert "perhaps" in toasts[-1]
        assert len(toasts) == 2 and not augment_calls
        assert "train · all classes" in gallery_titles(dashboard)
        monkeypatch.setenv("FMNIST_TUI_FLIP", "true")
        await pilot.press("a")
        await pilot.pause()
        augment_calls[-1][3].set_exception(UserError("torch is missing"))
        await wait_until(pilot, lambda: toasts[-1] == "torch is missing")
        assert "train · all classes" in gallery_titles(dashboard) and "…" not in rendered(
            gallery(dashboard)
        )
        await pilot.press("right")
        await pilot.pause()
        assert len(toasts) == 3 and len(augment_calls) == 1


async def test_the_augmentation_is_that_of_the_followed_run_or_the_form(
    open_dashboard: OpenDashboard,
    with_fashion: FakeDatasets,
    augment_calls: list[Any],
    app_state: AppState,
) -> None:
    async with open_dashboard() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        dashboard.edit_config(CONFIG.changed(shift=3).model_dump())
        await pilot.pause()
        await pilot.press("1", "a")
        await wait_until(pilot, lambda: bool(augment_calls))
        assert "augmented: shift 3 · tiny on Train" in gallery_titles(dashboard)
        folder = make_run(app_state.runs_dir, CONFIG.changed(flip=True, shift=0))
        dashboard.show_run(RunFeed.open(folder))
        await pilot.press("a")
        await wait_until(pilot, lambda: len(augment_calls) == 2)
        assert "augmented: flip · run " in gallery_titles(dashboard)
