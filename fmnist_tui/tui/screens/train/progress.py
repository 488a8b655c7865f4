"""How far a run is: rich's bars for the epoch and the whole, and the figures of the moment."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from fmnist_tui.protocol.events import LRFIND, Telemetry
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.incremental import IncrementalWidget
from fmnist_tui.util.formatting import format_duration
from fmnist_tui.util.text import safe_text


class RunProgress(IncrementalWidget):
    """The bars and below them the figures; `show` brings them up to date."""

    DEFAULT_CSS = "RunProgress { height: 4; }"

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(None, style="bar.back", complete_style="cyan", finished_style="green"),
            TaskProgressColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            expand=True,
            auto_refresh=False,
            disable=True,
        )
        self._epoch = self._bars.add_task("epoch", total=1, note="")
        self._whole = self._bars.add_task("run", total=1, note="")
        self._figures: list[str] = []
        self._shown = False
        # An ensemble takes no steps.
        self._steps = True

    def show(self, feed: RunFeed | None) -> None:
        """Show how far the run is."""
        self._shown = feed is not None and feed.state.started is not None
        if feed is not None and self._shown:
            self._take(feed.state, feed)
        self.repaint()

    def _take(self, state: RunState, feed: RunFeed) -> None:
        started = state.started
        if started is None:
            return
        self._steps = started.total_steps > 0
        per_epoch = max(1, started.steps_per_epoch)
        total = max(1, started.total_steps)
        done = state.step >= total
        epoch = min(started.epochs, state.step // per_epoch + (0 if done else 1))
        within = per_epoch if done else state.step % per_epoch
        pace = state.images_per_second if feed.live else state.mean_images_per_second
        left = state.eta_seconds if feed.live else None
        self._bars.update(
            self._epoch,
            description=f"epoch {epoch}/{started.epochs}",
            completed=within,
            total=per_epoch,
            note=f"{pace:,.0f} images/s" if pace else "",
            # All of a search is one epoch.
            visible=started.kind != LRFIND,
        )
        self._bars.update(
            self._whole,
            description="search" if started.kind == LRFIND else "run",
            completed=min(state.step, total),
            total=total,
            note=f"{format_duration(left)} left"
            if left is not None
            else f"{format_duration(state.seconds)} taken",
        )
        self._figures = [*figures(state, feed.status), *machine(state)]

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        if not self._shown:
            told = Text("no run yet: space starts one with these settings", style="dim")
            return self._strips(told, width, base)
        bars: list[Strip] = []
        if self._steps:
            bars = self._strips(self._bars.make_tasks_table(self._bars.tasks), width, base)
        lines = wrapped(self._figures, width)[: height - len(bars)]
        return [*bars, *(Strip([Segment(line, base)]) for line in lines)]

    def _strips(self, renderable: RenderableType, width: int, base: Style) -> list[Strip]:
        console = self.app.console
        lines = console.render_lines(renderable, console.options.update(width=width), style=base)
        return [Strip(line) for line in lines]


def wrapped(parts: Sequence[str], width: int) -> list[str]:
    """The parts in lines of at most `width`, none broken but one that is longer than a line."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f"  {part}"
        else:
            lines += textwrap.wrap(part, max(1, width))
    return lines


def figures(state: RunState, status: str) -> list[str]:
    """How the training stands: status, step, loss, accuracies, learning rate."""
    parts = [status]
    if state.started is not None and not state.started.total_steps:
        parts += [safe_text(state.started.model, 40), f"{state.started.parameters:,} parameters"]
        verdicts = (state.evaluation(split) for split in ("val", "test"))
        parts += [f"{v.split} {100 * v.accuracy:.2f} %" for v in verdicts if v is not None]
    elif state.started is not None:
        parts.append(f"step {state.step:,}/{state.started.total_steps:,}")
    if state.progress is not None:
        parts.append(f"loss {state.progress.loss:.3f}")
    if state.epochs and state.epochs[-1].val_accuracy is not None:
        parts.append(f"val {100 * state.epochs[-1].val_accuracy:.2f} %")
    if state.best is not None and state.best.val_accuracy is not None:
        parts.append(f"best {100 * state.best.val_accuracy:.2f} %")
    if state.lr is not None:
        parts.append(f"lr {state.lr:.3g}")
    return parts


def machine(state: RunState) -> list[str]:
    """How the machine works: device and precision, load, memory, time of a step."""
    parts = []
    if state.started is not None:
        parts.append(f"{state.started.device} {state.started.precision}")
    if state.telemetry is not None:
        parts += gauges(state.telemetry)
    if state.progress is not None:
        parts.append(f"step {state.progress.step_ms:.1f} ms")
        parts.append(f"data wait {state.progress.wait_ms:.1f} ms")
    return parts


def gauges(told: Telemetry) -> list[str]:
    """The readings there are, in words."""
    parts = []
    if told.gpu_percent is not None:
        parts.append(f"GPU {told.gpu_percent:.0f} %")
    if told.gpu_memory_mb is not None and told.gpu_memory_total_mb:
        parts.append(f"{told.gpu_memory_mb / 1024:.1f}/{told.gpu_memory_total_mb / 1024:.0f} GB")
    if told.gpu_watts is not None:
        parts.append(f"{told.gpu_watts:.0f} W")
    if told.gpu_celsius is not None:
        parts.append(f"{told.gpu_celsius:.0f} °C")
    if told.cpu_percent is not None:
        parts.append(f"CPU {told.cpu_percent:.0f} %")
    if told.memory_mb is not None:
        parts.append(f"{told.memory_mb:,.0f} MB")
    return parts
