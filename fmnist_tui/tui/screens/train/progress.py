"""The progress of a run: bars for the epoch and the run, and the present figures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import RenderableType
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as ProgressBars
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from fmnist_tui.protocol.events import LRFIND, Progress, RunStarted, Telemetry, format_threads
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.protocol.validation import find_validation, format_validation, training_note
from fmnist_tui.tui.screens.train.outcome import (
    Outcome,
    describe_outcome,
    describe_preparation,
    describe_status,
)
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.theme import text_colour
from fmnist_tui.tui.widgets.incremental import IncrementalWidget
from fmnist_tui.util.formatting import format_duration, format_percent
from fmnist_tui.util.text import safe_text

SHOWN_OTHER_CPUS = 0.25


class RunProgress(IncrementalWidget):
    """Two bars and below them the figures of a run; before it what is being prepared, after it
    how it has ended."""

    DEFAULT_CSS = "RunProgress { height: 4; }"

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._bars = ProgressBars(
            TextColumn("{task.description}"),
            BarColumn(None, style="bar.back", complete_style="cyan", finished_style="green"),
            TaskProgressColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            expand=True,
            auto_refresh=False,
            disable=True,
        )
        self._epoch_task = self._bars.add_task("epoch", total=1, note="")
        self._run_task = self._bars.add_task("run", total=1, note="")
        self._figures: list[str] = []
        self._preparation = ""
        self._outcome: Outcome | None = None
        # An ensemble has no steps.
        self._has_steps = True

    def show(self, feed: RunFeed | None) -> None:
        self._outcome, self._preparation, self._figures = None, "", []
        self._has_steps = False
        if feed is not None:
            started = feed.state.started
            if not feed.is_live:
                self._outcome = describe_outcome(feed)
            elif not feed.has_started:
                self._preparation = describe_preparation(feed)
            elif started is not None:
                self._update_bars(feed, started)
                self._figures = [
                    *training_figures(feed.state, describe_status(feed)),
                    *machine_figures(feed.state),
                ]
        self.repaint()

    def _update_bars(self, feed: RunFeed, started: RunStarted) -> None:
        state = feed.state
        self._has_steps = started.total_steps > 0
        per_epoch = max(1, started.steps_per_epoch)
        total = max(1, started.total_steps)
        epoch, steps = epoch_position(state, per_epoch, total)
        left = state.eta_seconds
        self._bars.update(
            self._epoch_task,
            description=f"epoch {epoch}/{started.epochs}",
            completed=steps,
            total=per_epoch,
            # A search is a single epoch.
            visible=started.kind != LRFIND,
        )
        elapsed = f"{format_duration(state.seconds)} elapsed"
        self._bars.update(
            self._run_task,
            description="search" if started.kind == LRFIND else "run",
            completed=min(state.step, total),
            total=total,
            note=f"{format_duration(left)} left" if left is not None else elapsed,
        )

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        if self._outcome is not None:
            return self._outcome_strips(self._outcome, width, height, base)
        if self._preparation:
            lines = textwrap.wrap(self._preparation, max(1, width))
            return [Strip([Segment(line, base)]) for line in lines]
        bars: list[Strip] = []
        if self._has_steps:
            bars = self._strips(self._bars.make_tasks_table(self._bars.tasks), width, base)
        lines = wrap_parts(self._figures, width)[: height - len(bars)]
        return [*bars, *(Strip([Segment(line, base)]) for line in lines)]

    def _outcome_strips(
        self, outcome: Outcome, width: int, height: int, base: Style
    ) -> list[Strip]:
        """The headline above, the keys below, and between them what there is room for."""
        colour = text_colour(self.app.theme_variables[outcome.colour])
        sign = f"{outcome.sign} "
        head, *more = textwrap.wrap(outcome.headline, max(1, width - len(sign)))
        title = base + Style(color=colour, bold=True)
        strips = [Strip([Segment(sign + head, title)])]
        strips += [Strip([Segment(" " * len(sign) + line, title)]) for line in more]
        keys = self._key_strips(outcome, width, base)
        room = max(0, height - len(strips) - len(keys))
        lines = wrap_parts(outcome.lines, width)[:room]
        return [*strips, *(Strip([Segment(line, base)]) for line in lines), *keys]

    def _key_strips(self, outcome: Outcome, width: int, base: Style) -> list[Strip]:
        accent = base + Style(color=text_colour(self.app.theme_variables["accent"]), bold=True)
        rows: list[list[Segment]] = []
        column = width
        for key, about in outcome.keys:
            size = len(key) + len(about) + 1
            if column + 2 + size > width:
                rows.append([])
                column = -2
            gap = " " * 2 if column > 0 else ""
            rows[-1] += [Segment(gap + key, accent), Segment(f" {about}", base)]
            column += 2 + size
        return [Strip(row) for row in rows]

    def _strips(self, renderable: RenderableType, width: int, base: Style) -> list[Strip]:
        console = self.app.console
        lines = console.render_lines(renderable, console.options.update(width=width), style=base)
        return [Strip(line) for line in lines]


def wrap_parts(parts: Sequence[str], width: int) -> list[str]:
    """The parts in lines of at most `width`; only a part longer than a line is broken."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f"  {part}"
        else:
            lines += textwrap.wrap(part, max(1, width))
    return lines


