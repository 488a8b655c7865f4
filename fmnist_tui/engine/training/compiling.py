"""Compiling a network ahead of the first step, without a trace in what it learns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fmnist_tui.engine.compute import rng
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.inference.classifier import ModelInfo
from fmnist_tui.util.errors import reason


def compile_network(
    model: nn.Module,
    about: ModelInfo,
    batch: int,
    machine: TrainingDevice,
    warn: Callable[[str], None],
) -> Callable[[Tensor], Tensor]:
    """The compiled network, or the model itself with a warning where that fails.

    The trial batch moves BatchNorm's statistics and the generators: both are put back.
    """
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    generators = rng.get_state(machine.device)
    network: Callable[[Tensor], Tensor] = torch.compile(model)
    try:
        model.train()
        pixels = torch.zeros(batch, about.channels, about.size, about.size, device=machine.device)
        with machine.autocast():
            answer = network(pixels.contiguous(memory_format=torch.channels_last))
        answer.float().sum().backward()  # type: ignore[no-untyped-call]
        machine.synchronize()
    except Exception as error:  # noqa: BLE001 - the compiler has many ways to fail, none fatal
        warn(f"not compiled, going on without: {reason(error)[:200]}")
        network = model
    finally:
        model.zero_grad(set_to_none=True)
        model.load_state_dict(weights)
        rng.set_state(generators, machine.device)
    return network
