"""The dialog for choosing a recipe: a table of what each is and what it has reached."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text
from textual import events, on, work
from textual.content import Content

from fmnist_tui.config.measurement import format_result
from fmnist_tui.tui.base.dialogs import PickerDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.shared.recipe_facts import (
    RecipeFacts,
    find_facts,
    load_recipes,
    read_recipe_facts,
)
from fmnist_tui.tui.widgets.columns import Column, fit_columns, format_head, format_row
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import NO_VALUE, format_percent, format_short_duration
from fmnist_tui.util.text import safe_text

# The widest table, and what frame and scroll bar take beside it.
_WIDTH, _FRAME = 111, 5
_COLUMNS = (
    Column("name", "recipe", 13, 1),
    Column("summary", "what it is", 26, 0),
    Column("accuracy", "test accuracy", 14, 2, right=True),
    Column("seconds", "time", 7, 3, right=True),
    Column("data", "data", 13, 4),
    Column("here", "last run here", 17, 5, right=True),
)


async def pick_recipe(screen: DashboardScreen) -> str | None:
    """Let the user choose a recipe; returns its name, None where cancelled."""
    return await screen.ask(RecipePicker(screen.app_state.runs_dir, screen.app.size.width))


class RecipePicker(PickerDialog):
    """A table of the recipes; below it the description of the highlighted one.

    The runs of this machine are read in a thread: the dialog opens at once."""

    DEFAULT_CSS = """
    RecipePicker > Vertical { width: 116; }
    RecipePicker OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, runs_dir: Path, width: int) -> None:
        self._runs_dir = runs_dir
        self._columns = fit_columns(_COLUMNS, min(_WIDTH, width * 94 // 100 - _FRAME))
        facts = find_facts(load_recipes(), [])
        recipes = {each.recipe.name: each for each in facts}
        super().__init__(
            "Which recipe",
            self._rows(facts),
            format_head(self._columns).plain,
            lambda name: describe(recipes[name]),
            nothing="no recipe matches",
        )

    def _rows(self, facts: Sequence[RecipeFacts]) -> list[tuple[str, Content]]:
        return [(each.recipe.name, format_facts(each, self._columns)) for each in facts]

    @on(events.Mount)
    @work
    async def _read_runs(self) -> None:
        try:
            facts = await asyncio.to_thread(read_recipe_facts, self._runs_dir)
        except UserError as error:
            self.app.notify(str(error), severity="error")
            return
        if self.is_attached:
            self.replace_text(self._rows(facts))


def format_facts(facts: RecipeFacts, columns: Sequence[Column]) -> Content:
    """A row of the table."""
    measured, run = facts.measured, facts.last_run
    cells = {
        "name": Text(safe_text(facts.recipe.name, 40), "bold"),
        "summary": Text(safe_text(facts.recipe.summary, 80)),
        "accuracy": Text(format_result(measured) if measured else NO_VALUE),
        "seconds": Text(format_short_duration(measured.seconds if measured else None)),
        "data": Text(safe_text(measured.data, 40) if measured else NO_VALUE),
    }
    if run is not None:
        seconds = format_short_duration(run.warm_seconds or run.train_seconds)
        cells["here"] = Text(f"{format_percent(run.test_accuracy)} {seconds:>8}")
    elif facts.expected_seconds is not None:
        cells["here"] = Text(f"about {format_short_duration(facts.expected_seconds)}")
    else:
        cells["here"] = Text(NO_VALUE)
    return Content.from_rich_text(format_row(columns, cells))


def describe(facts: RecipeFacts) -> Content:
    """What the recipe is, and where its figures come from."""
    lines = [safe_text(facts.recipe.about.strip().split("\n")[0], 300)]
    if (measured := facts.measured) is not None:
        seeds = f"{measured.seeds} seeds" if measured.seeds > 1 else "one seed"
        where = f"{safe_text(measured.data, 60)}, {seeds}, on {safe_text(measured.on, 60)}"
        kind = "" if measured.warm_seconds else " (time in training steps)"
        lines.append(f"Measured{kind}: {where}.")
    return Content(lines[0]) + Content.styled("\n" + "\n".join(lines[1:]), "$foreground-muted")
