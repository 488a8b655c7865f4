"""How a training that has several devices is started: as processes of torchrun.

Imports no torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from fmnist_tui.config.gpu_detect import visible_gpus, will_use_gpu
from fmnist_tui.config.plans import Plan, TrainStep
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.cpu.machine import count_cpus
from fmnist_tui.runs.handover import ALONE, Launch
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import format_count
from fmnist_tui.util.progress import FORMAT_VARIABLE

# torchrun sets it for the processes that it starts.
_STARTED = "TORCHELASTIC_RUN_ID"


def choose_launch(configs: Iterable[RunConfig]) -> Launch:
    """How to start the trainings of one command; a UserError where the devices are missing."""
    counts = sorted({config.devices for config in configs})
    if len(counts) > 1:
        listed = " and ".join(map(str, counts))
        raise UserError(
            f"devices differs between the steps ({listed}): train them one after another"
        )
    if counts in ([], [1]) or _STARTED in os.environ:
        return ALONE
    for config in configs:
        _check_devices(config)
    return _torchrun(counts[0])


def plan_configs(plan: Plan) -> list[RunConfig]:
    """The settings of the trainings of a plan that are left."""
    return [step.config for step in plan.steps[len(plan.runs) :] if isinstance(step, TrainStep)]


def _check_devices(config: RunConfig) -> None:
    if config.device in ("auto", "cpu", "cuda"):
        if not will_use_gpu(config.device):
            return
        gpus = len(visible_gpus())
        if config.devices > gpus:
            raise UserError(
                f"devices = {config.devices}: there {'is' if gpus == 1 else 'are'}"
                f" {format_count(gpus, 'GPU')} here; set fewer, or device = cpu"
            )
        return
    raise UserError(
        f"device {config.device} is one device, and devices = {config.devices}: set device = cuda"
        " (a GPU for each process) or cpu"
    )


def _torchrun(processes: int) -> Launch:
    """One process for each device of this machine."""
    options = ("--standalone", f"--nproc-per-node={processes}")
    command = (sys.executable, "-P", "-m", "torch.distributed.run", *options, "-m", "fmnist_tui")
    # Without a number of threads torchrun gives each process one.
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, count_cpus() // processes))
    # What they print is for people, whoever reads this process.
    variables = {"OMP_NUM_THREADS": threads, "PYTHONSAFEPATH": "1", FORMAT_VARIABLE: ""}
    return Launch(command, variables)
