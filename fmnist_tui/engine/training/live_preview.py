"""Predictions for a few fixed validation images while the model trains.

A preview is a small evaluation: it draws no random number, changes no statistic of the model
and restores its mode. Previews are spaced so that they take at most 1/200 of the training time.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from fmnist_tui.analysis.metrics import softmax
from fmnist_tui.data.dataset import Labels, Split
from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.inference.classifier import OnTick, no_op
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.protocol.events import Glance

SHOWN_IMAGES = 10
SAMPLE_SIZE = 256
# A larger confusion matrix is not readable on screen, and long to write every time.
MAX_MATRIX_CLASSES = 50
MIN_INTERVAL = 2.0
INTERVAL_PER_COST = 200


class LivePreview:
    """Previews one validation split through one learner."""

    def __init__(self, learner: Learner, split: Split) -> None:
        self._learner = learner
        self._labels = split.labels
        order = interleave_classes(split.labels)
        self._shown = order[:SHOWN_IMAGES]
        self._indices = tuple(int(index) for index in split.indices[self._shown])
        sample = order[:SAMPLE_SIZE]
        self._sample_labels = split.labels[sample]
        self._sample = DeviceSplit(
            Split(split.name, split.images[sample], self._sample_labels, split.indices[sample]),
            learner.device.torch_device,
        )
        self._next = 0.0
        self._is_warm = False

    def is_due(self) -> bool:
        return time.perf_counter() >= self._next

    def predict_sample(self, on_tick: OnTick = no_op) -> Glance:
        """Predict a sample of the split that includes the shown images."""
        start = time.perf_counter()
        logits = self._learner.predict_logits(self._sample, no_op, on_tick)
        glance = self._make_event(logits, self._sample_labels, np.arange(len(self._shown)))
        # The first preview warms up kernels: its duration says nothing about the next one's.
        now = time.perf_counter()
        cost = now - start if self._is_warm else 0.0
        self._next = now + max(MIN_INTERVAL, INTERVAL_PER_COST * cost)
        self._is_warm = True
        return glance

    def from_validation(self, logits: npt.NDArray[np.float32]) -> Glance:
        """Make a preview from the model's logits for the whole split."""
        self._next = max(self._next, time.perf_counter() + MIN_INTERVAL)
        return self._make_event(logits, self._labels, self._shown)

    def _make_event(self, logits: npt.NDArray[np.float32], labels: Labels, shown: Labels) -> Glance:
        predicted = logits.argmax(axis=1)
        confidences = softmax(logits[shown]).max(axis=1)
        return Glance(
            t=time.time(),
            step=self._learner.step,
            epoch=self._learner.epoch + 1,
            indices=self._indices,
            labels=tuple(int(label) for label in labels[shown]),
            said=tuple(int(label) for label in predicted[shown]),
            shares=tuple(round(float(confidence), 3) for confidence in confidences),
            count=len(labels),
            confusion=confusion_matrix(labels, predicted, logits.shape[1]),
        )


def interleave_classes(labels: Labels) -> Labels:
    """Indices of the images: the first of every class, then every second one, and so on."""
    by_class = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    ranks = np.empty(len(labels), np.int64)
    ranks[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.lexsort((labels, ranks))


def confusion_matrix(
    labels: Labels, predicted: Labels, classes: int
) -> tuple[tuple[int, ...], ...]:
    """How often each true class (a row) was predicted as each class; empty for many classes."""
    if classes > MAX_MATRIX_CLASSES:
        return ()
    counts = np.bincount(labels * classes + predicted, minlength=classes**2)
    return tuple(tuple(row) for row in counts.reshape(classes, classes).tolist())