def _latest_progress(state: RunState) -> Progress | None:
    """The latest progress of this session: that of an earlier one tells nothing of now."""
    progress, started = state.progress, state.started
    return progress if progress and started and progress.t >= started.t else None


def epoch_position(state: RunState, per_epoch: int, total: int) -> tuple[int, int]:
    """The epoch that a run is in, and its steps so far: an epoch is over once it is validated."""
    epochs, steps = divmod(min(state.step, total), per_epoch)
    if epochs and not steps and (state.step >= total or state.phase.startswith("validating")):
        return epochs, per_epoch
    return epochs + 1, steps


def training_figures(state: RunState, status: str) -> list[str]:
    """Status, speed, step, loss, accuracies and learning rate."""
    parts, progress = [status], _latest_progress(state)
    if progress is not None:
        parts.append(f"{progress.images_per_second:,.0f} images/s")
    if state.started is not None and not state.started.total_steps:
        parts += [safe_text(state.started.model, 40), f"{state.started.parameters:,} parameters"]
        for split in ("val", "test"):
            evaluated = state.evaluation(split)
            if evaluated is not None:
                parts.append(f"{split} {format_percent(evaluated.accuracy)}")
    elif state.started is not None:
        parts.append(f"step {state.step:,}/{state.started.total_steps:,}")
    if progress is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if state.epochs and state.epochs[-1].val_accuracy is not None:
        note = training_note(state.started)
        parts.append(f"val {format_validation(state.epochs[-1].val_accuracy, note)}")
    best = find_validation(state)
    if best is not None and state.best is not None:
        parts.append(f"best {best.format()}")
    if state.lr is not None:
        parts.append(f"lr {state.lr:.3g}")
    return parts


def machine_figures(state: RunState) -> list[str]:
    """Device and precision, load, memory and the time of a step."""
    parts = []
    if state.started is not None:
        parts.append(f"{state.started.device} {state.started.precision}")
        if state.threads:
            parts.append(format_threads(state.threads, state.started.cpus))
    if state.telemetry is not None:
        parts += telemetry_figures(state.telemetry)
    if (progress := _latest_progress(state)) is not None:
        parts.append(f"step {progress.step_ms:.1f} ms")
        parts.append(f"data wait {progress.wait_ms:.1f} ms")
    return parts


def telemetry_figures(reading: Telemetry) -> list[str]:
    """The values that this machine can measure."""
    parts = []
    if reading.gpu_percent is not None:
        parts.append(f"GPU {reading.gpu_percent:.0f} %")
    if reading.gpu_memory_mb is not None and reading.gpu_memory_total_mb:
        used, total = reading.gpu_memory_mb / 1024, reading.gpu_memory_total_mb / 1024
        parts.append(f"{used:.1f}/{total:.0f} GB")
    if reading.gpu_watts is not None:
        parts.append(f"{reading.gpu_watts:.0f} W")
    if reading.gpu_celsius is not None:
        parts.append(f"{reading.gpu_celsius:.0f} °C")
    if reading.cpu_percent is not None:
        parts.append(f"CPU {reading.cpu_percent:.0f} %")
    if reading.other_cpus is not None and reading.other_cpus >= SHOWN_OTHER_CPUS:
        parts.append(f"others {reading.other_cpus * 100:.0f} %")
    if reading.waits_briefly:
        parts.append("threads sleep to wait")
    if reading.memory_mb is not None:
        parts.append(f"{reading.memory_mb:,.0f} MB")
    return parts
