"""The last event of every kind of run. Imports no torch: a sweep starts without it."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fmnist_tui.engine.run.run_clock import RunClock
from fmnist_tui.engine.run.training_handle import Cancelled
from fmnist_tui.protocol.events import FAILED, STOPPED, Event
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UserError, format_unexpected_error


@dataclass(slots=True)
class RunEnd:
    """How a run ends: a reason of `RunEnded`, a message, and its last step and epoch."""

    reason: str = FAILED
    message: str = "the program was terminated"
    step: int = 0
    epoch: int = 0


@contextlib.contextmanager
def emit_run_ended(
    folder: RunFolder, emit: Callable[[Event], None], clock: RunClock | None = None
) -> Iterator[RunEnd]:
    """Emit exactly one `RunEnded` when the block ends, with what the block set.

    After an exception the run is failed (after `Cancelled` or Ctrl-C: stopped) and the exception
    is raised again; unless it is a UserError, its traceback is written into the run's folder."""
    clock = clock or RunClock()
    end = RunEnd()
    try:
        yield end
    except Cancelled as error:
        end.reason, end.message = STOPPED, str(error)
        raise
    except UserError as error:
        end.reason, end.message = FAILED, str(error)
        raise
    except KeyboardInterrupt:
        end.reason, end.message = STOPPED, "interrupted"
        raise
    except Exception as error:
        _write_traceback(folder, error)
        end.reason, end.message = FAILED, format_unexpected_error(error)
        raise
    finally:
        emit(clock.run_ended(end.reason, end.message, end.step, end.epoch))


def _write_traceback(folder: RunFolder, error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    # If the folder cannot be written, the message in RunEnded has to do.
    with contextlib.suppress(OSError):
        atomic_write(folder.path / "traceback.txt", text.encode("utf-8", "replace"))
