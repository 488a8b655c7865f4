"""Resize events that arrive faster than a screen handles them."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.geometry import Size
from textual.screen import Screen

from fmnist_tui.tui.app import SCREENS
from fmnist_tui.tui.base.dialogs import (
    ChoiceDialog,
    PickerDialog,
    PromptDialog,
    QuitDialog,
    TextDialog,
)
from fmnist_tui.tui.base.resizing import ResizableScreen
from fmnist_tui.tui.command_palette import ActionPalette
from fmnist_tui.tui.jobs.screen import JobsScreen
from tests.tui.conftest import OpenDashboard
from tests.tui.support import wait_until

# Below and above every breakpoint, so that each change of size changes styles and layout.
SMALL, LARGE = Size(48, 12), Size(170, 50)


async def resize_twice(screen: Screen[object]) -> None:
    """Queue two resize events with another event between them, as on a busy screen."""
    for size in (SMALL, LARGE):
        screen.post_message(events.Resize(size, size))
        screen.post_message(events.Callback(callback=lambda: None))
    await asyncio.sleep(0.5)


@pytest.mark.parametrize("name", ["data", "predict", "evaluate"])
async def test_two_queued_resizes_do_not_repeat_forever(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with open_dashboard(name) as (dashboard, pilot):
        sizes = []
        resized = Screen._screen_resized

        def count_resize(screen: Screen[object], size: Size) -> None:
            sizes.append(size)
            # Ends an endless loop, so that the test can fail.
            if len(sizes) < 100:
                resized(screen, size)

        monkeypatch.setattr(Screen, "_screen_resized", count_resize)
        dashboard._size = LARGE
        await resize_twice(dashboard.screen)
        assert 0 < len(sizes) < 10
        await wait_until(pilot, lambda: dashboard.screen.size == LARGE)
        assert dashboard.screen.has_class("-wide") and not dashboard.screen.has_class("-small")


@pytest.mark.parametrize("key", ["s", "ctrl+p", "question_mark", "E"])
async def test_a_dialog_is_drawn_in_a_terminal_of_one_cell_too(
    open_dashboard: OpenDashboard, key: str
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        await pilot.press(key)
        await wait_until(pilot, lambda: len(dashboard.screen_stack) == 2)
        for size in ((1, 1), (3, 1), (7, 30)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert dashboard.screen.size == size
        assert dashboard.is_running


def test_every_screen_and_dialog_is_resizable() -> None:
    screens: set[type[object]] = {
        *SCREENS,
        PromptDialog,
        JobsScreen,
        QuitDialog,
        ActionPalette,
        PickerDialog,
        ChoiceDialog,
        TextDialog,
    }
    assert not [screen for screen in screens if not issubclass(screen, ResizableScreen)]
