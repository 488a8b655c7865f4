"""Compiling a network before the first step, without any effect on what it learns."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fmnist_tui.engine.compute import rng
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.step import Network
from fmnist_tui.util.errors import reason


def compile_network(learner: Learner, warn: Callable[[str], None]) -> Network:
    """The compiled network, or the model itself with a warning if compiling fails.

    The trial batch changes batch-norm statistics and random generators; both are restored.
    """
    model, info, device = learner.model, learner.info, learner.device
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    generators = rng.get_state(device.torch_device)
    network: Network = torch.compile(model)
    try:
        model.train()
        shape = learner.order.batch_size, info.channels, info.size, info.size
        pixels = torch.zeros(shape, device=device.torch_device)
        with device.autocast():
            logits = network(pixels.contiguous(memory_format=torch.channels_last))
        logits.float().sum().backward()  # type: ignore[no-untyped-call]
        device.synchronize()
    except Exception as error:  # noqa: BLE001 - the compiler has many ways to fail, none fatal
        warn(f"not compiled, continuing without: {reason(error)[:200]}")
        network = model
    finally:
        model.zero_grad(set_to_none=True)
        model.load_state_dict(weights)
        rng.set_state(generators, device.torch_device)
    return network
