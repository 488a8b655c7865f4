"""The first event of every kind of run. Imports no torch: a sweep starts without it."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import fmnist_tui
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.cpu.sharing import SHARING
from fmnist_tui.protocol.events import RunStarted
from fmnist_tui.runs.folder import RunFolder

if TYPE_CHECKING:
    from fmnist_tui.data.dataset import Dataset
    from fmnist_tui.engine.device import TrainingDevice


def build_run_started(
    folder: RunFolder,
    config: RunConfig,
    kind: str,
    dataset: Dataset | None = None,
    device: TrainingDevice | None = None,
) -> RunStarted:
    """The event with what a config, a dataset and a device determine; callers `replace` the rest.

    A sweep has neither dataset nor device: its trials have."""
    cpu = device if device is not None and device.torch_device.type == "cpu" else None
    return RunStarted(
        t=time.time(),
        run=folder.name,
        recipe=config.recipe,
        dataset=config.dataset,
        model=config.model,
        parameters=0,
        device=str(device.torch_device) if device else config.device,
        device_name=device.name if device else "",
        precision=device.precision if device else config.precision,
        seed=config.seed,
        epochs=0,
        steps_per_epoch=0,
        batch_size=config.batch_size,
        train_count=len(dataset.train) if dataset else 0,
        val_count=len(dataset.val) if dataset else 0,
        test_count=len(dataset.test) if dataset else 0,
        classes=dataset.info.classes if dataset else (),
        synthetic=dataset is not None and dataset.info.synthetic,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=fmnist_tui.__version__,
        kind=kind,
        threads=cpu.threads if cpu else 0,
        cpus=SHARING.limit if cpu else 0,
        run_seconds=0.0,
        train_seconds=0.0,
    )
