"""An exponential moving average of the weights, which often classifies better than the last."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Moving average of a model's floating-point state. Other buffers are copied; `frozen`
    tensors are never touched, so that not even rounding changes them."""

    def __init__(self, model: nn.Module, decay: float, frozen: Collection[str] = ()) -> None:
        self._decay = decay
        # The tensors of a state dict are detached, and share the memory of the model's.
        self._live = model.state_dict()
        self._mean = {name: tensor.clone() for name, tensor in self._live.items()}
        learning = [name for name in self._live if name not in frozen]
        self._averaged = [name for name in learning if self._live[name].is_floating_point()]
        self._copied = [name for name in learning if not self._live[name].is_floating_point()]

    def update(self) -> None:
        """Move the average towards the current weights."""
        torch._foreach_lerp_(
            [self._mean[name] for name in self._averaged],
            [self._live[name] for name in self._averaged],
            1 - self._decay,
        )
        for name in self._copied:
            self._mean[name].copy_(self._live[name])

    def continue_from(self, step: int) -> None:
        """Say how many steps of the training have been taken."""

    def state(self) -> dict[str, Tensor]:
        return dict(self._mean)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, mean in self._mean.items():
            mean.copy_(state[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averaged weights inside this block and its own back after it."""
        own = {name: tensor.clone() for name, tensor in self._live.items()}
        try:
            for name, tensor in self._live.items():
                tensor.copy_(self._mean[name])
            yield
        finally:
            for name, tensor in self._live.items():
                tensor.copy_(own[name])


class Lookahead(WeightAverage):
    """An average that moves every few steps, and whose place the model then takes itself.

    What it keeps of itself, decay^every · p³, grows with the progress p of the training. Steps are
    counted on the device, and every step does the same work, so that it can be captured."""

    def __init__(
        self,
        model: nn.Module,
        decay: float,
        every: int,
        total_steps: int,
        frozen: Collection[str] = (),
    ) -> None:
        super().__init__(model, decay, frozen)
        self._every, self._total_steps = every, total_steps
        device = next(iter(self._live.values())).device
        self._step = torch.zeros((), dtype=torch.int64, device=device)

    def continue_from(self, step: int) -> None:
        self._step.fill_(step)

    def update(self) -> None:
        """Count a step; where it is one of every few, move the average, then the model to it."""
        self._step += 1
        is_due = (self._step % self._every == 0).float()
        progress = (self._step / self._total_steps).clamp(max=1)
        kept = self._decay**self._every * progress**3
        means = [self._mean[name] for name in self._averaged]
        live = [self._live[name] for name in self._averaged]
        _move(means, live, is_due * (1 - kept))
        _move(live, means, is_due)
        for name in self._copied:
            self._mean[name].copy_(self._live[name])


def _move(tensors: list[Tensor], targets: list[Tensor], share: Tensor) -> None:
    """Move tensors this share of the way to their targets."""
    ways = torch._foreach_sub(targets, tensors)
    torch._foreach_mul_(ways, share)
    torch._foreach_add_(tensors, ways)
