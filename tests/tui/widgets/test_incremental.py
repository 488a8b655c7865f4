"""Widgets that redraw only what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.content import Content
from textual.strip import Strip
from textual.widgets import Static

from fmnist_tui.tui.widgets.incremental import (
    IncrementalWidget,
    set_border_titles,
    update_text,
)


class LabelApp(App[None]):
    CSS = "Static { width: 20; height: auto; }"

    def compose(self) -> ComposeResult:
        yield Static(Content("Bag, 97.0 %"))


async def test_a_label_is_laid_out_again_only_if_it_may_need_another_height(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with LabelApp().run_test() as pilot:
        label = pilot.app.query_one(Static)
        layouts: list[bool] = []
        refresh = label.refresh

        def record(*regions: Any, layout: bool = False, **options: Any) -> Any:
            layouts.append(layout)
            return refresh(*regions, layout=layout, **options)

        monkeypatch.setattr(label, "refresh", record)
        for text in ("Bag, 97.0 %", "Coat, 61.3 %", "a\nb", "c\nd", "longer than the label"):
            update_text(label, Content(text))
        assert layouts == [False, True, False, True]
        await pilot.pause()
        assert label.size.height == 2


class TitledPane(IncrementalWidget):
    """A pane that counts the lines of its inside that are drawn."""

    DEFAULT_CSS = "TitledPane { border: round white; height: 6; width: 30; }"
    drawn = 0

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        return [Strip([Segment("inside", base)])] * height

    def render_line(self, y: int) -> Strip:
        self.drawn += 1
        return super().render_line(y)


class PaneApp(App[None]):
    def compose(self) -> ComposeResult:
        yield TitledPane()


async def test_a_new_title_of_a_pane_redraws_nothing_inside() -> None:
    app = PaneApp()
    async with app.run_test(size=(40, 10)) as pilot:
        pane = app.query_one(TitledPane)
        await pilot.pause()
        before = pane.drawn
        set_border_titles(pane, "Images", "epoch 2")
        await pilot.pause(0.1)
        lines = [
            "".join(part.text for part in line) for line in app.screen._compositor.render_strips()
        ]
        assert "Images" in lines[0] and "epoch 2" in lines[5]
        assert before and pane.drawn == before
