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
        state = model.state_dict()
        self._names = list(state)
        self._live = list(state.values())
        self._mean = [tensor.detach().clone() for tensor in self._live]
        learning = [index for index, name in enumerate(self._names) if name not in frozen]
        self._averaged = [index for index in learning if self._live[index].is_floating_point()]
        self._copied = [index for index in learning if not self._live[index].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the current weights."""
        torch._foreach_lerp_(
            [self._mean[index] for index in self._averaged],
            [self._live[index].detach() for index in self._averaged],
            1 - self._decay,
        )
        for index in self._copied:
            self._mean[index].copy_(self._live[index])

    def state(self) -> dict[str, Tensor]:
        return dict(zip(self._names, self._mean, strict=True))

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, mean in zip(self._names, self._mean, strict=True):
            mean.copy_(state[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averaged weights inside this block and its own back after it."""
        own = [tensor.detach().clone() for tensor in self._live]
        self._copy_to_model(self._mean)
        try:
            yield
        finally:
            self._copy_to_model(own)

    @torch.no_grad()
    def _copy_to_model(self, values: list[Tensor]) -> None:
        for tensor, value in zip(self._live, values, strict=True):
            tensor.copy_(value)
