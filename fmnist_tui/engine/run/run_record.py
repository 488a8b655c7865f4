"""What every kind of run writes down: its settings and what made it, and how it ended."""

from __future__ import annotations

import contextlib
import platform
import time
import traceback
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch

import fmnist_tui
from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointManifest
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.run.inbox import Cancelled
from fmnist_tui.protocol.events import FAILED, FINISHED, STOPPED, CheckpointSaved, Event, RunEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import EventLog
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UserError, reason

Emit = Callable[[Event], None]


@contextlib.contextmanager
def recorded(folder: RunFolder) -> Iterator[Emit]:
    """Somewhere to say what happens in a run that is done in one go.

    The run is locked meanwhile, and exactly one `RunEnded` says how it went: finished,
    stopped (by `Cancelled`), or failed and why. What went wrong is raised all the same."""
    began = time.perf_counter()
    with RunLock.acquire(folder.path):
        log = EventLog(folder.events)
        ending, message = FAILED, "the program was ended"
        try:
            yield log.append
            ending, message = FINISHED, ""
        except Cancelled as error:
            ending, message = STOPPED, str(error)
            raise
        except UserError as error:
            message = str(error)
            raise
        except Exception as error:
            keep_traceback(folder, error)
            message = f"{type(error).__name__}: {reason(error)}"
            raise
        finally:
            log.append(RunEnded(time.time(), 0, 0, ending, time.perf_counter() - began, message))
            log.close()


def write_config(
    folder: RunFolder,
    config: RunConfig,
    machine: TrainingDevice,
    made_from: Mapping[str, str | int | float],
) -> None:
    """Keep a run's settings, with the versions and the machine, and where it comes from."""
    made_with: dict[str, str | int | float] = {
        "fmnist_tui": fmnist_tui.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": str(machine.device),
        "device_name": machine.name,
        "precision": machine.precision,
        "threads": machine.threads,
        "system": platform.platform(),
        **made_from,
    }
    try:
        atomic_write(
            folder.config, recipes.to_toml(config, made_with).encode("utf-8", "surrogateescape")
        )
    except OSError as error:
        raise UserError(f"the run cannot be recorded in {folder.path}: {reason(error)}") from error


def saved(manifest: CheckpointManifest) -> CheckpointSaved:
    """A checkpoint on the disk, as a run's record has it."""
    return CheckpointSaved(
        t=time.time(),
        step=manifest.step,
        epoch=manifest.epoch,
        kind=manifest.kind,
        file=manifest.file,
        sha256=manifest.sha256,
        size=manifest.size,
    )


def keep_traceback(folder: RunFolder, error: BaseException) -> None:
    """Where the run's folder can be written, leave the traceback of what broke it there."""
    text = "".join(traceback.format_exception(error))
    # Where this cannot be written, the message in RunEnded has to do.
    with contextlib.suppress(OSError):
        atomic_write(folder.path / "traceback.txt", text.encode("utf-8", "replace"))
