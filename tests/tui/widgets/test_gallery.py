"""Pictures in cells and galleries of them: colours, layout, keys, mouse."""

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


def picture(value: int | None = None, side: int = 28) -> npt.NDArray[np.uint8]:
    if value is not None:
        return np.full((side, side, 1), value, np.uint8)
    return RANDOM.integers(0, 256, (side, side, 1), np.uint8)


class Shown(App[None]):
    """A gallery of numbered tiles, which remembers what it was asked and what it said."""

    def __init__(self, count: int = 100) -> None:
        super().__init__()
        self.count = count
        self.fetched: list[int] = []
        self.said: list[tuple[str, int]] = []

    def compose(self) -> ComposeResult:
        yield Gallery()

    def on_mount(self) -> None:
        self.gallery.show(self.count, self.fetch, "nothing at all")
        self.gallery.focus()

    @property
    def gallery(self) -> Gallery:
        return self.query_one(Gallery)

    def fetch(self, number: int) -> Tile:
        self.fetched.append(number)
        return Tile(picture(number % 256), Content(f"tile {number}"), Content(f"note {number}"))

    def on_gallery_cursor_moved(self, event: Gallery.CursorMoved) -> None:
        self.said.append(("moved", event.number))

    def on_gallery_image_opened(self, event: Gallery.ImageOpened) -> None:
        self.said.append(("opened", event.number))

    def line(self, y: int) -> str:
        return self.gallery.render_line(y).text

    def text(self) -> str:
        return "\n".join(self.line(y) for y in range(self.gallery.size.height))


@asynccontextmanager
async def shown(
    count: int = 100, size: tuple[int, int] = (90, 32)
) -> AsyncIterator[tuple[Shown, Pilot[None]]]:
    app = Shown(count)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot


# -- cells -------------------------------------------------------------------------------


def test_greys_are_written_as_numbers_of_the_palette_that_textual_leaves_alone() -> None:
    segments = [
        segment
        for strip in to_strips(draw_image(picture(), "halfblock", 28), BASE)
        for segment in strip
    ]
    for segment in segments:
        assert segment.style is not None
        for colour in (segment.style.color, segment.style.bgcolor):
            if colour is not None:
                assert colour.type == ColorType.EIGHT_BIT
                assert colour.triplet is not None  # without it, it would become red, green, blue


def test_a_grey_is_at_most_nine_levels_off() -> None:
    for level in range(256):
        (strip,) = to_strips(((Run(" ", None, (level, level, level)),),), BASE)
        (segment,) = strip
        assert segment.style is not None and segment.style.bgcolor is not None
        assert segment.style.bgcolor.triplet is not None
        assert abs(segment.style.bgcolor.triplet.red - level) <= 9


def test_equal_neighbours_and_near_equal_halves_are_one_segment_of_blanks() -> None:
    image = picture(100)
    image[1::2] += 3
    (strip, *_) = to_strips(draw_image(image, "halfblock", 28), BASE)
    (segment,) = strip
    assert segment.text == " " * 28
    assert segment.style is not None and segment.style.color is None


def test_colours_stay_colours() -> None:
    image = np.zeros((28, 28, 3), np.uint8)
    image[..., 0] = 200
    (strip, *_) = to_strips(draw_image(image, "halfblock", 28), BASE)
    (segment,) = strip
    assert segment.style is not None and segment.style.bgcolor is not None
    assert segment.style.bgcolor.triplet == (200, 0, 0)


def test_letters_are_in_the_colours_of_what_is_around_them() -> None:
    for kind in ("ascii", "braille"):
        (strip, *_) = to_strips(draw_image(picture(255), kind, 14), BASE)
        assert {segment.style for segment in strip} == {BASE}


@pytest.mark.parametrize(
    ("height", "width", "columns", "rows", "found"),
    [
        (28, 28, 100, 100, 56),  # never more than two cells a pixel
        (28, 28, 40, 100, 40),
        (28, 28, 100, 10, 20),
        (100, 50, 40, 100, 80),  # tall: the longer side is twice the room's columns
        (28, 28, 0, 0, 1),
    ],
)
def test_an_image_is_as_large_as_its_room_allows(
    height: int, width: int, columns: int, rows: int, found: int
) -> None:
    assert fit_image(height, width, columns, rows) == found


