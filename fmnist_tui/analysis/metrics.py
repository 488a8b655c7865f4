"""Metrics of classifiers, the same for every screen, command and report."""

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
# The confidence from which on an answer counts as confident.
CONFIDENT = 0.9

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall and F1 of a class, and the number of its images."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Accuracy of the predictions in a range of confidence."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of a classifier on labelled images. Shares are fractions.

    `confident` is the number of answers with a confidence of at least `CONFIDENT`; None, and no
    `reliability` bins, where only the record of an evaluation is left."""

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
    confident: int | None = None

    @property
    def wrong(self) -> int:
        return self.count - sum(row[index] for index, row in enumerate(self.confusion))

    def most_confused(self, limit: int = 5) -> list[tuple[int, int, int]]:
        """The most frequent errors as (true, predicted, count)."""
        pairs = [
            (true, predicted, count)
            for true, row in enumerate(self.confusion)
            for predicted, count in enumerate(row)
            if true != predicted and count
        ]
        return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))[:limit]


def compute_class_scores(
    confusion: Sequence[Sequence[int]], names: Sequence[str]
) -> tuple[ClassScore, ...]:
    """The scores of each class from a confusion matrix with a row per true class."""
    predicted = [sum(column) for column in zip(*confusion, strict=True)]
    scores = []
    for index, (name, row) in enumerate(zip(names, confusion, strict=True)):
        right, support = row[index], sum(row)
        precision = right / predicted[index] if predicted[index] else 0.0
        recall = right / support if support else 0.0
        f1 = 2 * right / (predicted[index] + support) if right else 0.0
        scores.append(ClassScore(name, precision, recall, f1, support))
    return tuple(scores)


def mean_loss(probabilities: Floats) -> float:
    """The mean cross-entropy, given the probability of each true class; never -0."""
    return float(0.0 - np.log(np.minimum(probabilities, 1.0)).mean())


def accuracy_and_loss(logits: Floats, labels: Ints) -> tuple[float, float]:
    """The two figures that a training follows, without the others."""
    probabilities = softmax(logits)[np.arange(len(labels)), labels]
    loss = mean_loss(np.clip(probabilities, 1e-12, None))
    return float((logits.argmax(1) == labels).mean()), loss


def compute_metrics(probabilities: Floats, labels: Ints, names: tuple[str, ...]) -> Evaluation:
    """The metrics of class probabilities against labels."""
    if not len(labels):
        raise ValueError("there is nothing to evaluate")
    if not np.isfinite(probabilities).all():
        raise ValueError("the probabilities are not finite")
    count = len(names)
    probabilities = np.clip(probabilities.astype(np.float64), 1e-12, None)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    pairs = labels.astype(np.int64) * count + probabilities.argmax(axis=1)
    confusion = np.bincount(pairs, minlength=count * count).reshape(count, count).tolist()
    classes = compute_class_scores(confusion, names)
    right = sum(confusion[index][index] for index in range(count))
    ece, reliability = compute_calibration(probabilities, labels)
    return Evaluation(
        count=len(labels),
        loss=mean_loss(probabilities[np.arange(len(labels)), labels]),
        accuracy=right / len(labels),
        interval=wilson_interval(right, len(labels)),
        classes=classes,
        macro_precision=statistics.fmean(score.precision for score in classes),
        macro_recall=statistics.fmean(score.recall for score in classes),
        macro_f1=statistics.fmean(score.f1 for score in classes),
        ece=ece,
        reliability=reliability,
        confusion=tuple(map(tuple, confusion)),
        confident=int((probabilities.max(axis=1) >= CONFIDENT).sum()),
    )


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share by Wilson's method."""
    if not count:
        return 0.0, 1.0
    share, spread = right / count, Z95**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(share * (1 - share) / count + spread / count / 4) / (1 + spread)
    # Rounding must not push a bound past the share.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def compute_calibration(
    probabilities: Floats, labels: Ints
) -> tuple[float, tuple[ReliabilityBin, ...]]:
    """Expected calibration error over equal-width bins of confidence, and the bins."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    # A confidence on an edge belongs to the bin below, 0 to the first.
    numbers = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    filled = []
    for number in range(BINS):
        inside = numbers == number
        if inside.any():
            filled.append(
                ReliabilityBin(
                    float(confidence[inside].mean()), float(right[inside].mean()), int(inside.sum())
                )
            )
    error = sum(part.count * abs(part.accuracy - part.confidence) for part in filled) / len(labels)
    return float(error), tuple(filled)


def softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """Class probabilities of logits."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True).astype(np.float64)
    powers = np.exp(shifted)
    result: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result


def grouped_accuracy(predicted: Ints, labels: Ints, groups: tuple[int, ...]) -> float:
    """Share of predictions in the same group as the true class.

    `groups` has the group of each class, such as garment or digit in the dataset `both`.
    """
    group_of = np.asarray(groups)
    return float((group_of[predicted] == group_of[labels]).mean())
