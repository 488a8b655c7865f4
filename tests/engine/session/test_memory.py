"""Memory that trainings leave behind: none, also while garbage collection is off."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator

import pytest

from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.step.training_step import TrainingStep
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.trainer import Trainer
from fmnist_tui.protocol.events import FAILED, FINISHED
from tests.engine.support import Listener, config


@pytest.fixture
def collector_off() -> Iterator[None]:
    """Only counts of references free anything, as for objects that `gc.freeze` has set aside."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[object]]:
    """Weak references to every trainer, learner and step from now on."""
    references: list[weakref.ref[object]] = []
    for kind in (Trainer, Learner, TrainingStep):
        original = kind.__init__

        def remember(self: object, *args: object, original=original, **words: object) -> None:  # type: ignore[no-untyped-def]
            references.append(weakref.ref(self))
            original(self, *args, **words)

        monkeypatch.setattr(kind, "__init__", remember)
    return references


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize("broken", [False, True], ids=["finished", "failed"])
def test_a_training_that_has_ended_is_freed_at_once(
    session: Session,
    made: list[weakref.ref[object]],
    monkeypatch: pytest.MonkeyPatch,
    broken: bool,
) -> None:
    def defect(_: object) -> None:
        raise RuntimeError("a defect in the program")

    # The first optimiser of a process makes torch import modules that keep the frames above it.
    assert train(session) == FINISHED
    made.clear()
    if broken:
        monkeypatch.setattr(TrainingStep, "read_totals", defect)
    assert train(session) == (FAILED if broken else FINISHED)
    assert len(made) == 3
    assert [reference() for reference in made if reference() is not None] == []


def train(session: Session) -> str:
    """Train until the session is free again; returns the reason of the end."""
    reason = Listener(session.train(config(model="two-conv"))).wait_for_end().reason
    while session.training is not None:
        time.sleep(0.01)
    return reason
