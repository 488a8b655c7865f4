"""The screen of a terminal as an image, each cell of the same size."""

from __future__ import annotations

import re
from functools import cache

import pyte
from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono{}.ttf"
# The font's lines are as high as a cell, so that frames have no gaps.
FONT_SIZE, WIDTH, HEIGHT = 17, 10, 20
INK, GROUND = "#e5e5e5", "#0c0c0c"
NAMED = {
    "black": "#000000",
    "red": "#cd3131",
    "green": "#0dbc79",
    "brown": "#e5e510",
    "blue": "#2472c8",
    "magenta": "#bc3fbc",
    "cyan": "#11a8cd",
    "white": "#e5e5e5",
}
# Blocks that fill a part of the cell: left, top, right, bottom, in halves of it.
BLOCKS = {
    "▀": (0, 0, 2, 1),
    "▄": (0, 1, 2, 2),
    "█": (0, 0, 2, 2),
    "▌": (0, 0, 1, 2),
    "▐": (1, 0, 2, 2),
}
BRAILLE = 0x2800
# The column and the row of each bit's dot.
DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))


def paint(screen: pyte.Screen) -> Image.Image:
    """The screen as it is now."""
    image = Image.new("RGB", (screen.columns * WIDTH, screen.lines * HEIGHT), GROUND)
    draw = ImageDraw.Draw(image)
    for row in range(screen.lines):
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            ink, ground = _colour(cell.fg, INK), _colour(cell.bg, GROUND)
            if cell.reverse:
                ink, ground = ground, ink
            x, y = column * WIDTH, row * HEIGHT
            draw.rectangle((x, y, x + WIDTH - 1, y + HEIGHT - 1), fill=ground)
            _paint_character(draw, cell.data, x, y, ink, cell.bold)
            if cell.underscore:
                draw.line((x, y + HEIGHT - 2, x + WIDTH - 1, y + HEIGHT - 2), fill=ink)
    return image


def _paint_character(
    draw: ImageDraw.ImageDraw, character: str, x: int, y: int, ink: str, bold: bool
) -> None:
    if character in BLOCKS:
        left, top, right, bottom = BLOCKS[character]
        box = (x + left * WIDTH // 2, y + top * HEIGHT // 2)
        draw.rectangle((*box, x + right * WIDTH // 2 - 1, y + bottom * HEIGHT // 2 - 1), fill=ink)
    elif character and BRAILLE <= ord(character[0]) < BRAILLE + 256:
        for bit, (column, row) in enumerate(DOTS):
            if ord(character[0]) - BRAILLE >> bit & 1:
                left, top = x + 1 + column * WIDTH // 2, y + 1 + row * HEIGHT // 4
                draw.rectangle((left, top, left + 2, top + 2), fill=ink)
    elif character.strip():
        draw.text((x, y), character, font=_font(bold), fill=ink)


@cache
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT.format("-Bold" if bold else ""), FONT_SIZE)


def _colour(name: str, default: str) -> str:
    if re.fullmatch("[0-9a-fA-F]{6}", name):
        return f"#{name}"
    return NAMED.get(name.removeprefix("bright"), default)
