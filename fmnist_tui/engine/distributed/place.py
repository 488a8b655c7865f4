"""Where this process stands among those that torchrun has started for one command.

torchrun says it to each process in its environment. Imports no torch."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from fmnist_tui.util.errors import UserError

# In the table of what a run was made with.
JOB_KEY = "job"


@dataclass(frozen=True, slots=True)
class Place:
    """A process's number among `count` processes, 0 for the first, which alone writes the run.

    `local_rank` is its number among the `local_count` of its machine. `job` names what torchrun
    was started for; `restarts` says how often it, or Slurm, has started the job again."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    machine: int = 0
    job: str = ""
    restarts: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Place:
        """The place that torchrun has given this process; of any other process, the only one."""
        if "TORCHELASTIC_RUN_ID" not in environment:
            return cls()

        def number(name: str, default: str) -> int:
            text = environment.get(name, default)
            if not (text.isascii() and text.isdigit()):
                raise UserError(f"{name}={text!r} in the environment: torchrun sets a number")
            return int(text)

        return cls(
            number("RANK", "0"),
            number("WORLD_SIZE", "1"),
            number("LOCAL_RANK", "0"),
            number("LOCAL_WORLD_SIZE", "1"),
            number("GROUP_RANK", "0"),
            _name_job(environment["TORCHELASTIC_RUN_ID"]),
            number("TORCHELASTIC_RESTART_COUNT", "0") + number("SLURM_RESTART_COUNT", "0"),
        )

    @property
    def provenance(self) -> dict[str, str]:
        """What a run's config.toml says of the job."""
        return {JOB_KEY: self.job} if self.job else {}

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_several(self) -> bool:
        return self.count > 1


def _name_job(run_id: str) -> str:
    """torchrun's name for the job; where it was given none, its process stands for it."""
    return run_id if run_id != "none" else f"{socket.gethostname()}-{os.getppid()}"


# The place of a process that torchrun has not started.
ALONE = Place()


def check_batch_size(batch_size: int, processes: int) -> None:
    """Refuse batches that the processes cannot share equally."""
    if batch_size % processes == 0:
        return
    below = batch_size // processes * processes
    nearest = [size for size in (below, below + processes) if size]
    nearest.sort(key=lambda size: abs(size - batch_size))
    raise UserError(
        f"batches of {batch_size} images cannot be shared equally by {processes} processes: set"
        f" batch_size = {nearest[0]}"
    )


def share_of(count: int, place: Place) -> slice:
    """The consecutive part of `count` things that falls to a process; parts differ by one at
    most."""
    start, stop = (count * rank // place.count for rank in (place.rank, place.rank + 1))
    return slice(start, stop)
