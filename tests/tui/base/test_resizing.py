"""Sizes that come faster than a screen can follow."""

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
from tests.tui.scripted import wait_until

# Both sides of every breakpoint, so that each brings other styles and with them another layout.
SMALL, LARGE = Size(48, 12), Size(170, 50)


async def chased(screen: Screen[object]) -> None:
    """Two sizes with something between them, as they lie in the queue of a busy screen."""
    for size in (SMALL, LARGE):
        screen.post_message(events.Resize(size, size))
        screen.post_message(events.Callback(callback=lambda: None))
    await asyncio.sleep(0.5)


@pytest.mark.parametrize("name", ["data", "predict", "evaluate"])
async def test_two_sizes_at_once_do_not_chase_each_other_for_ever(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with open_dashboard(name) as (dashboard, pilot):
        sizes = []
        resized = Screen._screen_resized

        def counted(screen: Screen[object], size: Size) -> None:
            sizes.append(size)
            # What would never end is ended here, for the test to tell of it.
            if len(sizes) < 100:
                resized(screen, size)

        monkeypatch.setattr(Screen, "_screen_resized", counted)
        dashboard._size = LARGE
        await chased(dashboard.screen)
        assert 0 < len(sizes) < 10
        await wait_until(pilot, lambda: dashboard.screen.size == LARGE)
        assert dashboard.screen.has_class("-wide") and not dashboard.screen.has_class("-small")


def test_every_screen_and_dialog_comes_to_rest() -> None:
    every: set[type[object]] = {
        *SCREENS,
        PromptDialog,
        JobsScreen,
        QuitDialog,
        ActionPalette,
        PickerDialog,
        ChoiceDialog,
        TextDialog,
    }
    assert not [screen for screen in every if not issubclass(screen, ResizableScreen)]
