"""Memory that trainings leave behind: none, also while garbage collection is off."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from fmnist_tui.config import plugins
from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.step.training_step import TrainingStep
from fmnist_tui.engine.training import lr_finder
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.trainer import Trainer
from fmnist_tui.protocol.commands import FindLearningRate
from fmnist_tui.protocol.events import FAILED, FINISHED
from fmnist_tui.util.errors import UserError
from tests.engine.support import PATIENCE, Listener, config

KINDS = (Training, Trainer, Learner, TrainingStep, nn.Linear)


@pytest.fixture
def collector_off() -> Iterator[None]:
    """Only counts of references free anything, as for objects that `gc.freeze` has set aside."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[object]]:
    """Weak references to every training, trainer, learner, step and layer from now on."""
    references: list[weakref.ref[object]] = []
    for kind in KINDS:
        original = kind.__init__

        def remember(self: object, *args: object, original=original, **words: object) -> None:  # type: ignore[no-untyped-def]
            references.append(weakref.ref(self))
            original(self, *args, **words)

        monkeypatch.setattr(kind, "__init__", remember)
    return references


@pytest.fixture(autouse=True)
def imports(session: Session) -> None:
    """The first optimiser of a process makes torch import modules that keep the frames above it."""
    assert train(session) == FINISHED


class Theirs(nn.Sequential):
    """A model of another package; its defect is raised while another exception is handled."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(nn.Flatten(), nn.Linear(spec.channels * spec.size**2, spec.classes))

    def forward(self, pixels: Tensor) -> Tensor:
        try:
            self.get_submodule("missing")
        except AttributeError as error:
            raise ValueError("no such layer") from error
        return pixels


def full(_: Trainer) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def poison(trainer: Trainer) -> None:
    with torch.no_grad():
        next(trainer.learner.model.parameters()).view(-1)[0] = float("nan")


def refuse(_: Trainer) -> None:
    raise UserError("the disk was taken away")


def surprise(*_: object) -> None:
    raise RuntimeError("a defect in the program")


def search(trainer: Trainer) -> None:
    trainer._execute(FindLearningRate(time.time(), 1e-5, 1.0, 20))


FAILURES: dict[str, Callable[[Trainer], None]] = {
    "out of memory": full,
    "NaN": poison,
    "user error": refuse,
    "defect": surprise,
    "search": search,
}


@pytest.mark.usefixtures("collector_off")
def test_a_training_that_has_finished_is_freed_at_once(
    session: Session, made: list[weakref.ref[object]]
) -> None:
    assert train(session) == FINISHED
    assert_freed(made)


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize("failure", FAILURES)
def test_a_training_that_has_failed_is_freed_at_once(
    session: Session,
    made: list[weakref.ref[object]],
    monkeypatch: pytest.MonkeyPatch,
    failure: str,
) -> None:
    execute = Trainer._execute_commands

    def fail(trainer: Trainer) -> None:
        if trainer.learner.step == 3:
            FAILURES[failure](trainer)
        execute(trainer)

    monkeypatch.setattr(Trainer, "_execute_commands", fail)
    if failure == "search":
        monkeypatch.setattr(lr_finder, "suggest_rate", surprise)
    assert train(session) == FAILED
    assert_freed(made)


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize("is_search", [False, True], ids=["training", "search"])
def test_a_model_of_another_package_that_fails_is_freed_at_once(
    session: Session,
    made: list[weakref.ref[object]],
    monkeypatch: pytest.MonkeyPatch,
    is_search: bool,
) -> None:
    monkeypatch.setattr(plugins, "build_plugin", build_theirs(plugins.build_plugin))
    assert train(session, is_search=is_search) == FAILED
    assert_freed(made)


@pytest.mark.usefixtures("collector_off")
def test_a_training_that_cannot_start_is_freed_at_once(
    session: Session, made: list[weakref.ref[object]]
) -> None:
    training = session.find_lr(config(batch_size=60))
    assert training.wait(PATIENCE)
    assert isinstance(training.error, UserError)
    del training
    assert_freed(made)


@pytest.mark.usefixtures("collector_off")
def test_a_small_job_that_has_failed_keeps_nothing(
    session: Session, made: list[weakref.ref[object]]
) -> None:
    def fail(_: object) -> None:
        model = nn.Linear(2, 2)
        raise ValueError(f"{model.in_features} is too few")

    future = session.submit(fail)
    with pytest.raises(ValueError, match="2 is too few") as caught:
        future.result(PATIENCE)
    assert "in fail" in caught.value.__notes__[0], "what --debug prints"
    assert_freed(made)


def build_theirs(build: Callable[..., object]) -> Callable[..., object]:
    def build_plugin(kind: str, name: str, result: type, *args: ModelSpec) -> object:
        return Theirs(args[0]) if kind == "models" else build(kind, name, result, *args)

    return build_plugin


def train(session: Session, *, is_search: bool = False) -> str:
    """Train until the session is free again; returns the reason of the end."""
    start = session.find_lr if is_search else session.train
    reason = Listener(start(config(batch_size=8))).wait_for_end().reason
    wait_until_free(session)
    return reason


def wait_until_free(session: Session) -> None:
    while session.training is not None:
        time.sleep(0.01)


def assert_freed(made: list[weakref.ref[object]]) -> None:
    assert made
    assert [reference() for reference in made if reference() is not None] == []