async def test_a_picture_stands_in_the_middle_over_its_caption() -> None:
    class One(App[None]):
        def compose(self) -> ComposeResult:
            yield ImageView()

    app = One()
    async with app.run_test(size=(60, 20)) as pilot:
        one = app.query_one(ImageView)
        one.renderer = "ascii"
        one.show(picture(255), "a caption\nof two lines")
        await pilot.pause()
        lines = [one.render_line(y).text for y in range(20)]
        assert lines[0] == ("@" * 36).center(60)
        assert lines[18] == "a caption".rjust(34).ljust(60)
        assert lines[19].strip() == "of two lines"
        assert all(len(line) == 60 for line in lines)
        one.show(None, "nothing")
        assert "nothing" in [one.render_line(y).text.strip() for y in range(20)]
        one.renderer = "no such thing"
        assert one.renderer == "halfblock"


# -- layout ------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", list(ZOOMS))
@pytest.mark.parametrize("width", [7, 20, 50, 86, 160])
@pytest.mark.parametrize("height", [5, 8, 16, 32, 56])
def test_tiles_fit_their_room_and_take_what_there_is(zoom: str, width: int, height: int) -> None:
    form = plan_gallery(zoom, width, height)
    across, down = form.pitch
    assert form.left + form.across * across - form.gap <= width
    assert form.down * down - form.leading <= height
    assert form.captions >= 1
    # Another would not have had room.
    assert (form.across + 1) * (form.columns + 1) - 1 > width
    assert (form.down + 1) * (form.rows + form.captions) > height


def test_a_room_too_small_for_a_zoom_takes_the_next_smaller() -> None:
    assert plan_gallery("full", 86, 32).columns == 28
    assert plan_gallery("full", 86, 14).columns == 14
    assert plan_gallery("full", 13, 32).columns == 7
    assert plan_gallery("full", 3, 2).page_size == 1


# -- the gallery -----------------------------------------------------------------------------


async def test_only_the_tiles_of_the_page_are_fetched_and_only_once() -> None:
    async with shown(60_000) as (app, pilot):
        assert app.gallery.page_size == 6
        assert sorted(app.fetched) == list(range(6))
        await pilot.press("pagedown", "pageup")
        await pilot.pause()
        assert sorted(app.fetched) == list(range(12))
        assert app.gallery.position == "1–6 of 60,000"


async def test_the_cursor_is_in_brackets_and_captions_are_below_the_images() -> None:
    async with shown() as (app, pilot):
        assert app.line(14).split("  ")[0].strip() == "[tile 0]"
        assert "tile 1" in app.line(14) and "[tile 1]" not in app.line(14)
        assert "note 1" in app.line(15)
        await pilot.press("right")
        assert "[tile 1]" in app.line(14) and "[tile 0]" not in app.line(14)
        app.set_focus(None)
        await pilot.pause()
        assert "[tile 1]" in app.line(14)


async def test_keys_move_the_cursor_and_pages_follow() -> None:
    async with shown() as (app, pilot):
        steps = {
            "right": 1, "l": 2, "left": 1, "h": 0, "down": 3, "up": 0, "j": 3, "k": 0,
            "pagedown": 6, "end": 99, "home": 0,
        }  # fmt: skip
        for key, number in steps.items():
            await pilot.press(key)
            assert app.gallery.cursor == number, key
        assert app.said[-1] == ("moved", 0)
        await pilot.press("left", "up")
        assert app.gallery.cursor == 0
        app.gallery.go_to(50)
        assert app.gallery.page == 8
        await pilot.press("end", "right", "down")
        assert app.gallery.cursor == 99
        assert app.gallery.position == "97–100 of 100"


