"""Images as cells and ANSI lines."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fmnist_tui.render.ansi import Colours, to_ansi
from fmnist_tui.render.cells import Row, Run
from fmnist_tui.render.contact_sheet import (
    FULL,
    SMALL,
    TINY,
    draw_contact_sheet,
    draw_grid,
)
from fmnist_tui.render.renderers import draw_image, renderer_names
from fmnist_tui.util.errors import UsageError
from fmnist_tui.util.text import cell_width, shorten_middle

Bytes = npt.NDArray[np.uint8]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def image(*rows: list[int]) -> Bytes:
    return np.array(rows, np.uint8)


def texts(rows: tuple[Row, ...]) -> list[str]:
    return ["".join(run.text for run in row) for row in rows]


def unmerged(row: Row) -> list[Run]:
    return [run._replace(text=sign) for run in row for sign in run.text]


def garment() -> Bytes:
    """A soft-edged, textured shape of 28×28."""
    rows, columns = np.indices((28, 28)) - 13.5
    shape = np.clip(12 - np.abs(columns) - rows**2 / 40, 0, 1)
    return np.asarray(shape * (150 + 60 * np.sin(rows * columns / 9)), np.uint8)


def test_a_half_block_is_two_pixels() -> None:
    rows = draw_image(image([255, 0, 9], [0, 255, 9]), "halfblock", 3)
    nine = (9, 9, 9)
    assert rows == ((Run("▀", WHITE, BLACK), Run("▀", BLACK, WHITE), Run(" ", None, nine)),)


def test_half_blocks_keep_colours() -> None:
    colours = np.array([[[1, 2, 3]], [[4, 5, 6]]], np.uint8)
    assert draw_image(colours.repeat(2, axis=1), "halfblock", 2) == (
        (Run("▀▀", (1, 2, 3), (4, 5, 6)),),
    )


def test_equal_neighbours_are_one_run() -> None:
    rows = draw_image(np.zeros((28, 28), np.uint8), "halfblock", FULL)
    assert rows == ((Run(" " * 28, None, BLACK),),) * 14


def test_an_odd_last_row_has_no_colour_below_it() -> None:
    rows = draw_image(image([9] * 3, [9] * 3, [9] * 3), "halfblock", 3)
    assert rows[1] == (Run("▀▀▀", (9, 9, 9), None),)


@pytest.mark.parametrize("kind", renderer_names())
@pytest.mark.parametrize(("columns", "lines"), [(FULL, 14), (SMALL, 7), (TINY, 4)])
@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (28, 28, 3)])
def test_an_image_has_half_as_many_lines_as_columns(
    kind: str, columns: int, lines: int, shape: tuple[int, ...]
) -> None:
    rows = draw_image(np.full(shape, 130, np.uint8), kind, columns)
    assert [len(text) for text in texts(rows)] == [columns] * lines


def test_shrinking_averages_pixels() -> None:
    fine = np.indices((28, 28)).sum(axis=0) % 2 * 254
    rows = draw_image(fine.astype(np.uint8), "halfblock", SMALL)
    assert rows == ((Run(" " * 14, None, (127, 127, 127)),),) * 7


def test_averages_are_rounded() -> None:
    assert draw_image(image([0, 0], [0, 255]), "halfblock", 1) == ((Run("▀", (64, 64, 64), None),),)


def test_enlarging_repeats_pixels() -> None:
    assert draw_image(image([0, 255]), "halfblock", 4) == (
        (Run("  ", None, BLACK), Run("  ", None, WHITE)),
    )


@pytest.mark.parametrize("kind", renderer_names())
@pytest.mark.parametrize("shape", [(1024, 1), (1, 1024), (1, 1), (300, 200), (200, 300)])
def test_every_shape_stays_within_its_square(kind: str, shape: tuple[int, int]) -> None:
    rows = draw_image(np.full(shape, 200, np.uint8), kind, FULL)
    assert 1 <= len(rows) <= 14
    assert max(len(text) for text in texts(rows)) <= 28


def test_brighter_pixels_get_denser_characters() -> None:
    shades = image([0, 26, 60, 255], [0, 26, 60, 255])
    assert texts(draw_image(shades, "ascii", 4)) == [" .:@"]


def test_ascii_art_has_no_colours() -> None:
    for run in draw_image(garment(), "ascii", FULL)[7]:
        assert (run.foreground, run.background) == (None, None)
        assert run.text.isascii()


def test_braille_has_eight_dots_a_cell() -> None:
    dots = np.zeros((4, 4), np.uint8)
    dots[0, 0] = dots[3, 1] = dots[1, 2] = 255
    assert texts(draw_image(dots, "braille", 2)) == ["⢁⠂"]
    assert texts(draw_image(np.full((4, 4), 255, np.uint8), "braille", 2)) == ["⣿⣿"]


@pytest.mark.parametrize(
    ("shade", "share"), [(0, 0), (64, 0.25), (128, 0.5), (192, 0.75), (255, 1)]
)
def test_braille_keeps_the_tone_of_an_area(shade: int, share: float) -> None:
    rows = draw_image(np.full((28, 28), shade, np.uint8), "braille", SMALL)
    dots = sum((ord(sign) - 0x2800).bit_count() for text in texts(rows) for sign in text)
    assert dots / (28 * 28) == pytest.approx(share, abs=0.04)


def test_without_colours_brightness_is_luma() -> None:
    blue = np.zeros((2, 2, 3), np.uint8)
    blue[..., 2] = 255
    green = blue[..., [0, 2, 1]]
    assert texts(draw_image(blue, "ascii", 2)) == [".."]
    assert texts(draw_image(green, "ascii", 2)) == ["++"]


def test_an_unknown_renderer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r'"halfblok"; did you mean "halfblock".*braille, ascii'):
        draw_image(garment(), "halfblok", FULL)
    assert renderer_names() == ("halfblock", "braille", "ascii")


@given(arrays(np.uint8, (4, 6), elements=st.sampled_from([0, 80, 255])))
def test_merging_keeps_all_cells(pixels: Bytes) -> None:
    rows = draw_image(pixels, "halfblock", 6)
    for number, row in enumerate(rows):
        assert all(left[1:] != right[1:] for left, right in pairwise(row))
        for column, cell in enumerate(unmerged(row)):
            top, bottom = pixels[2 * number : 2 * number + 2, column].tolist()
            upper = cell.background if cell.text == " " else cell.foreground
            assert upper == (top,) * 3
            assert cell.background == (bottom,) * 3


def test_only_changed_colours_are_sent() -> None:
    rows = draw_image(image([255, 255, 0, 0], [0, 0, 0, 0]), "halfblock", 4)
    assert to_ansi(rows, "truecolor") == ["\x1b[38;2;255;255;255;48;2;0;0;0m▀▀  \x1b[0m"]
    assert to_ansi(((Run("plain"),), ()), "truecolor") == ["plain", ""]
    back = ((Run("a", (1, 2, 3)), Run("b")),)
    assert to_ansi(back, "truecolor") == ["\x1b[38;2;1;2;3ma\x1b[39mb"]


@pytest.mark.parametrize(
    ("colours", "expected"),
    [
        ("256", "\x1b[38;5;231;48;5;244m▀\x1b[0m"),
        ("16", "\x1b[97;100m▀\x1b[0m"),
        ("none", "#"),
    ],
)
def test_reduced_palettes_use_the_nearest_colour(colours: Colours, expected: str) -> None:
    rows = draw_image(image([255], [130]), "halfblock", 2)
    assert to_ansi(((rows[0][0]._replace(text="▀"),),), colours) == [expected]


def test_sixteen_colours_use_their_own_codes() -> None:
    def code(red: int, green: int, blue: int) -> list[str]:
        return to_ansi(((Run("x", (red, green, blue), (red, green, blue)),),), "16")

    assert code(200, 0, 0) == ["\x1b[31;41mx\x1b[0m"]
    assert code(255, 0, 0) == ["\x1b[91;101mx\x1b[0m"]
    assert code(0, 0, 0) == ["\x1b[30;40mx\x1b[0m"]


def test_without_colours_half_blocks_become_letters() -> None:
    lines = to_ansi(draw_image(garment(), "halfblock", FULL), "none")
    assert lines == texts(draw_image(garment(), "ascii", FULL))
    assert all(line.isascii() for line in lines)
    half = (Run("▀", WHITE, None),), (Run(" ", None, WHITE), Run(" caption"))
    assert to_ansi(half, "none") == ["=", "@ caption"]


@pytest.mark.parametrize("columns", [FULL, SMALL, TINY])
def test_an_image_costs_few_bytes(columns: int) -> None:
    lines = to_ansi(draw_image(garment(), "halfblock", columns), "truecolor")
    # A cell costs 41 bytes at most, for two colours and the character.
    assert sum(len(line.encode()) for line in lines) < 33 * columns * len(lines)
    empty = to_ansi(draw_image(np.zeros((28, 28), np.uint8), "halfblock", columns), "truecolor")
    assert sum(len(line.encode()) for line in empty) < 50 * len(empty)


def test_images_lie_side_by_side_with_their_captions() -> None:
    white = np.full((4, 4), 255, np.uint8)
    rows = draw_grid([white] * 3, ["one", "a long name", "三"], 4, 10, "ascii")
    assert texts(rows) == [
        *("@@@@  @@@@", "@@@@  @@@@", "one   a …e"),
        *("", "@@@@", "@@@@", "三"),
    ]


def test_images_of_any_shape_share_a_line() -> None:
    tall, wide = np.full((4, 2), 255, np.uint8), np.full((2, 4), 255, np.uint8)
    rows = draw_grid([tall, wide], ["", ""], 4, 80, "ascii")
    assert texts(rows) == ["@@    @@@@", "@@    ", "      "]


def test_every_image_is_shown_on_a_narrow_screen() -> None:
    rows = draw_grid([garment()] * 2, ["a", "b"], FULL, 9, "ascii")
    assert max(len(text) for text in texts(rows)) == 9
    assert sum("a" in text or "b" in text for text in texts(rows)) == 2


def test_without_images_there_are_no_lines() -> None:
    assert draw_grid([], [], FULL, 80) == ()
    assert draw_contact_sheet([], [], 80) == []


def test_control_characters_in_captions_are_escaped() -> None:
    lines = draw_contact_sheet([garment()], ["\x1b]0;owned\x07\u202e"], 80, colours="none")
    assert "\x1b" not in "".join(lines)
    assert "\u202e" not in "".join(lines)


@given(st.text(max_size=40), st.integers(1, 20))
def test_captions_fit_their_columns(text: str, columns: int) -> None:
    assert cell_width(shorten_middle(text, columns)) <= columns


def test_captions_are_measured_in_cells() -> None:
    assert cell_width("三e\u0301") == 3
    assert shorten_middle("三三三", 4) == "三…"
    rows = draw_grid([garment()] * 2, ["三", "x"], 4, 10, "ascii")
    assert texts(rows)[-1] == "三    x"


def test_a_sheet_is_as_large_as_fits_in_two_lines() -> None:
    few = draw_contact_sheet([garment()] * 4, ["x"] * 4, 60, "ascii", "none")
    many = draw_contact_sheet([garment()] * 5, ["x"] * 5, 60, "ascii", "none")
    assert len(few) == 2 * 15 + 1
    assert len(many) == 2 * 8 + 1


def test_a_sheet_draws_what_the_terminal_can_show() -> None:
    plain = draw_contact_sheet([garment()], ["x"], 80, colours="none")
    assert plain[:-1] == texts(draw_image(garment(), "ascii", FULL))
    assert (
        "▀"
        in draw_contact_sheet([garment()], ["x"], 80, colours="256")[0]
        + draw_contact_sheet([garment()], ["x"], 80)[5]
    )
    assert "⣿" in "".join(
        draw_contact_sheet([np.full((28, 28), 255, np.uint8)], ["x"], 80, "braille")
    )
