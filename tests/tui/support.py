"""Helpers for tests of the dashboard: example runs (not trained), waiting and toasts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Static

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config import recipes
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import (
    EVENTS,
    FINISHED,
    Changed,
    CheckpointSaved,
    EpochEnded,
    Evaluated,
    Event,
    Progress,
    RunEnded,
    RunStarted,
    Telemetry,
)
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.widgets.gallery import Gallery
from fmnist_tui.tui.widgets.summary_line import SummaryLine

START = 1_700_000_000.0
STEPS = 20
CONFIG = RunConfig(dataset="sketches", recipe="tiny", epochs=4, batch_size=64)


def events(
    config: RunConfig = CONFIG, epochs: int | None = None, ended: bool = True, run: str = "run"
) -> Iterator[Event]:
    """The events of a run that learns well, up to the end of this epoch."""
    done = config.epochs if epochs is None else epochs
    t = START
    yield RunStarted(
        t=t,
        run=run,
        recipe=config.recipe,
        dataset=config.dataset,
        model=config.model,
        parameters=225_034,
        device="cpu",
        device_name="a CPU",
        precision="fp32",
        seed=config.seed,
        epochs=config.epochs,
        steps_per_epoch=STEPS,
        batch_size=config.batch_size,
        train_count=4_167,
        val_count=833,
        test_count=1_000,
        classes=GARMENTS,
        synthetic=True,
    )
    yield Changed(t, 0, "phase", "training")
    for epoch in range(done):
        for step in range(1, STEPS + 1):
            t += 0.1
            at = epoch * STEPS + step
            loss = 0.2 + 2 * math.exp(-at / 15) + 0.05 * math.sin(at)
            yield Progress(
                t, at, epoch + 1, step, step * 64, loss, 1 - loss / 3, 3e-3, 6400.0, 10.0, 0.1
            )
        yield Telemetry(t, 187.0, 612.0)
        accuracy = 1 - 0.4 * math.exp(-epoch)
        yield EpochEnded(
            t, (epoch + 1) * STEPS, epoch + 1, 0.5, 0.8, 0.4, accuracy, 833, 3e-3, 2.0, 6400.0, True
        )
        yield CheckpointSaved(
            t, (epoch + 1) * STEPS, epoch + 1, "best", f"best-000{epoch}.pt", "0" * 64, 900_000
        )
    if ended:
        evaluation = _test_evaluation()
        yield Evaluated(
            t,
            done * STEPS,
            done,
            "best",
            "test",
            evaluation.count,
            evaluation.loss,
            evaluation.accuracy,
            *evaluation.interval,
            evaluation.macro_f1,
            evaluation.ece,
            evaluation.confusion,
        )
        yield RunEnded(t + 1, done * STEPS, done, FINISHED, t + 1 - START)


def predictions(split: str, count: int = 300, seed: int = 0) -> Predictions:
    """Predictions of which about 80 % are correct; class 6 is mostly predicted as 0."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    logits = random.normal(0, 1.0, (count, 10))
    logits[np.arange(count), labels] += 3.0
    shirts = labels == 6
    logits[shirts, 0] += 3.5
    return Predictions(
        split,
        logits.astype(np.float32),
        labels.astype(np.int64),
        np.arange(count, dtype=np.int64),
        GARMENTS,
        "best",
    )


@cache
def _test_evaluation() -> Evaluation:
    return predictions("test").evaluation()


def make_run(
    runs_dir: Path,
    config: RunConfig = CONFIG,
    *,
    epochs: int | None = None,
    ended: bool = True,
    splits: tuple[str, ...] = ("val", "test"),
    change: Callable[[RunFolder], None] | None = None,
) -> RunFolder:
    """A run folder as a training leaves it (without weights)."""
    folder = RunFolder.create(runs_dir, config.recipe, config.dataset)
    folder.config.write_text(recipes.to_toml(config, {"version": "0"}))
    with folder.events.open("w") as file:
        for event in events(config, epochs, ended, folder.name):
            file.write(EVENTS.encode(event) + "\n")
    for split in splits:
        predictions(split).save(folder.predictions / f"{split}.npz")
    if change is not None:
        change(folder)
    return folder


async def wait_until(
    pilot: Pilot[Any], condition: Callable[[], bool], seconds: float = 60.0
) -> None:
    """Wait until a condition holds, usually the result of work in a thread.

    It is checked when all messages are handled and all is drawn, so what follows from it holds
    too."""
    deadline = time.monotonic() + seconds
    await pilot.pause()
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        await pilot.pause(0.02)
        await pilot.pause()


def record_toasts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the messages of all toasts from now on, instead of showing them."""
    toasts: list[str] = []

    def record(dashboard: Dashboard, message: str, *args: object, **options: object) -> None:
        toasts.append(name_keys(message))

    monkeypatch.setattr(Dashboard, "notify", record)
    return toasts


def drawn_text(screen: Screen[Any]) -> str:
    """The text of all widgets of a screen, as they draw it: a line for each row."""
    return "\n".join(
        widget.render_line(y).text
        for widget in screen.query("*")
        for y in range(widget.size.height)
    )


def headline(dashboard: Dashboard) -> str:
    """The summary line of Evaluate or Errors."""
    return dashboard.screen.query_one(SummaryLine).plain


def images_title(dashboard: Dashboard) -> str:
    """What the images on Errors are."""
    return str(dashboard.screen.query_one(Gallery).border_title)


def notice(dashboard: Dashboard) -> str:
    """The text that Evaluate or Errors shows instead of results."""
    shown = dashboard.screen.has_class("-no-results")
    return str(dashboard.screen.query_one("#notice", Static).content) if shown else ""


async def screen_input(dashboard: Dashboard, pilot: Pilot[Any]) -> Input:
    """The input of the screen or dialog that is open, once it has one: a new dialog is empty."""
    await wait_until(pilot, lambda: bool(dashboard.screen.query(Input)))
    return dashboard.screen.query_one(Input)
