"""How a training shows on a terminal while it goes on: bars, or a plain line now and then.

Both write to standard error; standard output is for results.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol, Self

from fmnist_tui.cli.support.console import console, duration, note, percent
from fmnist_tui.cli.support.progress import WHOLE, ProgressPart, as_json, json_steps
from fmnist_tui.protocol.events import (
    LRFIND,
    Alert,
    Changed,
    CheckpointSaved,
    EpochEnded,
    Evaluated,
    Event,
    LrProbed,
    LrSearched,
    Progress,
    RunStarted,
)
from fmnist_tui.protocol.lr_search import summary
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.load_progress import LoadStep
    from fmnist_tui.protocol.run_state import RunState

PLAIN_SECONDS = 3.0
MB = 1 << 20


class View(Protocol):
    """Something that shows a training; `close` gives the terminal back at any moment."""

    def step(self, step: LoadStep) -> None: ...
    def event(self, event: Event, state: RunState) -> None: ...
    def notice(self, message: str) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def choose_view(part: ProgressPart = WHOLE) -> View:
    """Bars where standard error is a terminal that can move its cursor, else lines."""
    if as_json():
        return JsonView(part)
    if sys.stderr.isatty() and not console(stderr=True).is_dumb_terminal:
        return BarView()
    return PlainView()


def headline(event: RunStarted) -> str:
    """What is about to be trained, on one line."""
    synthetic = " (SYNTHETIC)" if event.synthetic else ""
    again = f", from step {event.step:,}" if event.step else ""
    return (
        f"{event.run}: {event.model} ({event.parameters:,} parameters) on {event.dataset}"
        f"{synthetic}, train {event.train_count:,} · val {event.val_count:,} · "
        f"test {event.test_count:,}, {event.device} {event.precision} "
        f"({event.device_name}), seed {event.seed}{again}"
    )


def _searches(state: RunState) -> bool:
    """Whether the run is nothing but a search, whose outcome is its result."""
    return state.started is not None and state.started.kind == LRFIND


def _epochs(state: RunState) -> str:
    return str(state.started.epochs) if state.started else "?"


def told(step: LoadStep) -> str:
    """A step of getting the data, as a line."""
    words = [step.source, step.message]
    if step.state == "progress":
        scale = MB if step.unit == "bytes" else 1
        unit = "MB" if step.unit == "bytes" else step.unit
        so_far = f"{step.done / scale:,.0f}"
        words.append(f"{so_far} of {step.total / scale:,.0f} {unit}" if step.total else "")
    elif step.state == "failed":
        words.insert(1, "failed")
    return f"{step.dataset}: {': '.join(word for word in words if word)}"


def sentence(event: Event, state: RunState) -> str | None:
    """The events that are worth a line of their own."""
    match event:
        case RunStarted():
            return headline(event)
        case EpochEnded():
            val = (
                ""
                if event.val_accuracy is None
                else (
                    f", val loss {event.val_loss:.4f} accuracy {percent(event.val_accuracy)}"
                    f" ({event.val_count:,})"
                )
            )
            train = "" if event.train_accuracy is None else f" {percent(event.train_accuracy)}"
            star = " *" if event.best else ""
            return (
                f"epoch {event.epoch}: train loss {event.train_loss:.4f}{train}{val}, "
                f"{event.images_per_second:,.0f} images/s{star}"
            )
        case Alert():
            return f"{event.level}: {event.message}"
        case Changed(what="lr"):
            return f"learning rate {event.value} from step {event.step:,}"
        case Changed(what="paused"):
            return "paused" if event.value == "true" else "going on"
        case LrSearched() if not _searches(state):
            return f"learning rate: {summary(event)}"
        case CheckpointSaved(kind="step"):
            return f"checkpoint {event.file} saved"
        case Evaluated():
            return (
                f"{event.split} ({event.count:,}): accuracy {percent(event.accuracy)} "
                f"({percent(event.accuracy_low)} to {percent(event.accuracy_high)})"
            )
    return None


def probe(event: LrProbed, state: RunState) -> str:
    """How a search for a learning rate is getting on."""
    left = state.search.eta_seconds if state.search is not None else None
    return f"lr {event.lr:.2g} loss {event.loss:.4f}, {duration(left)} left"


class PlainView:
    """A line every few seconds, for logs and pipes."""

    def __init__(self) -> None:
        self._last = 0.0
        self._steps: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        sys.stderr.flush()

    def notice(self, message: str) -> None:
        note(message)

    def step(self, step: LoadStep) -> None:
        if step.state == "progress" and time.monotonic() - self._last < PLAIN_SECONDS:
            return
        self._last = time.monotonic()
        note(told(step))

    def event(self, event: Event, state: RunState) -> None:
        line = sentence(event, state)
        if line is not None:
            note(line)
        if isinstance(event, LrProbed) and time.monotonic() - self._last >= PLAIN_SECONDS:
            self._last = time.monotonic()
            note(f"{event.probe}/{event.probes} {probe(event, state)}")
        if isinstance(event, Progress) and time.monotonic() - self._last >= PLAIN_SECONDS:
            self._last = time.monotonic()
            left = duration(state.eta_seconds)
            note(
                f"epoch {event.epoch}/{_epochs(state)} step {event.step:,} "
                f"loss {event.loss:.4f} {event.images_per_second:,.0f} images/s, {left} left"
            )


class JsonView(PlainView):
    """A training told as steps, besides the lines that are worth one of their own."""

    def __init__(self, part: ProgressPart) -> None:
        super().__init__()
        self._tell = part.tell(json_steps())

    def event(self, event: Event, state: RunState) -> None:
        # PlainView's own line about progress is what the steps say.
        self._last = time.monotonic()
        super().event(event, state)
        if state.started is not None:
            epoch = f"epoch {min(state.epochs_done + 1, state.started.epochs)}"
            self._tell(state.step, state.started.total_steps, f"{state.started.recipe} {epoch}")


class BarView:
    """Two bars, the epoch's and the run's, with lines above them for what happens."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console(stderr=True),
            transient=True,
            expand=True,
            refresh_per_second=8,
        )
        self._data = self._bars.add_task("data", total=None, note="", visible=False)
        self._epoch = self._bars.add_task("epoch", total=None, note="starting")
        self._total = self._bars.add_task("total", total=None, note="", visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._bars.stop()

    def notice(self, message: str) -> None:
        self._bars.update(self._epoch, note=safe_text(message))

    def _say(self, message: str, style: str = "") -> None:
        from rich.text import Text

        self._bars.console.print(Text(safe_text(message), style=style))

    def step(self, step: LoadStep) -> None:
        if step.state == "progress":
            note = step.message or step.source
            self._bars.update(
                self._data, visible=True, total=step.total, completed=step.done, note=note
            )
            return
        self._bars.update(self._data, visible=False)
        if step.state != "trying":
            self._say(told(step))

    def event(self, event: Event, state: RunState) -> None:
        line = sentence(event, state)
        if line is not None:
            self._say(line, "yellow" if isinstance(event, Alert) else "")
        match event:
            case RunStarted():
                self._bars.update(self._total, visible=True, total=event.total_steps)
                self._bars.update(self._total, completed=event.step)
                self._bars.update(self._epoch, total=event.steps_per_epoch)
                if event.kind == LRFIND:
                    # One bar says it all.
                    self._bars.update(self._total, visible=False)
                    self._bars.update(self._epoch, description="search")
            case LrProbed():
                told = f"{event.probe}/{event.probes} {probe(event, state)}"
                self._bars.update(self._epoch, note=told)
                if _searches(state):
                    self._bars.update(self._epoch, completed=event.probe)
            case Changed(what="phase"):
                self._bars.update(self._epoch, note=event.value)
            case Progress():
                self._bars.update(
                    self._epoch,
                    description=f"epoch {event.epoch}/{_epochs(state)}",
                    completed=event.epoch_step,
                    note=f"loss {event.loss:.4f}  {event.images_per_second:,.0f} images/s",
                )
                self._bars.update(
                    self._total, completed=event.step, note=f"{duration(state.eta_seconds)} left"
                )