async def test_down_goes_to_the_end_of_a_shorter_last_line() -> None:
    async with shown(5) as (app, pilot):
        await pilot.press("right", "right", "down")
        assert app.gallery.cursor == 4


async def test_enter_and_a_double_click_open() -> None:
    async with shown() as (app, pilot):
        await pilot.press("right", "enter")
        assert app.said[-1] == ("opened", 1)
        await pilot.click(Gallery, offset=(65, 5))
        assert app.gallery.cursor == 2
        await pilot.click(Gallery, offset=(5, 20), times=2)
        assert app.said[-1] == ("opened", 3)


async def test_a_click_between_tiles_does_nothing() -> None:
    async with shown(2) as (app, pilot):
        await pilot.press("right")
        await pilot.click(Gallery, offset=(5, 20))
        await pilot.click(Gallery, offset=(80, 5))
        assert app.gallery.cursor == 1


async def test_the_wheel_turns_pages() -> None:
    async with shown() as (app, pilot):
        await pilot._post_mouse_events([events.MouseScrollDown], Gallery, offset=(5, 5))
        await pilot.pause()
        assert app.gallery.page == 1
        await pilot._post_mouse_events([events.MouseScrollUp], Gallery, offset=(5, 5))
        await pilot.pause()
        assert app.gallery.page == 0


async def test_zoom_and_renderer_draw_anew_and_nonsense_is_the_first_of_them() -> None:
    async with shown() as (app, pilot):
        gallery = app.gallery
        gallery.zoom = "tiny"
        await pilot.pause()
        assert gallery.page_size > 60
        assert app.said[-1] == ("moved", 0)
        gallery.renderer = "ascii"
        await pilot.pause()
        assert "[tile" in app.text() and "▀" not in app.text()
        gallery.zoom, gallery.renderer = "huge", "crayon"
        assert (gallery.zoom, gallery.renderer) == ("full", "halfblock")


async def test_narrow_captions_are_cut_without_a_sign() -> None:
    async with shown() as (app, pilot):
        app.gallery.show(3, lambda _: Tile(picture(0), Content("Ankle boot")), "")
        app.gallery.zoom = "tiny"
        await pilot.pause()
        assert "[Ankle]" in app.line(4) and "Ankle b" in app.line(4)


async def test_a_gallery_of_nothing_says_what_it_was_told_to() -> None:
    async with shown(0) as (app, pilot):
        assert "nothing at all" in app.text()
        await pilot.press("right", "down", "pagedown", "end", "enter")
        await pilot.click(Gallery, offset=(5, 5))
        assert app.gallery.cursor == 0
        assert app.said == []
        assert app.gallery.position == "none"


async def test_the_page_follows_the_cursor_through_a_resize() -> None:
    async with shown() as (app, pilot):
        app.gallery.go_to(99)
        await pilot.resize_terminal(30, 10)
        await wait_until(pilot, lambda: "[tile 99]" in app.text())
        assert 99 in app.gallery.shown
        await pilot.resize_terminal(3, 2)
        await wait_until(pilot, lambda: app.gallery.shown == range(99, 100))
        assert app.gallery.position == "100 of 100"


async def test_writing_on_the_border_paints_no_picture() -> None:
    async with shown() as (app, pilot):
        app.gallery.styles.border = ("round", "red")
        await pilot.pause()
        lines: list[int] = []
        draw = app.gallery.render_line

        def counted(y: int) -> object:
            lines.append(y)
            return draw(y)

        app.gallery.render_line = counted  # type: ignore[method-assign, assignment]
        app.gallery.label(Content("a title"), Content("below"))
        await pilot.pause()
        assert lines == []
        assert app.gallery.border_title == "a title"


async def test_show_puts_the_cursor_where_it_is_told_but_never_outside() -> None:
    async with shown() as (app, _):
        app.gallery.show(10, app.fetch, "", at=7)
        assert app.gallery.cursor == 7
        app.gallery.show(4, app.fetch, "", at=7)
        assert app.gallery.cursor == 3
        app.gallery.show(4, app.fetch, "")
        assert app.gallery.cursor == 0
