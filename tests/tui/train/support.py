"""A fake training, and the events of a search for a learning rate."""

from __future__ import annotations

import dataclasses
import math

import pytest
from textual.pilot import Pilot

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.commands import Command
from fmnist_tui.protocol.events import (
    FINISHED,
    LRFIND,
    Event,
    LrProbed,
    LrSearched,
    RunEnded,
    RunStarted,
)
from fmnist_tui.protocol.lr_curve import RateRange, suggest_rate
from fmnist_tui.protocol.lr_search import format_search_result
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.screens.train.lr_panel import LrPanel
from fmnist_tui.tui.screens.train.screen import TrainScreen
from tests.tui.support import CONFIG, START, events, wait_until


class FakeTraining(Training):
    """A run whose events a test appends; it records the commands that it gets."""

    def __init__(self, config: RunConfig = CONFIG, rates: RateRange | None = None) -> None:
        super().__init__(config, rate_range=rates)
        self.commands: list[Command] = []

    def send(self, command: Command) -> None:
        self.commands.append(command)


STEPS_OF_SEARCH = 80
SUGGESTED = 0.0029


def loss(lr: float) -> float:
    """A loss that falls around 3e-3 and explodes beyond 1."""
    x = math.log10(lr)
    return 0.6 + 1.7 / (1 + math.exp(8 * (x + 2.5))) + 10 ** (3 * (x - 0.3))


def probes(count: int = STEPS_OF_SEARCH, *, step: int = 0, flat: bool = False) -> list[LrProbed]:
    rates = RateRange(steps=STEPS_OF_SEARCH)
    return [
        LrProbed(
            START + 100 + number / 10,
            step,
            number + 1,
            STEPS_OF_SEARCH,
            rates.rate_at(number),
            2.3 if flat else loss(rates.rate_at(number)),
        )
        for number in range(count)
    ]


def result_of(probes: list[LrProbed]) -> LrSearched:
    """The result of a search with these probes."""
    rate, last = suggest_rate([(probe.lr, probe.loss) for probe in probes]), probes[-1]
    return LrSearched(last.t, last.step, FINISHED, rate.lr, rate.low, rate.high, rate.message)


def started(config: RunConfig = CONFIG) -> RunStarted:
    first = next(iter(events(config)))
    assert isinstance(first, RunStarted)
    return dataclasses.replace(first, kind=LRFIND, epochs=1, steps_per_epoch=STEPS_OF_SEARCH)


def search_events(*, flat: bool = False, config: RunConfig = CONFIG) -> list[Event]:
    """All events of a run that is only a search."""
    probed = probes(flat=flat)
    end = result_of(probed)
    return [
        started(config),
        *probed,
        end,
        RunEnded(end.t, 0, 0, FINISHED, 20.0, format_search_result(end)),
    ]


def record_starts(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """Record the configs of the runs that are started from now on, instead of starting them."""
    configs: list[RunConfig] = []

    def start(config: RunConfig) -> bool:
        configs.append(config)
        return False

    monkeypatch.setattr(dashboard, "start_run", start)
    return configs


def panel(dashboard: Dashboard) -> LrPanel:
    return dashboard.screen.query_one(LrPanel)


def screen_of(dashboard: Dashboard) -> TrainScreen:
    assert isinstance(dashboard.screen, TrainScreen)
    return dashboard.screen


def is_open(dashboard: Dashboard) -> bool:
    return bool(panel(dashboard).region.area)


async def wait_for_panel(dashboard: Dashboard, pilot: Pilot[int]) -> None:
    """Wait for the layout with the panel."""
    await wait_until(pilot, lambda: is_open(dashboard))


async def wait_for_charts(dashboard: Dashboard, pilot: Pilot[int]) -> None:
    await wait_until(pilot, lambda: not is_open(dashboard))
    # Without a run the card of the next one is in their place.
    shown = "#charts" if dashboard.app_state.feed is not None else "NextRunPane"
    await wait_until(pilot, lambda: bool(dashboard.screen.query_one(shown).region.area))


def text_of(dashboard: Dashboard) -> str:
    return panel(dashboard).text


async def send_events(
    dashboard: Dashboard, pilot: Pilot[int], training: FakeTraining, *more: Event
) -> None:
    """Append events to a training and wait until the screen has handled them."""
    training.events.extend(more)
    await wait_until(pilot, lambda: not training.events)
    await pilot.pause(0.05)


async def start_search(
    dashboard: Dashboard, pilot: Pilot[int], searches: list[FakeTraining]
) -> FakeTraining:
    """Start a search by key, with the settings of the form."""
    await pilot.press("l")
    await pilot.pause()
    return searches[-1]


async def finish_search(
    dashboard: Dashboard, pilot: Pilot[int], searches: list[FakeTraining]
) -> FakeTraining:
    """Start a search by key and let it finish."""
    training = await start_search(dashboard, pilot, searches)
    training.finish()
    await send_events(dashboard, pilot, training, *search_events())
    return training


async def panes_by_view(
    dashboard: Dashboard, pilot: Pilot[int], names: tuple[str, ...]
) -> list[str]:
    """The only visible pane in each view of a narrow terminal, as `v` shows them."""
    panes = []
    for _ in names:
        (visible,) = [name for name in names if dashboard.screen.query_one(name).region.area]
        panes.append(visible)
        await pilot.press("v")
        await pilot.pause()
    return panes
