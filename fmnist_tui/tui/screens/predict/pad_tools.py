"""The tools below the pad: a line or more of words to click, and where each of them is."""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.tui.screens.predict.drawing import BRUSHES

DRAW, ERASE, FILL = "draw", "erase", "fill"
_GAP = 1


@dataclass(frozen=True, slots=True)
class PadTool:
    """A word with the action of a click on it; the current tool is in brackets."""

    text: str
    action: str
    is_current: bool = False


def pad_tools(tool: str, brush: int) -> tuple[PadTool, ...]:
    """All tools, while this one and this brush are chosen."""
    tools = [
        PadTool(f"[{name}]" if name == tool else f" {name} ", f"tool('{name}')", name == tool)
        for name in (DRAW, ERASE, FILL)
    ]
    return (
        *tools,
        PadTool(" − ", "brush(-1)"),
        PadTool(f"brush {brush + 1}/{len(BRUSHES)}", ""),
        PadTool(" + ", "brush(1)"),
        PadTool(" undo ", "undo"),
        PadTool(" clear ", "clear"),
    )


def lay_out_tools(tools: tuple[PadTool, ...], width: int) -> list[list[tuple[int, PadTool]]]:
    """Lines of tools with their first columns."""
    lines: list[list[tuple[int, PadTool]]] = [[]]
    column = 0
    # The brush and its two signs stay together.
    groups = [tools[:3], tools[3:6], tools[6:]]
    for group in groups:
        size = sum(len(tool.text) + _GAP for tool in group) - _GAP
        if column and column + size > width:
            lines.append([])
            column = 0
        for tool in group:
            lines[-1].append((column, tool))
            column += len(tool.text) + _GAP
        column += _GAP
    return lines


def tool_at(line: list[tuple[int, PadTool]], x: int) -> PadTool | None:
    """The tool in this column of a line."""
    return next((tool for left, tool in line if left <= x < left + len(tool.text)), None)
