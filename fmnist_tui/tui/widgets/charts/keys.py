"""The keys of a line chart."""

from __future__ import annotations

from textual.binding import Binding

READ_KEYS = (
    Binding("left,h", "read(-1)", "Values", key_display="←→", id="chart.left"),
    Binding("right", "read(1)", "Values", key_display="←→", id="chart.right"),
    Binding("home", "read(-10000)", "Read the first values", show=False, id="chart.first"),
    Binding("end", "read(10000)", "Read the last values", show=False, id="chart.last"),
    Binding("escape", "leave", "Back", id="chart.unread"),
)
ZOOM_KEYS = (
    Binding("plus,equals_sign", "zoom(0.5)", "Zoom", key_display="+ -", id="chart.zoom_in"),
    Binding("minus", "zoom(2)", "Zoom", key_display="+ -", id="chart.zoom_out"),
    Binding("0", "show_all", "Show all", id="chart.all"),
    Binding("shift+left", "pan(-0.25)", "Move the part shown", show=False, id="chart.pan_left"),
    Binding("shift+right", "pan(0.25)", "Move the part shown", show=False, id="chart.pan_right"),
)
FULL_KEYS = (
    Binding("enter", "toggle_full", "Full screen", id="chart.full"),
    Binding("L", "toggle_log", "Log scale", id="chart.log"),
    Binding("up,k", "read_row(-1)", "Row of the table", show=False, id="chart.row_up"),
    Binding("down,j", "read_row(1)", "Row of the table", show=False, id="chart.row_down"),
    Binding("pageup", "read_row(-10)", "Ten rows", show=False, id="chart.page_up"),
    Binding("pagedown", "read_row(10)", "Ten rows", show=False, id="chart.page_down"),
)
