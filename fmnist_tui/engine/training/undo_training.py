"""Training that leaves no trace: what is learnt in a rehearsal is forgotten after it.

Everything is put back in place, bit for bit and into the very tensors there were, so that
a step captured as a CUDA graph goes on with them. What is kept meanwhile lies in the host's
memory: a GPU that is nearly full can rehearse as well.
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
    """What happens in this block to these tensors, to the optimiser, to the scaler of
    gradients and to the random generators has not happened after it."""
    kept = [(tensor, _copy(tensor)) for tensor in (*tensors, *_options(optimizer))]
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
            for tensor, before in kept:
                tensor.copy_(before)
            _put_back(optimizer, states)
        if scale:
            scaler.load_state_dict(scale)
        rng.set_state(generators, device)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)


def _options(optimizer: Optimizer) -> list[Tensor]:
    """The tensors among the groups' options: the learning rates."""
    return [
        value
        for group in optimizer.param_groups
        for value in group.values()
        if isinstance(value, Tensor)
    ]


def _put_back(optimizer: Optimizer, states: dict[Tensor, dict[str, tuple[object, object]]]) -> None:
    for parameter in list(optimizer.state):
        if parameter not in states:
            del optimizer.state[parameter]
    for parameter, state in states.items():
        optimizer.state[parameter].clear()
        for name, (value, before) in state.items():
            if isinstance(value, Tensor) and isinstance(before, Tensor):
                value.copy_(before)
            optimizer.state[parameter][name] = value
