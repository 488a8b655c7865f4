"""Copies of a GPU's tensors in host memory, to be saved from there."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fmnist_tui.engine.checkpoints.checkpoint import Payload
from fmnist_tui.engine.device import TrainingDevice


def copy_to_host(payload: Payload, device: TrainingDevice) -> Payload:
    """The payload with every tensor of a CUDA device in host memory, after one synchronisation.

    Otherwise torch.save copies them one by one, and waits for each. Tensors that share their
    memory, as the weights and the model of a run without averages do, still share it."""
    if not device.is_cuda:
        return payload
    copies: dict[object, Tensor] = {}

    def copy(value: Any) -> Any:
        if isinstance(value, Tensor):
            place = (value.data_ptr(), value.dtype, value.shape, value.stride())
            if place not in copies:
                # Asynchronous, hence into pinned memory.
                copies[place] = value.detach().to("cpu", non_blocking=True)
            return copies[place]
        if isinstance(value, dict):
            return {key: copy(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(map(copy, value))
        return value

    copied: Payload = copy(payload)
    device.synchronize()
    return copied
