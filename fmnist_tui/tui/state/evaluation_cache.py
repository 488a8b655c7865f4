"""Predictions and scores of runs on their splits, from disk or evaluated in this session.

Evaluate and Errors read them here. A run's predictions are loaded and scored once, and again
when their file changes. An evaluation of a run that another process (or thread) is training is
not written to disk: it is kept here until the dashboard quits.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.util.errors import UserError, format_error, format_unexpected_error
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.engine.inference.evaluate import SplitEvaluation
    from fmnist_tui.engine.session.session import Session

SPLIT_ORDER = ("val", "test", "train")
MAX_LOADED = 24
Stamp = tuple[str, int, int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class LoadedEvaluation:
    """A run's predictions on a split and their scores.

    `notes` of a new evaluation say what differs from when the checkpoint was trained,
    and which damaged ones were passed over."""

    folder: RunFolder
    predictions: Predictions
    evaluation: Evaluation
    notes: tuple[str, ...] = ()

    @property
    def split(self) -> str:
        return self.predictions.split

    def trained_until(self, state: RunState | None) -> tuple[int, int] | None:
        """The step and the epoch of the checkpoint, if known."""
        made_by = self.predictions
        if made_by.step is not None and made_by.epoch is not None:
            return made_by.step, made_by.epoch
        if state is None:
            return None
        # Predictions of earlier versions do not tell it.
        event = state.record.evaluations.get((self.split, made_by.checkpoint))
        event = event or state.evaluation(self.split)
        return (event.step, event.epoch) if event is not None else None


class EvaluationCache:
    """Loaded predictions by run and split. Thread-safe."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[tuple[Path, str], tuple[Stamp, LoadedEvaluation]] = OrderedDict()
        self._states: OrderedDict[Path, tuple[Stamp, RunState]] = OrderedDict()
        self._splits: dict[Path, str] = {}
        self._started: dict[tuple[Path, str], float] = {}
        self._errors: dict[tuple[Path, str], str] = {}
        self._lock = threading.Lock()

    # -- the split -------------------------------------------------------------------

    def split(self, folder: RunFolder) -> str:
        """The split to show: the one chosen, or else test if it has been evaluated."""
        chosen = self._splits.get(folder.path)
        return chosen or ("test" if self.has_predictions(folder, "test") else "val")

    def choose_split(self, folder: RunFolder, split: str) -> None:
        self._splits[folder.path] = split

    # -- loading ---------------------------------------------------------------------

    def has_predictions(self, folder: RunFolder, split: str) -> bool:
        """Whether there are predictions, loaded or not."""
        with self._lock:
            is_loaded = (folder.path, split) in self._loaded
        return is_loaded or _file(folder, split) is not None

    def get(self, folder: RunFolder, split: str) -> LoadedEvaluation | None:
        """The predictions, if they are loaded and have not changed on disk since."""
        with self._lock:
            stamp, loaded = self._loaded.get((folder.path, split), (None, None))
        return loaded if _stamp(_file(folder, split)) == stamp else None

    def load(self, folder: RunFolder, split: str) -> LoadedEvaluation | None:
        """The predictions, or None if there are none. Slow: call it in a thread.

        Raises UserError if they are damaged."""
        path = _file(folder, split)
        stamp = _stamp(path)
        loaded = self.get(folder, split)
        if loaded is not None or path is None:
            return loaded
        predictions = Predictions.load(path)
        try:
            evaluation = predictions.evaluation()
        except ValueError as error:
            raise UserError(
                f"{safe_text(path)}: these predictions cannot be scored ({format_error(error)})"
            ) from None
        return self._put(LoadedEvaluation(folder, predictions, evaluation), split, stamp)

    def load_state(self, folder: RunFolder) -> RunState:
        """The state after all events of the run; do not modify it. Slow: call it in a thread."""
        stamp = _stamp(folder.events)
        with self._lock:
            old_stamp, state = self._states.get(folder.path, (None, None))
        if state is not None and old_stamp == stamp:
            return state
        state = replay(folder.events)
        with self._lock:
            self._states[folder.path] = (stamp, state)
            while len(self._states) > MAX_LOADED:
                self._states.popitem(last=False)
        return state

    # -- evaluating -------------------------------------------------------------------

    def started_at(self, folder: RunFolder, split: str) -> float | None:
        """When an evaluation that is in progress was started, by the monotonic clock."""
        return self._started.get((folder.path, split))

    def error(self, folder: RunFolder, split: str) -> str:
        """Why the last evaluation failed; empty if it did not."""
        return self._errors.get((folder.path, split), "")

    def evaluate(self, session: Session, folder: RunFolder, split: str) -> Future[LoadedEvaluation]:
        """Evaluate the best checkpoint now, on the session's thread.

        The result is kept even if nobody waits for it any more; every failure is a UserError,
        which `error` returns too."""
        result: Future[LoadedEvaluation] = Future()
        key = (folder.path, split)

        def on_done(evaluated: Future[SplitEvaluation]) -> None:
            settle: Callable[[], None]
            try:
                new = evaluated.result()
                loaded = LoadedEvaluation(folder, new.predictions, new.evaluation, new.notes)
                self._put(loaded, split, _stamp(_file(folder, split)))
                settle = partial(result.set_result, loaded)
            except BaseException as raised:  # noqa: BLE001 - passed on to the caller
                error = _as_user_error(raised, folder, split)
                self._errors[key] = safe_text(error)
                settle = partial(result.set_exception, error)
            self._started.pop(key, None)
            if result.set_running_or_notify_cancel():
                settle()

        self._errors.pop(key, None)
        future = session.evaluate(folder, split)
        self._started[key] = time.monotonic()
        future.add_done_callback(on_done)
        return result

    def _put(self, loaded: LoadedEvaluation, split: str, stamp: Stamp) -> LoadedEvaluation:
        with self._lock:
            self._loaded[(loaded.folder.path, split)] = (stamp, loaded)
            self._loaded.move_to_end((loaded.folder.path, split))
            while len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        return loaded


def _file(folder: RunFolder, split: str) -> Path | None:
    """The file with the predictions of the best checkpoint, or else of the last."""
    paths = (folder.predictions / f"{split}{what}.npz" for what in ("", "-last"))
    return next((path for path in paths if _stamp(path) is not None), None)


def _stamp(path: Path | None) -> Stamp:
    """A value that changes when the file does."""
    if path is None:
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return path.name, status.st_mtime_ns, status.st_size, status.st_ino


def _as_user_error(error: BaseException, folder: RunFolder, split: str) -> UserError:
    if isinstance(error, UserError):
        return error
    what = format_unexpected_error(error)
    return UserError(f"{safe_text(folder.name)} could not be evaluated on {split} ({what})")
