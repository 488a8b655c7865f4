"""Events for tests: arbitrary ones, and those of a typical run."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import settings
from hypothesis import strategies as st

from fmnist_tui.protocol.events import (
    EVENTS,
    Alert,
    Changed,
    CheckpointSaved,
    EpochEnded,
    Evaluated,
    Event,
    Glance,
    Progress,
    RunEnded,
    RunStarted,
    Telemetry,
)

PROPERTY = settings(deadline=None, derandomize=True, max_examples=80)

# With surrogates and control characters; JSON merges surrogate pairs.
TEXTS = st.text(
    st.characters(exclude_categories=())
    | st.sampled_from("\x1b\x9b\n\r\u202e\u2066\u2028\udc80\ud800"),
    max_size=12,
).map(lambda text: str(json.loads(json.dumps(text))))
WHOLE = st.integers(-(2**63) + 2, 2**63 - 2) | st.integers(0, 1000)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Arbitrary values of a field's type."""
    plain = {float: st.floats(), int: WHOLE, str: TEXTS, bool: st.booleans()}
    if hint in plain:
        return plain[hint]
    if get_origin(hint) is types.UnionType:
        return st.none() | values(get_args(hint)[0])
    return st.lists(values(get_args(hint)[0]), max_size=3).map(tuple)


def instances(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Arbitrary instances of an event or command class."""
    hints = get_type_hints(kind)
    return st.builds(
        kind, **{field.name: values(hints[field.name]) for field in dataclasses.fields(kind)}
    )


ANY_EVENT: st.SearchStrategy[Event] = st.one_of([instances(kind) for kind in EVENTS.kinds])
ANY_EVENTS = st.lists(ANY_EVENT, max_size=12)


def started(t: float = 1000.0, step: int = 0, epochs: int = 5, steps: int = 100) -> RunStarted:
    return RunStarted(
        t=t,
        run="2026-11-21_081403_two-conv_fashion_7f3a",
        recipe="two-conv",
        dataset="fashion",
        model="two-conv",
        parameters=225_034,
        device="cpu",
        device_name="a processor",
        precision="float32",
        seed=0,
        epochs=epochs,
        steps_per_epoch=steps,
        batch_size=64,
        train_count=50_000,
        val_count=10_000,
        test_count=10_000,
        classes=("T-shirt/top", "Trouser"),
        step=step,
    )


def progress(step: int, t: float | None = None, loss: float = 0.5, lr: float = 0.01) -> Progress:
    return Progress(
        t=1000.0 + step / 10 if t is None else t,
        step=step,
        epoch=1 + step // 100,
        epoch_step=step % 100,
        images=64,
        loss=loss,
        accuracy=0.8,
        lr=lr,
        images_per_second=640.0,
        step_ms=100.0,
    )


def epoch_ended(
    epoch: int, accuracy: float = 0.9, best: bool = True, t: float = 1100.0
) -> EpochEnded:
    return EpochEnded(
        t=t,
        step=epoch * 100,
        epoch=epoch,
        train_loss=0.4,
        train_accuracy=0.85,
        val_loss=0.3,
        val_accuracy=accuracy,
        val_count=10_000,
        lr=0.01,
        seconds=10.0,
        images_per_second=640.0,
        best=best,
    )


def saved(step: int, kind: str = "best", file: str = "best-0001.pt") -> CheckpointSaved:
    return CheckpointSaved(1100.0, step, step // 100, kind, file, "0" * 64, 1000)


def evaluated(
    accuracy: float, step: int = 500, split: str = "test", checkpoint: str = "best"
) -> Evaluated:
    return Evaluated(
        t=1200.0,
        step=step,
        epoch=step // 100,
        checkpoint=checkpoint,
        split=split,
        count=10_000,
        loss=0.3,
        accuracy=accuracy,
        accuracy_low=accuracy - 0.01,
        accuracy_high=accuracy + 0.01,
        macro_f1=accuracy,
        ece=0.01,
        confusion=((4500, 500), (400, 4600)),
    )


def glance(step: int, confidence: float = 0.5) -> Glance:
    return Glance(1100.0, step, 1, (3, 8), (0, 1), (0, 0), (confidence, 0.9), 4, ((2, 0), (1, 1)))


def ended(reason: str = "finished", t: float = 1300.0, message: str = "") -> RunEnded:
    return RunEnded(t, 500, 5, reason, 60.0, message)


def changed(what: str, value: str, t: float = 1050.0, step: int = 50) -> Changed:
    return Changed(t, step, what, value)


def note(message: str) -> Alert:
    return Alert(1.0, "note", message)


def telemetry(t: float = 1.0) -> Telemetry:
    return Telemetry(t, 50.0, 500.0)


def write_events(path: Path, events: Iterable[Event]) -> None:
    path.write_text("".join(EVENTS.encode(event) + "\n" for event in events), "ascii")


def start_python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process that runs `script`, with pipes for line by line communication."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_line(process: subprocess.Popen[str]) -> str:
    """The next output line of a process."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def send_line(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
