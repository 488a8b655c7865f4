"""Breaks a training at a step: its numbers, its memory or its GPU. Called before it starts."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import torch

from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.trainer import Trainer

HEADROOM = 64 << 20


def poison(step: int, value: float) -> None:
    """One weight becomes NaN or infinite."""

    def act(learner: Learner) -> None:
        with torch.no_grad():
            next(learner.model.parameters()).view(-1)[0] = value

    at_step(step, act)


def spike(step: int) -> None:
    """The weights become so large that the loss jumps, but stays a number."""

    def act(learner: Learner) -> None:
        with torch.no_grad():
            for weights in learner.model.parameters():
                weights.mul_(-60)

    at_step(step, act)


def fill_memory(step: int) -> None:
    """The process may use no more memory, and a step needs some."""

    def act(_: Learner) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + HEADROOM, hard))
        torch.ones(8 * HEADROOM, dtype=torch.uint8)

    at_step(step, act)


def fill_gpu(step: int) -> None:
    raise_at(step, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))


def break_gpu(step: int) -> None:
    text = "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronous"
    raise_at(step, torch.AcceleratorError(text))


def raise_at(step: int, error: Exception) -> None:
    def act(_: Learner) -> None:
        raise error

    at_step(step, act)


def at_step(step: int, act: Callable[[Learner], None]) -> None:
    """Do this before a step, once."""
    execute = Trainer._execute_commands
    is_done = False

    def execute_commands(trainer: Trainer) -> None:
        nonlocal is_done
        execute(trainer)
        if trainer.learner.step == step and not is_done:
            is_done = True
            act(trainer.learner)

    setattr(Trainer, "_execute_commands", execute_commands)  # noqa: B010
