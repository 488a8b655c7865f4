"""Views of a training in a command, on standard error: bars, plain lines, or JSON lines."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from fmnist_tui.cli.support import progress
from fmnist_tui.cli.support.console import note
from fmnist_tui.cli.support.progress import LINE_SECONDS, WHOLE, ProgressPart
from fmnist_tui.protocol import events
from fmnist_tui.protocol.lr_search import format_search_result
from fmnist_tui.util.formatting import format_duration, format_percent
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.load_progress import LoadStep
    from fmnist_tui.protocol.run_state import RunState


class TrainingView(ABC):
    """Shows a training. `close` may be called at any moment and restores the terminal."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        sys.stderr.flush()

    @abstractmethod
    def on_load_step(self, step: LoadStep) -> None: ...
    @abstractmethod
    def on_event(self, event: events.Event, state: RunState) -> None: ...
    @abstractmethod
    def show_notice(self, message: str) -> None: ...


def choose_view(part: ProgressPart = WHOLE) -> TrainingView:
    """The view that standard error and the environment call for."""
    if progress.wants_json():
        return JsonView(part)
    return BarView() if progress.has_live_terminal() else PlainView()


def format_start(event: events.RunStarted) -> str:
    """What is going to be trained, in one line."""
    synthetic = " (SYNTHETIC)" if event.synthetic else ""
    resumed = f", from step {event.step:,}" if event.step else ""
    return (
        f"{event.run}: {event.model} ({event.parameters:,} parameters) on {event.dataset}"
        f"{synthetic}, train {event.train_count:,} · val {event.val_count:,} · "
        f"test {event.test_count:,}, {event.device} {event.precision} "
        f"({event.device_details}), seed {event.seed}{resumed}"
    )


def _is_search(state: RunState) -> bool:
    """Whether the whole run is a learning-rate search, whose outcome the command prints."""
    return state.started is not None and state.started.kind == events.LRFIND


def _total_epochs(state: RunState) -> str:
    return str(state.started.epochs) if state.started else "?"


def format_load_step(step: LoadStep) -> str:
    """A step of loading a dataset, in one line."""
    parts = [step.source, step.message]
    if step.state == "progress":
        scale, unit = step.display_scale
        done = f"{step.done / scale:,.0f}"
        parts.append(f"{done} of {step.total / scale:,.0f} {unit}" if step.total else "")
    elif step.state == "failed":
        parts.insert(1, "failed")
    return f"{step.dataset}: {': '.join(part for part in parts if part)}"


def format_event(event: events.Event, state: RunState) -> str | None:
    """An event that deserves a line of its own; None for the others."""
    match event:
        case events.RunStarted():
            return format_start(event)
        case events.EpochEnded():
            train = val = ""
            if event.train_accuracy is not None:
                train = f" {format_percent(event.train_accuracy)}"
            if event.val_accuracy is not None:
                accuracy = f"{format_percent(event.val_accuracy)} ({event.val_count:,})"
                val = f", val loss {event.val_loss:.4f} accuracy {accuracy}"
            return (
                f"epoch {event.epoch}: train loss {event.train_loss:.4f}{train}{val}, "
                f"{event.images_per_second:,.0f} images/s{' *' if event.best else ''}"
            )
        case events.Alert():
            return f"{event.level}: {event.message}"
        case events.Changed(what="lr"):
            return f"learning rate {event.value} from step {event.step:,}"
        case events.Changed(what="paused"):
            return "paused" if event.value == "true" else "resumed"
        case events.LrSearched() if not _is_search(state):
            return f"learning rate: {format_search_result(event)}"
        case events.CheckpointSaved(kind="step"):
            return f"checkpoint {event.file} saved"
        case events.Evaluated():
            return (
                f"{event.split} ({event.count:,}): accuracy {format_percent(event.accuracy)} "
                f"({format_percent(event.accuracy_low)} to {format_percent(event.accuracy_high)})"
            )
    return None


def format_probe(event: events.LrProbed, state: RunState) -> str:
    """The progress of a learning-rate search."""
    left = state.search.eta_seconds if state.search is not None else None
    return (
        f"{event.probe}/{event.probes} lr {event.lr:.2g} loss {event.loss:.4f},"
        f" {format_duration(left)} left"
    )


