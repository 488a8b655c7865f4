"""The figures of a run, computed again from its saved predictions and its events.

This file shares no code with the program: numpy and json only. `python tests/e2e/figures.py RUN`
prints them as JSON.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

# The square of the normal distribution's 97.5 % quantile
Z_SQUARED = 3.841458820694124
BINS = 15
# Recorded by the run's own processes only
OF_THE_RUN = ("Progress", "EpochEnded", "CheckpointSaved", "Changed", "Telemetry", "Glance")


def compute_figures(run: Path) -> dict[str, Any]:
    """The figures of each split of which predictions are stored, and those of the events."""
    text = (run / "events.jsonl").read_text()
    # A killed process may leave an incomplete line.
    events = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    splits = {
        file.stem: compute_scores(file) for file in sorted((run / "predictions").glob("*.npz"))
    }
    seconds, train_seconds = compute_seconds(events)
    return {
        "splits": splits,
        "seconds": seconds,
        "warm_seconds": sum(map(compute_warm_seconds, _sessions(events))),
        "train_seconds": train_seconds,
    }


def compute_scores(file: Path) -> dict[str, Any]:
    """The scores of stored predictions."""
    with np.load(file) as stored:
        logits = stored["logits"].astype(np.float64)
        labels = stored["labels"].astype(int)
        count, classes = logits.shape
    top = logits.max(axis=1)
    norms = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    answers = logits.argmax(axis=1)
    confidence = np.exp(top - norms)
    is_right = answers == labels
    right = int(is_right.sum())
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, answers), 1)
    hits = np.diag(confusion).astype(float)
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(hits / confusion.sum(axis=0))
        recall = np.nan_to_num(hits / confusion.sum(axis=1))
        f1 = np.nan_to_num(2 * hits / (confusion.sum(axis=0) + confusion.sum(axis=1)))
    edges = np.linspace(0, 1, BINS + 1)
    gaps = [
        abs(is_right[inside].sum() - confidence[inside].sum())
        for low, high in pairwise(edges)
        if (inside := (confidence > low) & (confidence <= high)).any()
    ]
    # Wilson's interval: the shares whose squared distance from the observed one is z² variances
    share = right / count
    spread = Z_SQUARED / count
    bounds = np.sort(np.roots([1 + spread, -2 * share - spread, share**2]).real)
    return {
        "count": count,
        "loss": float((norms - logits[np.arange(count), labels]).mean()),
        "accuracy": share,
        "accuracy_ci95": bounds.tolist(),
        "macro_f1": float(f1.mean()),
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "ece": float(sum(gaps) / count),
        "confident": int((confidence >= 0.9).sum()),
        "wrong": count - right,
        "confusion": confusion.tolist(),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
    }


def compute_seconds(events: list[dict[str, Any]]) -> tuple[float, float]:
    """The wall time of all sessions, and the time in training steps, without repeated ones."""
    wall = 0.0
    # Seconds of each step; those of a step that is trained again replace the first.
    steps: dict[int, float] = {}
    for session in _sessions(events):
        start, end = session[0], session[-1]
        steps = {step: seconds for step, seconds in steps.items() if step <= start["step"]}
        last = start["step"]
        for event in session:
            if event["is"] == "Progress":
                each = event["step_ms"] / 1000
                steps |= dict.fromkeys(range(last + 1, event["step"] + 1), each)
                last = event["step"]
        if end["is"] == "RunEnded":
            wall += end["seconds"]
        else:
            marks = [event for event in session if event.get("run_seconds") is not None]
            wall += marks[-1]["run_seconds"] - wall + end["t"] - marks[-1]["t"]
    return wall, sum(steps.values())


def compute_warm_seconds(session: list[dict[str, Any]]) -> float:
    """The time from the first training step of a session until its last weights are on disk."""
    steps = [event["t"] for event in session if event.get("value") == "training"]
    saves = [event["t"] for event in session if event["is"] == "CheckpointSaved"]
    return float(saves[-1] - steps[0]) if steps and saves else 0.0


def _sessions(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    sessions: list[list[dict[str, Any]]] = []
    for event in events:
        if event["is"] == "RunStarted":
            sessions.append([event])
        elif event["is"] in (*OF_THE_RUN, "RunEnded") and sessions[-1][-1]["is"] != "RunEnded":
            sessions[-1].append(event)
    return sessions


if __name__ == "__main__":
    sys.stdout.write(json.dumps(compute_figures(Path(sys.argv[1])), indent=2) + "\n")
