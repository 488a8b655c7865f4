"""Helpers for tests of the Sweep screen."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot

from fmnist_tui.sweeps.snapshot import Snapshot, TrialView
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import PromptDialog
from fmnist_tui.tui.widgets.line_table import LineTable
from tests.tui.support import screen_input, wait_until
from tests.unit.sweeps.support import SEARCH, make_spec

StartedJobs = list[tuple[str, list[str]]]


def table(dashboard: Dashboard, name: str = "trials") -> LineTable:
    return dashboard.screen.query_one(f"#{name}", LineTable)


def rows(dashboard: Dashboard, name: str = "trials") -> list[str]:
    shown = table(dashboard, name)
    return [line.plain for line in shown.rows.values()]


def trial_numbers(dashboard: Dashboard) -> list[int]:
    """The numbers of the trials in the table, from the top."""
    return [int(row.replace("◆", " ").split()[0]) for row in rows(dashboard)]


def drawn_text(widget: Any) -> str:
    width, height = widget.size
    strips = widget.paint(width, height, widget.rich_style)
    return "\n".join(strip.text for strip in strips)


def table_text(dashboard: Dashboard) -> str:
    """What the table of trials draws."""
    lines = range(table(dashboard).size.height)
    return "\n".join(table(dashboard).render_line(y).text for y in lines)


async def wait_for_rows(dashboard: Dashboard, pilot: Pilot[int], count: int) -> None:
    await wait_until(pilot, lambda: len(table(dashboard).rows) == count)
    await pilot.pause()


async def answer(dashboard: Dashboard, pilot: Pilot[int], value: str) -> None:
    """Enter a value in the open prompt."""
    await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
    (await screen_input(dashboard, pilot)).value = value
    await pilot.press("enter")
    await pilot.pause()


def make_trial(**values: Any) -> TrialView:
    return TrialView(**{"number": 0, "state": "complete", **values})


def make_study(count: int) -> Snapshot:
    text = (
        SEARCH + "[space.dropout]\nlow = 0.0\nhigh = 0.5\n[space.flip]\nchoices = [false, true]\n"
    )
    spec = make_spec(text.replace("[promote]\nepochs = 8\n", ""))
    return Snapshot(
        "search",
        spec,
        tuple(
            make_trial(
                number=number,
                value=(number % 89) / 100,
                params={
                    "lr": 1e-4 * 10 ** (number % 4),
                    "optimizer": ("adamw", "sgd")[number % 2],
                    "dropout": (number % 6) / 10,
                    "flip": number % 3 == 0,
                },
            )
            for number in range(count)
        ),
    )
