"""The two themes, and the colours of charts, heat maps and tables in a theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from rich.style import Style
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

DARK, LIGHT = "bench-dark", "bench-light"

THEMES = (
    Theme(
        name=DARK,
        primary="#5fafd7",
        secondary="#87afaf",
        accent="#ffaf5f",
        warning="#ffd75f",
        error="#ff6b6b",
        success="#87d787",
        foreground="#d7d7d7",
        background="#121212",
        surface="#1c1c1c",
        panel="#303030",
        dark=True,
        variables={"edge": "#626262", "foreground-muted": "#9e9e9e"},
    ),
    Theme(
        name=LIGHT,
        primary="#005f87",
        secondary="#5f8787",
        accent="#8f4d00",
        warning="#785200",
        error="#af0000",
        success="#005f00",
        foreground="#1c1c1c",
        background="#ffffff",
        surface="#eeeeee",
        panel="#dadada",
        dark=False,
        variables={"edge": "#949494", "foreground-muted": "#626262"},
    ),
)

# The least contrast of text is 4.5 (WCAG 2); headings are a shade off.
TEXT_CONTRAST = 5.0
# The colours that text has.
COLOURS_OF_TEXT = ("primary", "secondary", "accent", "warning", "error", "success", "foreground")

# For Textual's own themes, which do not have this variable.
DEFAULTS = {"edge": "#808080"}

# The colours of chart lines by name, on dark and on light backgrounds.
LINES_DARK = {
    "cyan": "#5fd7ff",
    "orange": "#ffaf5f",
    "green": "#87d787",
    "magenta": "#d787d7",
    "blue": "#87afff",
    "red": "#ff5f5f",
}
LINES_LIGHT = {
    "cyan": "#005f87",
    "orange": "#8f4d00",
    "green": "#005f00",
    "magenta": "#870087",
    "blue": "#0000af",
    "red": "#af0000",
}


def contrast_ratio(one: Color, other: Color) -> float:
    """How well one colour can be read on another: from 1 to 21; text needs 4.5 (WCAG 2)."""
    darker, lighter = sorted(_luminance(colour) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Color) -> float:
    shares = [part / 255 for part in colour.rgb]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def move_away(colour: Color, grounds: Sequence[Color], dark: bool) -> Color:
    """The colour, or the nearest lighter (darker) one that can be read on all these."""
    end = Color.parse("white" if dark else "black")
    for step in range(21):
        moved = colour.blend(end, step / 20)
        if min(contrast_ratio(moved, ground) for ground in grounds) >= TEXT_CONTRAST:
            return moved
    return end


@cache
def textual_theme(name: str) -> Theme | None:
    """One of Textual's own themes, its colours of text as far from the grounds as reading needs.

    Those of the terminal (`ansi-dark`) are the terminal's own."""
    theme = BUILTIN_THEMES.get(name)
    if theme is None or theme.ansi:
        return theme
    # The rows that tables have chosen are a shade of the first colour.
    theme = _move_text(theme, ("primary",))
    return _move_text(theme, COLOURS_OF_TEXT)


def _move_text(theme: Theme, names: Sequence[str]) -> Theme:
    generated = theme.to_color_system().generate()
    ground = Color.parse(generated["background"])
    grounds = [
        ground + Color.parse(generated[name])
        for name in ("background", "surface", "panel", "block-cursor-blurred-background")
    ]

    def move(name: str) -> str:
        return move_away(ground + Color.parse(generated[name]), grounds, theme.dark).hex

    moved: dict[str, Any] = {name: move(name) for name in names}
    cursor = Color.parse(moved.get("primary", theme.primary))
    inks = (Color.parse(name) for name in ("black", "white"))
    ink = max(inks, key=lambda colour: contrast_ratio(colour, cursor))
    own = {
        "foreground-muted": move("foreground-muted"),
        "block-cursor-background": cursor.hex,
        "block-cursor-foreground": ink.hex,
    }
    return replace(theme, **moved, variables={**theme.variables, **own})


def text_colour(variable: str) -> str:
    """A theme's colour as Rich takes it: without alpha, one of the terminal's own by its name."""
    if variable.startswith("#"):
        return variable[:7]
    # Such as `ansi_default 50%`.
    name = variable.partition(" ")[0].removeprefix("ansi_")
    return "default" if name == "transparent" else name


def muted_style(variables: Mapping[str, str]) -> Style:
    """The style of quiet text; what is dim instead cannot be read in every theme."""
    return Style(color=text_colour(variables["foreground-muted"]))


@dataclass(frozen=True, slots=True)
class TableColours:
    """The colours of table text in a theme: its variables, and those of chart lines."""

    theme: str
    variables: Mapping[str, str]
    lines: Mapping[str, str]

    def get(self, name: str) -> str:
        """The colour of a variable such as `$success`; empty if there is none."""
        return text_colour(self.variables.get(name.removeprefix("$"), ""))
