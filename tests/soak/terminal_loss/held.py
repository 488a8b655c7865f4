"""Runs the program with one of its steps held: it says that it is there, and waits for leave.

Code for a process of the program; `HOLD` names the step, `HOLD_IN` a folder for the two files."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CODE = f"from {__name__} import main; main()"
REACHED, GO_ON = "reached", "go on"
# No step is held for longer: the trial has failed, and its processes should end.
HOLD_SECONDS = 100.0


def main() -> None:
    HOLDS[os.environ["HOLD"]]()
    from fmnist_tui.__main__ import main

    sys.exit(main())


def _hold(tick: Callable[[], object]) -> None:
    folder, end = Path(os.environ["HOLD_IN"]), time.monotonic() + HOLD_SECONDS
    (folder / REACHED).touch()
    while not (folder / GO_ON).exists() and time.monotonic() < end:
        tick()
        time.sleep(0.01)


def _hold_saving() -> None:
    """Within the file of a checkpoint, half of which is written; there is an earlier one."""
    checkpoint: Any = importlib.import_module("fmnist_tui.engine.checkpoints.checkpoint")
    write = checkpoint.atomic_write

    def held_write(path: Path, data: Any) -> None:
        if path.suffix != ".pt" or not any(path.parent.glob("last-*.json")):
            write(path, data)
            return

        def halves() -> Iterable[memoryview]:
            [whole] = data
            half = len(whole) // 2
            yield whole[:half]
            _hold(lambda: None)
            yield whole[half:]

        write(path, halves())

    checkpoint.atomic_write = held_write


def _hold_evaluating() -> None:
    """In the evaluation at the end of a training or of making an ensemble."""
    modules: list[Any] = [
        importlib.import_module(f"fmnist_tui.engine.{name}")
        for name in ("session.run_training", "ensembles.build_ensemble")
    ]
    evaluate = modules[0].evaluate_and_record

    def held_evaluation(classifier: Any, split: Any, *rest: Any) -> Any:
        _hold(rest[-1])
        return evaluate(classifier, split, *rest)

    for module in modules:
        module.evaluate_and_record = held_evaluation


HOLDS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "saving": _hold_saving,
    "evaluating": _hold_evaluating,
}
