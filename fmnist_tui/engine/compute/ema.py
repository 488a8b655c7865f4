"""A running average of the weights, which often classifies better than the last ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential average of a model's floating-point state; other buffers are copied, and what
    is `still` is left alone, so that not even a rounding moves it."""

    def __init__(self, model: nn.Module, decay: float, still: Collection[str] = ()) -> None:
        self._decay = decay
        self._source = list(model.state_dict().values())
        self._mean = [tensor.detach().clone() for tensor in self._source]
        self._names = list(model.state_dict())
        moving = [index for index, name in enumerate(self._names) if name not in still]
        self._float = [index for index in moving if self._source[index].is_floating_point()]
        self._rest = [index for index in moving if not self._source[index].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average a little towards the present weights."""
        torch._foreach_lerp_(
            [self._mean[index] for index in self._float],
            [self._source[index].detach() for index in self._float],
            1 - self._decay,
        )
        for index in self._rest:
            self._mean[index].copy_(self._source[index])

    def state(self) -> dict[str, Tensor]:
        return dict(zip(self._names, self._mean, strict=True))

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, mean in zip(self._names, self._mean, strict=True):
            mean.copy_(state[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the averaged weights inside this block, its own again after it."""
        own = [tensor.detach().clone() for tensor in self._source]
        self._put(self._mean)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for tensor, value in zip(self._source, values, strict=True):
            tensor.copy_(value)
