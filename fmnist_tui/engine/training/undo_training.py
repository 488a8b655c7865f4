"""Training that is undone: everything it changed is restored to the last bit.

Values are copied back into the same tensors, so that a step captured as a CUDA graph remains
valid. The copies are kept in host memory, so that a nearly full GPU can do this as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

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
    copies = [(tensor, _copy(tensor)) for tensor in (*tensors, *_learning_rates(optimizer))]
    states = {
        parameter: {
            name: (value, _copy(value) if isinstance(value, Tensor) else value)
            for name, value in state.items()
        }
        for parameter, state in optimizer.state.items()
    }
    scale = scaler.state_dict()
    generators = rng.get_state(device)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, copy in copies:
                tensor.copy_(copy)
            _restore_states(optimizer, states)
        if scale:
            scaler.load_state_dict(scale)
        rng.set_state(generators, device)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)


def _learning_rates(optimizer: Optimizer) -> list[Tensor]:
    """The tensors among the options of the parameter groups."""
    return [
        value
        for group in optimizer.param_groups
        for value in group.values()
        if isinstance(value, Tensor)
    ]


def _restore_states(
    optimizer: Optimizer, states: dict[Tensor, dict[str, tuple[object, object]]]
) -> None:
    for parameter in list(optimizer.state):
        if parameter not in states:
            del optimizer.state[parameter]
    for parameter, state in states.items():
        optimizer.state[parameter].clear()
        for name, (value, copy) in state.items():
            if isinstance(value, Tensor) and isinstance(copy, Tensor):
                value.copy_(copy)
            optimizer.state[parameter][name] = value
