"""Images as terminal cells, and the gallery: colours, layout, keys, mouse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import numpy.typing as npt
import pytest
from rich.color import ColorType
from rich.style import Style
from textual import events
from textual.app import App, ComposeResult
from textual.content import Content
from textual.pilot import Pilot

from fmnist_tui.render.cells import Run
from fmnist_tui.render.renderers import draw_image
from fmnist_tui.tui.widgets.gallery import ZOOMS, Gallery, Tile, plan_gallery
from fmnist_tui.tui.widgets.image_view import ImageView, fit_image, to_strips
from tests.tui.support import wait_until

BASE = Style.parse("#d7d7d7 on #121212")
RANDOM = np.random.default_rng(0)


def make_image(value: int | None = None, side: int = 28) -> npt.NDArray[np.uint8]:
    if value is not None:
        return np.full((side, side, 1), value, np.uint8)
    return RANDOM.integers(0, 256, (side, side, 1), np.uint8)


class GalleryApp(App[None]):
    """A gallery of numbered tiles; records which it fetches, and its messages."""

    def __init__(self, count: int = 100) -> None:
        super().__init__()
        self.count = count
        self.fetched: list[int] = []
        self.messages: list[tuple[str, int]] = []

    def compose(self) -> ComposeResult:
        yield Gallery()

    def on_mount(self) -> None:
        self.gallery.show(self.count, self.fetch, "nothing at all")
        self.gallery.focus()

    @property
    def gallery(self) -> Gallery:
        return self.query_one(Gallery)

    def fetch(self, number: int, _columns: int) -> Tile:
        self.fetched.append(number)
        return Tile(make_image(number % 256), Content(f"tile {number}"), Content(f"note {number}"))

    def on_gallery_cursor_moved(self, event: Gallery.CursorMoved) -> None:
        self.messages.append(("moved", event.number))

    def on_gallery_image_opened(self, event: Gallery.ImageOpened) -> None:
        self.messages.append(("opened", event.number))

    def line(self, y: int) -> str:
        return self.gallery.render_line(y).text

    def text(self) -> str:
        return "\n".join(self.line(y) for y in range(self.gallery.size.height))


@asynccontextmanager
async def open_gallery(
    count: int = 100, size: tuple[int, int] = (90, 32)
) -> AsyncIterator[tuple[GalleryApp, Pilot[None]]]:
    app = GalleryApp(count)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot


# -- cells -------------------------------------------------------------------------------


def test_greys_use_palette_numbers_that_textual_does_not_convert() -> None:
    segments = [
        segment
        for strip in to_strips(draw_image(make_image(), "halfblock", 28), BASE)
        for segment in strip
    ]
    for segment in segments:
        assert segment.style is not None
        for colour in (segment.style.color, segment.style.bgcolor):
            if colour is not None:
                assert colour.type == ColorType.EIGHT_BIT
                assert colour.triplet is not None  # without it Textual would convert to RGB


def test_a_grey_is_at_most_nine_levels_off() -> None:
    for level in range(256):
        (strip,) = to_strips(((Run(" ", None, (level, level, level)),),), BASE)
        (segment,) = strip
        assert segment.style is not None and segment.style.bgcolor is not None
        assert segment.style.bgcolor.triplet is not None
        assert abs(segment.style.bgcolor.triplet.red - level) <= 9


def test_equal_pixels_are_merged_into_one_segment_of_blanks() -> None:
    image = make_image(100)
    image[1::2] += 3
    (strip, *_) = to_strips(draw_image(image, "halfblock", 28), BASE)
    (segment,) = strip
    assert segment.text == " " * 28
    assert segment.style is not None and segment.style.color is None


def test_colours_are_sent_as_rgb() -> None:
    image = np.zeros((28, 28, 3), np.uint8)
    image[..., 0] = 200
    (strip, *_) = to_strips(draw_image(image, "halfblock", 28), BASE)
    (segment,) = strip
    assert segment.style is not None and segment.style.bgcolor is not None
    assert segment.style.bgcolor.triplet == (200, 0, 0)


def test_ascii_and_braille_have_the_style_of_the_widget() -> None:
    for kind in ("ascii", "braille"):
        (strip, *_) = to_strips(draw_image(make_image(255), kind, 14), BASE)
        assert {segment.style for segment in strip} == {BASE}


@pytest.mark.parametrize(
    ("height", "width", "columns", "rows", "found"),
    [
        (28, 28, 100, 100, 56),  # never more than two cells a pixel
        (28, 28, 40, 100, 40),
        (28, 28, 100, 10, 20),
        (100, 50, 40, 100, 80),  # tall: the longer side is twice the columns
        (28, 28, 0, 0, 1),
    ],
)
def test_an_image_is_as_large_as_its_space_allows(
    height: int, width: int, columns: int, rows: int, found: int
) -> None:
    assert fit_image(height, width, columns, rows) == found


async def test_an_image_is_centred_above_its_caption() -> None:
    class ImageApp(App[None]):
        def compose(self) -> ComposeResult:
            yield ImageView()

    app = ImageApp()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one(ImageView)
        view.renderer = "ascii"
        view.show(make_image(255), "a caption\nof two lines")
        await pilot.pause()
        lines = [view.render_line(y).text for y in range(20)]
        assert lines[0] == ("@" * 36).center(60)
        assert lines[18] == "a caption".rjust(34).ljust(60)
        assert lines[19].strip() == "of two lines"
        assert all(len(line) == 60 for line in lines)
        view.show(None, "nothing")
        assert "nothing" in [view.render_line(y).text.strip() for y in range(20)]
        view.renderer = "no such thing"
        assert view.renderer == "halfblock"


# -- layout ------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", list(ZOOMS))
@pytest.mark.parametrize("width", [7, 20, 50, 86, 160])
@pytest.mark.parametrize("height", [5, 8, 16, 32, 56])
def test_tiles_fit_the_space_and_fill_it(zoom: str, width: int, height: int) -> None:
    plan = plan_gallery(zoom, width, height)
    across, down = plan.pitch
    assert plan.left + plan.across * across - plan.gap <= width
    assert plan.down * down - plan.leading <= height
    assert plan.captions >= 1
    # One more column or row would not fit.
    assert (plan.across + 1) * (plan.columns + 1) - 1 > width
    assert (plan.down + 1) * (plan.rows + plan.captions) > height


def test_a_space_too_small_for_a_zoom_uses_the_next_smaller_zoom() -> None:
    assert plan_gallery("full", 86, 32).columns == 28
    assert plan_gallery("full", 86, 14).columns == 14
    assert plan_gallery("full", 13, 32).columns == 7
    assert plan_gallery("full", 3, 2).page_size == 1


# -- the gallery -----------------------------------------------------------------------------


async def test_only_the_tiles_of_the_page_are_fetched_each_once() -> None:
    async with open_gallery(60_000) as (app, pilot):
        assert app.gallery.page_size == 6
        assert sorted(app.fetched) == list(range(6))
        await pilot.press("pagedown", "pageup")
        await pilot.pause()
        assert sorted(app.fetched) == list(range(12))
        assert app.gallery.position == "1–6 of 60,000"


async def test_the_cursor_is_in_brackets_and_captions_are_below_the_images() -> None:
    async with open_gallery() as (app, pilot):
        assert app.line(14).split("  ")[0].strip() == "[tile 0]"
        assert "tile 1" in app.line(14) and "[tile 1]" not in app.line(14)
        assert "note 1" in app.line(15)
        await pilot.press("right")
        assert "[tile 1]" in app.line(14) and "[tile 0]" not in app.line(14)
        app.set_focus(None)
        await pilot.pause()
        assert "[tile 1]" in app.line(14)


async def test_keys_move_the_cursor_and_pages_follow() -> None:
    async with open_gallery() as (app, pilot):
        steps = {
            "right": 1, "l": 2, "left": 1, "h": 0, "down": 3, "up": 0, "j": 3, "k": 0,
            "pagedown": 6, "end": 99, "home": 0,
        }  # fmt: skip
        for key, number in steps.items():
            await pilot.press(key)
            assert app.gallery.cursor == number, key
        assert app.messages[-1] == ("moved", 0)
        await pilot.press("left", "up")
        assert app.gallery.cursor == 0
        app.gallery.go_to(50)
        assert app.gallery.page == 8
        await pilot.press("end", "right", "down")
        assert app.gallery.cursor == 99
        assert app.gallery.position == "97–100 of 100"


async def test_down_moves_to_the_end_of_a_shorter_last_row() -> None:
    async with open_gallery(5) as (app, pilot):
        await pilot.press("right", "right", "down")
        assert app.gallery.cursor == 4


async def test_enter_and_a_double_click_open_an_image() -> None:
    async with open_gallery() as (app, pilot):
        await pilot.press("right", "enter")
        assert app.messages[-1] == ("opened", 1)
        await pilot.click(Gallery, offset=(65, 5))
        assert app.gallery.cursor == 2
        await pilot.click(Gallery, offset=(5, 20), times=2)
        assert app.messages[-1] == ("opened", 3)


async def test_a_click_between_tiles_does_nothing() -> None:
    async with open_gallery(2) as (app, pilot):
        await pilot.press("right")
        await pilot.click(Gallery, offset=(5, 20))
        await pilot.click(Gallery, offset=(80, 5))
        assert app.gallery.cursor == 1


async def test_the_wheel_turns_pages() -> None:
    async with open_gallery() as (app, pilot):
        await pilot._post_mouse_events([events.MouseScrollDown], Gallery, offset=(5, 5))
        await pilot.pause()
        assert app.gallery.page == 1
        await pilot._post_mouse_events([events.MouseScrollUp], Gallery, offset=(5, 5))
        await pilot.pause()
        assert app.gallery.page == 0


async def test_zoom_and_renderer_redraw_and_invalid_ones_become_the_default() -> None:
    async with open_gallery() as (app, pilot):
        gallery = app.gallery
        gallery.zoom = "tiny"
        await pilot.pause()
        assert gallery.page_size > 60
        assert app.messages[-1] == ("moved", 0)
        gallery.renderer = "ascii"
        await pilot.pause()
        assert "tile 0" in app.text() and "▀" not in app.text()
        gallery.zoom, gallery.renderer = "huge", "crayon"
        assert (gallery.zoom, gallery.renderer) == ("full", "halfblock")


async def test_a_caption_that_needs_its_whole_width_has_no_brackets_at_the_cursor() -> None:
    async with open_gallery() as (app, pilot):
        captions = ["Sneaker", "Boot", "Sandals of all kinds"]
        app.gallery.show(3, lambda n, _: Tile(make_image(0), Content(captions[n])), "")
        app.gallery.zoom = "tiny"
        await pilot.pause()
        assert app.line(4).split()[:3] == ["Sneaker", "Boot", "Sandal…"]
        await pilot.press("right")
        assert "[Boot]" in app.line(4)


async def test_an_empty_gallery_shows_its_text() -> None:
    async with open_gallery(0) as (app, pilot):
        assert "nothing at all" in app.text()
        await pilot.press("right", "down", "pagedown", "end", "enter")
        await pilot.click(Gallery, offset=(5, 5))
        assert app.gallery.cursor == 0
        assert app.messages == []
        assert app.gallery.position == "none"


async def test_the_page_follows_the_cursor_through_a_resize() -> None:
    async with open_gallery() as (app, pilot):
        app.gallery.go_to(99)
        await pilot.resize_terminal(30, 10)
        await wait_until(pilot, lambda: "[tile 99]" in app.text())
        assert 99 in app.gallery.page_numbers
        await pilot.resize_terminal(3, 2)
        await wait_until(pilot, lambda: app.gallery.page_numbers == range(99, 100))
        assert app.gallery.position == "100 of 100"


async def test_a_new_border_title_redraws_no_image() -> None:
    async with open_gallery() as (app, pilot):
        app.gallery.styles.border = ("round", "red")
        await pilot.pause()
        lines: list[int] = []
        draw = app.gallery.render_line

        def count_line(y: int) -> object:
            lines.append(y)
            return draw(y)

        app.gallery.render_line = count_line  # type: ignore[method-assign, assignment]
        app.gallery.label(Content("a title"), Content("below"))
        await pilot.pause()
        assert lines == []
        assert app.gallery.border_title == "a title"


async def test_show_moves_the_cursor_to_the_position_within_the_images() -> None:
    async with open_gallery() as (app, _):
        app.gallery.show(10, app.fetch, "", at=7)
        assert app.gallery.cursor == 7
        app.gallery.show(4, app.fetch, "", at=7)
        assert app.gallery.cursor == 3
        app.gallery.show(4, app.fetch, "")
        assert app.gallery.cursor == 0
