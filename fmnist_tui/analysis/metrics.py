"""What predictions are worth: one set of figures for every screen, command and report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Z95 = 1.959963984540054
BINS = 15

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class's precision, recall and F1, and how many images of it there were."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """How often predictions of about this confidence were right."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A classifier's figures on a number of labelled images. Shares are fractions."""

    count: int
    loss: float
    accuracy: float
    interval: tuple[float, float]
    classes: tuple[ClassScore, ...]
    macro_precision: float
    macro_recall: float
    macro_f1: float
    ece: float
    reliability: tuple[ReliabilityBin, ...]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def wrong(self) -> int:
        return self.count - sum(row[index] for index, row in enumerate(self.confusion))

    def most_confused(self, limit: int = 5) -> list[tuple[int, int, int]]:
        """The largest (true, predicted, count) off the diagonal."""
        pairs = [
            (true, predicted, count)
            for true, row in enumerate(self.confusion)
            for predicted, count in enumerate(row)
            if true != predicted and count
        ]
        return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))[:limit]


def class_scores(
    confusion: Sequence[Sequence[int]], names: Sequence[str]
) -> tuple[ClassScore, ...]:
    """Each class's figures, from how often each true class (a row) was taken for each."""
    predicted = [sum(row[place] for row in confusion) for place in range(len(names))]
    scores = []
    for place, (name, row) in enumerate(zip(names, confusion, strict=True)):
        right, support = row[place], sum(row)
        precision = right / predicted[place] if predicted[place] else 0.0
        recall = right / support if support else 0.0
        f1 = 2 * right / (predicted[place] + support) if right else 0.0
        scores.append(ClassScore(name, precision, recall, f1, support))
    return tuple(scores)


def evaluate(probabilities: Floats, labels: Ints, names: tuple[str, ...]) -> Evaluation:
    """The figures for these class probabilities against these labels."""
    if not len(labels):
        raise ValueError("there is nothing to evaluate")
    if not np.isfinite(probabilities).all():
        raise ValueError("the probabilities are no numbers")
    count = len(names)
    probabilities = np.clip(probabilities.astype(np.float64), 1e-12, None)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    pairs = labels.astype(np.int64) * count + probabilities.argmax(axis=1)
    confusion = np.bincount(pairs, minlength=count * count).reshape(count, count).tolist()
    classes = class_scores(confusion, names)
    right = sum(confusion[place][place] for place in range(count))
    ece, reliability = calibration(probabilities, labels)
    return Evaluation(
        count=len(labels),
        loss=float(-np.log(probabilities[np.arange(len(labels)), labels]).mean()),
        accuracy=right / len(labels),
        interval=interval(right, len(labels)),
        classes=classes,
        macro_precision=statistics.fmean(score.precision for score in classes),
        macro_recall=statistics.fmean(score.recall for score in classes),
        macro_f1=statistics.fmean(score.f1 for score in classes),
        ece=ece,
        reliability=reliability,
        confusion=tuple(map(tuple, confusion)),
    )


def interval(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's method, which stays honest near 0 and 1."""
    if not count:
        return 0.0, 1.0
    share, spread = right / count, Z95**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(share * (1 - share) / count + spread / count / 4) / (1 + spread)
    # Rounding must not push a bound past the share itself.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def calibration(
    probabilities: Floats, labels: Ints, bins: int = BINS
) -> tuple[float, tuple[ReliabilityBin, ...]]:
    """Expected calibration error over equal-width bins of confidence, and the bins."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    # A confidence on an edge belongs to the bin below it, 0 to the first.
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for place in range(bins):
        inside = places == place
        if inside.any():
            found.append(
                ReliabilityBin(
                    float(confidence[inside].mean()), float(right[inside].mean()), int(inside.sum())
                )
            )
    error = sum(part.count * abs(part.accuracy - part.confidence) for part in found) / len(labels)
    return float(error), tuple(found)


def softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """Class probabilities of logits."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True).astype(np.float64)
    powers = np.exp(shifted)
    result: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result


def grouped_accuracy(predicted: Ints, labels: Ints, groups: tuple[int, ...]) -> float:
    """How often the predicted class lies in the same group as the true one.

    `groups` gives each class's group: for the twenty classes of `both`, garment or digit.
    """
    of = np.asarray(groups)
    return float((of[predicted] == of[labels]).mean())
