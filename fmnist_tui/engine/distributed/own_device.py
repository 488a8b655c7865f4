"""The device of one of several processes."""

from __future__ import annotations

from dataclasses import replace

import torch

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.device import TrainingDevice, choose_device
from fmnist_tui.engine.distributed.place import Place
from fmnist_tui.util.errors import UserError


def choose_own_device(config: RunConfig, place: Place) -> TrainingDevice:
    """What a config requests; of several processes on a machine, each gets a GPU of its own."""
    if not place.is_several:
        return choose_device(config)
    device = choose_device(config.changed(device=_name_own(config.device, place)))
    # A capture would have to include the exchange between the processes.
    return replace(device, cuda_graph=False)


def _name_own(requested: str, place: Place) -> str:
    if requested == "auto":
        requested = "cuda" if torch.cuda.is_available() else "cpu"
    if requested == "cpu":
        return requested
    if requested != "cuda":
        raise UserError(
            f"device {requested} is one device, for {place.count} processes: give --device cuda"
            " (a GPU for each) or cpu"
        )
    gpus = torch.cuda.device_count()
    if torch.cuda.is_available() and gpus < place.local_count:
        raise UserError(
            f"this machine has {gpus} GPU{'s' if gpus != 1 else ''} for {place.local_count}"
            " processes: start fewer (--nproc-per-node), or give --device cpu"
        )
    return f"cuda:{place.local_rank}"
