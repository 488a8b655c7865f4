"""The two themes, and the colours of charts, heat maps and tables in a theme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.color import Color
from textual.theme import Theme

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
    "orange": "#af5f00",
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


@dataclass(frozen=True, slots=True)
class TableColours:
    """The colours of table text in a theme: its variables, and those of chart lines."""

    theme: str
    variables: Mapping[str, str]
    lines: Mapping[str, str]

    def get(self, name: str) -> str:
        """The colour of a variable such as `$success`; empty if it is not a plain RGB colour."""
        colour = self.variables.get(name.removeprefix("$"), "")[:7]
        return colour if colour.startswith("#") else ""
