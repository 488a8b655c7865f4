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
