"""Every text that is painted can be read: its contrast is at least 4.5 to 1, in every theme."""

from __future__ import annotations

from collections.abc import Iterator

from rich.segment import Segment
from textual.color import Color
from textual.filter import DimFilter
from textual.screen import ModalScreen

from fmnist_tui.tui import theme as themes
from fmnist_tui.tui.app import SCREENS, Dashboard
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.theme import contrast_ratio
from tests.tui.conftest import OpenDashboard
from tests.tui.support import make_run

READABLE = 4.5


def painted(dashboard: Dashboard) -> Iterator[Segment]:
    """The pieces of text on the screen with letters or figures in them."""
    background = Color.parse(dashboard.theme_variables["background"])
    screen = dashboard.screen
    strips = screen._compositor.render_strips()
    # Around a dialog is what it covers, dimmed.
    box = screen.children[0].region if isinstance(screen, ModalScreen) else screen.region
    for strip in strips[box.y : box.bottom]:
        for segment in DimFilter().apply(list(strip.crop(box.x, box.right)), background):
            if any(sign.isascii() and sign.isalnum() for sign in segment.text):
                yield segment


def contrast(segment: Segment) -> float:
    style = segment.style
    if style is None or style.color is None or style.bgcolor is None:
        return 21.0
    text, ground = (Color(*colour.get_truecolor()) for colour in (style.color, style.bgcolor))
    return contrast_ratio(text, ground)


async def test_all_text_of_all_screens_has_enough_contrast_in_both_themes(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    run = make_run(app_state.runs_dir)
    app_state.feed, app_state.selected_run = RunFeed.open(run), run
    poor: dict[tuple[object, ...], str] = {}
    count = 0
    async with open_dashboard("data") as (dashboard, pilot):
        for theme in (themes.DARK, themes.LIGHT):
            dashboard.theme = theme
            for screen in SCREENS:
                dashboard.show(screen.NAME)
                await pilot.pause()
                await pilot.pause()
                for keys in ((), ("question_mark",), ("escape", "ctrl+p")):
                    await pilot.press(*keys)
                    await pilot.pause()
                    for segment in painted(dashboard):
                        count += 1
                        ratio = contrast(segment)
                        if ratio < READABLE:
                            where = (theme, dashboard.screen.__class__.__name__, str(segment.style))
                            poor[where] = f"{ratio:.1f} {segment.text.strip()[:30]}"
                await pilot.press("escape")
                await pilot.pause()
    assert count > 1000
    assert [f"{where}: {what}" for where, what in poor.items()] == []


async def test_the_themes_of_textual_have_enough_contrast_and_those_of_the_terminal_are_drawn(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    run = make_run(app_state.runs_dir)
    app_state.feed, app_state.selected_run = RunFeed.open(run), run
    poor: set[str] = set()
    measured = set()
    async with open_dashboard("evaluate") as (dashboard, pilot):
        for theme in dashboard.available_themes.values():
            dashboard.theme = theme.name
            screens = [screen.NAME for screen in SCREENS] if theme.ansi else ["evaluate"]
            for name in screens:
                dashboard.show(name)
                await pilot.pause()
                await pilot.pause()
                if not theme.ansi:
                    measured.add(theme.name)
                    poor |= {
                        f"{theme.name}: {segment.style} {segment.text.strip()[:30]}"
                        for segment in painted(dashboard)
                        if contrast(segment) < READABLE
                    }
    assert len(measured) > 15
    assert poor == set()
