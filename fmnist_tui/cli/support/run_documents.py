"""JSON documents about runs; every command that prints these facts prints them in this form."""

from __future__ import annotations

from dataclasses import asdict, replace
from statistics import fmean
from typing import Any

from fmnist_tui.analysis.metrics import compute_class_scores
from fmnist_tui.analysis.overfitting import judge_fit
from fmnist_tui.cli.support import console
from fmnist_tui.protocol.events import Evaluated
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.protocol.validation import training_note
from fmnist_tui.runs.folder import RunFolder

# What is told of each epoch, besides its time.
EPOCH_KEYS = (
    *("epoch", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    *("lr", "images_per_second", "best"),
)


def training_to_json(state: RunState, folder: RunFolder) -> dict[str, Any]:
    """The result of a training, or of a run that is shown like one."""
    started, fit = state.started, judge_fit(state)
    return {
        "run": folder.path.name,
        "path": str(folder.path),
        "state": state.end_reason,
        "message": state.message,
        "epochs": state.epochs_done,
        "steps": state.step,
        **console.pick(state, "seconds", "warm_seconds", "train_seconds"),
        "images_per_second": state.mean_images_per_second,
        "device": f"{started.device} ({started.device_details})" if started else "",
        "parameters": started.parameters if started else 0,
        **evaluations_to_json(state),
        "frozen_unchanged": state.frozen_unchanged,
        "fit": {
            "verdict": fit.verdict,
            "words": fit.explanation,
            "measured": training_note(started),
        },
    }


def evaluations_to_json(state: RunState) -> dict[str, Any]:
    """The evaluations of the run's own checkpoint, by split."""
    classes = state.started.classes if state.started is not None else ()
    results = {split: state.evaluation(split) for split in ("val", "test")}
    return {
        split: evaluation_to_json(result, classes) if result is not None else None
        for split, result in results.items()
    }


def other_evaluations_to_json(state: RunState) -> list[dict[str, Any]]:
    """The evaluations of the run's other checkpoints."""
    classes = state.started.classes if state.started is not None else ()
    own = [state.evaluation(split) for split in ("val", "test")]
    return [
        evaluation_to_json(replace(result, checkpoint=name), classes)
        for (_, name), result in state.record.evaluations.items()
        if result not in own
    ]


def evaluation_to_json(result: Evaluated, classes: tuple[str, ...]) -> dict[str, Any]:
    """The figures of a checkpoint on a split, and which checkpoint it was."""
    document = {
        **console.pick(result, "split", "count", "loss", "accuracy"),
        "accuracy_ci95": [result.accuracy_low, result.accuracy_high],
        **console.pick(result, "macro_f1", "ece", "confusion"),
        "checkpoint": {
            "name": result.checkpoint,
            **console.pick(result, "file", "step", "epoch", "sha256"),
        },
    }
    if len(classes) == len(result.confusion):
        scores = compute_class_scores(result.confusion, classes)
        document["macro_precision"] = fmean(score.precision for score in scores)
        document["macro_recall"] = fmean(score.recall for score in scores)
        document["per_class"] = [asdict(score) for score in scores]
    return document


def epochs_to_json(state: RunState) -> list[dict[str, Any]]:
    """The figures of each epoch, as the training measured them."""
    return [
        {**console.pick(epoch, *EPOCH_KEYS, "warm_seconds"), "train_seconds": epoch.seconds}
        for epoch in state.epochs
    ]
