"""What is known of runs on their splits: predictions from disk or from this very session.

Evaluate and Errors look here. A run's predictions are read once and scored once; they are
read anew when their file has changed. A verdict on a run that another process (or thread)
is training is recorded nowhere, and lives here for as long as the dashboard does.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.engine.inference.evaluate import SplitEvaluation
    from fmnist_tui.engine.session.session import Session

SPLIT_ORDER = ("val", "test", "train")
KEPT = 24
Stamp = tuple[str, int, int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class LoadedEvaluation:
    """A run's predictions on a split and their figures. `step` and `epoch` are those of the
    checkpoint, None where only the record knows them."""

    folder: RunFolder
    predictions: Predictions
    evaluation: Evaluation
    step: int | None = None
    epoch: int | None = None

    @property
    def split(self) -> str:
        return self.predictions.split

    def trained(self, state: RunState | None) -> tuple[int, int] | None:
        """The step and the epoch of the checkpoint, as far as anybody knows."""
        if self.step is not None and self.epoch is not None:
            return self.step, self.epoch
        if state is None:
            return None
        told = state.evaluations.get((self.split, self.predictions.checkpoint))
        told = told or state.verdict(self.split)
        return (told.step, told.epoch) if told is not None else None


class EvaluationCache:
    """Predictions by run and split. Its methods may be called by any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, str], tuple[Stamp, LoadedEvaluation]] = OrderedDict()
        self._records: OrderedDict[Path, tuple[Stamp, RunState]] = OrderedDict()
        self._splits: dict[Path, str] = {}
        self._asked: dict[tuple[Path, str], float] = {}
        self._refused: dict[tuple[Path, str], str] = {}
        self._lock = threading.Lock()

    # -- which split ------------------------------------------------------------------

    def split(self, folder: RunFolder) -> str:
        """The split to look at: the one chosen, or else test where it has been read."""
        chosen = self._splits.get(folder.path)
        return chosen or ("test" if self.present(folder, "test") else "val")

    def choose(self, folder: RunFolder, split: str) -> None:
        self._splits[folder.path] = split

    # -- what there is ----------------------------------------------------------------

    def present(self, folder: RunFolder, split: str) -> bool:
        """Whether there are predictions, read or not."""
        with self._lock:
            kept = (folder.path, split) in self._kept
        return kept or _file(folder, split) is not None

    def at_hand(self, folder: RunFolder, split: str) -> LoadedEvaluation | None:
        """The predictions, if they have been read and have not changed since."""
        with self._lock:
            stamp, found = self._kept.get((folder.path, split), (None, None))
        if found is None or _stamp(_file(folder, split)) != stamp:
            return None
        return found

    def read(self, folder: RunFolder, split: str) -> LoadedEvaluation | None:
        """The predictions, None where there are none: call it in a thread.

        Raises UserError, one line, where they are damaged."""
        path = _file(folder, split)
        stamp = _stamp(path)
        known = self.at_hand(folder, split)
        if known is not None or path is None:
            return known
        predictions = _load(path)
        try:
            evaluation = predictions.evaluation()
        except ValueError as error:
            raise UserError(
                f"{safe_text(path)}: these predictions cannot be scored ({reason(error)})"
            ) from None
        return self._keep(LoadedEvaluation(folder, predictions, evaluation), split, stamp)

    def record(self, folder: RunFolder) -> RunState:
        """What the run's events add up to; do not change it. Call it in a thread."""
        stamp = _stamp(folder.events)
        with self._lock:
            known, state = self._records.get(folder.path, (None, None))
        if state is not None and known == stamp:
            return state
        state = replay(folder.events)
        with self._lock:
            self._records[folder.path] = (stamp, state)
            while len(self._records) > KEPT:
                self._records.popitem(last=False)
        return state

    # -- making more of it --------------------------------------------------------------

    def asked(self, folder: RunFolder, split: str) -> float | None:
        """Since when an evaluation is under way, by the monotonic clock."""
        return self._asked.get((folder.path, split))

    def refused(self, folder: RunFolder, split: str) -> str:
        """Why the last evaluation came to nothing; empty where it did not."""
        return self._refused.get((folder.path, split), "")

    def ask(self, session: Session, folder: RunFolder, split: str) -> Future[LoadedEvaluation]:
        """Have the best checkpoint judged now, by the session's thread.

        The verdict is kept whether or not somebody still waits for it, and whatever goes
        wrong is a UserError, also to be had from `refused`."""
        answer: Future[LoadedEvaluation] = Future()
        key = (folder.path, split)

        def done(asked: Future[SplitEvaluation]) -> None:
            error: BaseException | None = None
            found = None
            try:
                found = self._take(folder, split, asked.result())
            except BaseException as raised:  # noqa: BLE001 - it belongs to whoever asked
                error = _told(raised, folder, split)
                self._refused[key] = safe_text(error)
            self._asked.pop(key, None)
            if not answer.set_running_or_notify_cancel():
                return
            if error is not None:
                answer.set_exception(error)
            elif found is not None:
                answer.set_result(found)

        self._refused.pop(key, None)
        future = session.evaluate(folder, split)
        self._asked[key] = time.monotonic()
        future.add_done_callback(done)
        return answer

    def _take(self, folder: RunFolder, split: str, verdict: SplitEvaluation) -> LoadedEvaluation:
        found = LoadedEvaluation(
            folder, verdict.predictions, verdict.evaluation, verdict.step, verdict.epoch
        )
        return self._keep(found, split, _stamp(_file(folder, split)))

    def _keep(self, found: LoadedEvaluation, split: str, stamp: Stamp) -> LoadedEvaluation:
        with self._lock:
            self._kept[(found.folder.path, split)] = (stamp, found)
            self._kept.move_to_end((found.folder.path, split))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


def _file(folder: RunFolder, split: str) -> Path | None:
    """Where the record keeps predictions: of the best checkpoint, or else of the last."""
    paths = (folder.predictions / f"{split}{what}.npz" for what in ("", "-last"))
    return next((path for path in paths if _stamp(path) is not None), None)


def _stamp(path: Path | None) -> Stamp:
    """What is another as soon as the file is."""
    if path is None:
        return None
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return path.name, found.st_mtime_ns, found.st_size, found.st_ino


def _load(path: Path) -> Predictions:
    try:
        return Predictions.load(path)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - zip, zlib and numpy each fail in their own way
        raise UserError(f"{safe_text(path)}: damaged predictions ({reason(error)})") from None


def _told(error: BaseException, folder: RunFolder, split: str) -> UserError:
    if isinstance(error, UserError):
        return error
    what = f"{type(error).__name__}: {reason(error)}"
    return UserError(f"{safe_text(folder.name)} could not be evaluated on {split} ({what})")
