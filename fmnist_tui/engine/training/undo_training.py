"""Training that is undone: everything it changed is restored to the last bit.

Values are copied back into the same tensors, so that a step captured as a CUDA graph remains
valid. The copies are kept in host memory, so that a nearly full GPU can do this as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from fmnist_tui.engine.compute import rng
from fmnist_tui.engine.optim import Optimizer


@contextmanager
def undo_on_exit(
    tensors: Iterable[Tensor],
    optimizer: Optimizer,
    scaler: torch.amp.GradScaler,
    device: torch.device,
) -> Iterator[None]:
    """Restore these tensors, the optimiser, the gradient scaler and the random generators when
    the block ends."""
    states = {parameter: dict(state) for parameter, state in optimizer.state.items()}
    # The options of the parameter groups hold the learning rates.
    changing = chain(tensors, _tensors(optimizer.param_groups), _tensors(states.values()))
    copies = [(tensor, tensor.detach().to("cpu", copy=True)) for tensor in changing]
    scale = scaler.state_dict()
    generators = rng.get_state(device)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, copy in copies:
                tensor.copy_(copy)
        optimizer.state.clear()
        optimizer.state.update(states)
        if scale:
            scaler.load_state_dict(scale)
        rng.set_state(generators, device)


def _tensors(tables: Iterable[Mapping[Any, Any]]) -> Iterator[Tensor]:
    for table in tables:
        yield from (value for value in table.values() if isinstance(value, Tensor))
