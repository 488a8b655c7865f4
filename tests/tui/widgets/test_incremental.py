"""Widgets that redraw only what has changed."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.widgets import Static

from fmnist_tui.tui.widgets.incremental import update_text


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