class PlainView(TrainingView):
    """A line every few seconds, for logs and pipes."""

    def __init__(
        self, print_line: Callable[[str], None] = note, seconds: float = LINE_SECONDS
    ) -> None:
        self._print, self._seconds = print_line, seconds
        self._last_line = 0.0

    def show_notice(self, message: str) -> None:
        self._print(message)

    def _is_line_due(self) -> bool:
        return time.monotonic() - self._last_line >= self._seconds

    def _print_progress(self, line: str) -> None:
        self._last_line = time.monotonic()
        self._print(line)

    def on_load_step(self, step: LoadStep) -> None:
        if step.state != "progress" or self._is_line_due():
            self._print_progress(format_load_step(step))

    def on_event(self, event: events.Event, state: RunState) -> None:
        if (line := format_event(event, state)) is not None:
            self._print(line)
        if not self._is_line_due():
            return
        if isinstance(event, events.LrProbed):
            self._print_progress(format_probe(event, state))
        elif isinstance(event, events.Progress):
            self._print_progress(
                f"epoch {event.epoch}/{_total_epochs(state)} step {event.step:,} "
                f"loss {event.loss:.4f} {event.images_per_second:,.0f} images/s, "
                f"{format_duration(state.eta_seconds)} left"
            )


class JsonView(PlainView):
    """Progress as JSON lines, other events as plain lines."""

    def __init__(self, part: ProgressPart) -> None:
        super().__init__()
        self._on_progress = part.scale(progress.json_progress())

    def on_event(self, event: events.Event, state: RunState) -> None:
        # Suppresses the progress lines of PlainView.
        self._last_line = time.monotonic()
        super().on_event(event, state)
        if state.started is not None:
            epoch = f"epoch {min(state.epochs_done + 1, state.started.epochs)}"
            text = f"{state.started.recipe} {epoch}"
            self._on_progress(state.step, state.started.total_steps, text)


class BarView(TrainingView):
    """Two bars, one for the epoch and one for the run, and lines above them for other events."""

    def __init__(self) -> None:
        from rich.progress import TextColumn, TimeElapsedColumn

        note_column = TextColumn("{task.fields[note]}", markup=False)
        self._bars = progress.create_bars(note_column, TimeElapsedColumn())
        self._data = self._bars.add_task("data", total=None, note="", visible=False)
        self._epoch = self._bars.add_task("epoch", total=None, note="starting")
        self._total = self._bars.add_task("total", total=None, note="", visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def close(self) -> None:
        self._bars.stop()

    def show_notice(self, message: str) -> None:
        self._bars.update(self._epoch, note=safe_text(message))

    def _print(self, message: str, style: str = "") -> None:
        from rich.text import Text

        self._bars.console.print(Text(safe_text(message), style=style))

    def on_load_step(self, step: LoadStep) -> None:
        update = self._bars.update
        if step.state == "progress":
            note = safe_text(step.message or step.source)
            update(self._data, visible=True, total=step.total, completed=step.done, note=note)
            return
        update(self._data, visible=False)
        if step.state != "trying":
            self._print(format_load_step(step))

    def on_event(self, event: events.Event, state: RunState) -> None:
        if (line := format_event(event, state)) is not None:
            self._print(line, "yellow" if isinstance(event, events.Alert) else "")
        update = self._bars.update
        match event:
            case events.RunStarted():
                # A search is a single epoch: one bar is enough.
                is_search = event.kind == events.LRFIND
                name = "search" if is_search else "epoch"
                update(self._epoch, total=event.steps_per_epoch, description=name)
                update(self._total, total=event.total_steps, visible=not is_search)
                update(self._total, completed=event.step)
            case events.LrProbed():
                update(self._epoch, note=format_probe(event, state))
                if _is_search(state):
                    update(self._epoch, completed=event.probe)
            case events.Changed(what="phase"):
                update(self._epoch, note=event.value)
            case events.Progress():
                epoch = f"epoch {event.epoch}/{_total_epochs(state)}"
                note = f"loss {event.loss:.4f}  {event.images_per_second:,.0f} images/s"
                left = f"{format_duration(state.eta_seconds)} left"
                update(self._epoch, description=epoch, completed=event.epoch_step, note=note)
                update(self._total, completed=event.step, note=left)
