"""What the model thinks of a few fixed validation images, looked up while it trains.

A look is a small evaluation: it draws no random number, moves no statistic of the model
and leaves its mode as it was. Looks are spaced so that they take at most a two-hundredth
of the training's time.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from fmnist_tui.analysis.metrics import softmax
from fmnist_tui.data.dataset import Labels, Split
from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.protocol.events import Glance

SHOWN = 10
PART = 256
# A matrix of more classes is no picture any more, and long to write down every time.
MATRIX_CLASSES = 50
SECONDS = 2.0
SPARE = 200


class LivePreview:
    """Looks at one validation split through one learner."""

    def __init__(self, learner: Learner, split: Split) -> None:
        self._learner = learner
        self._labels = split.labels
        order = interleave_classes(split.labels)
        self._shown = order[:SHOWN]
        self._indices = tuple(int(index) for index in split.indices[self._shown])
        part = order[:PART]
        self._part_labels = split.labels[part]
        self._part = DeviceSplit(
            Split(split.name, split.images[part], self._part_labels, split.indices[part]),
            learner.machine.device,
        )
        self._next = 0.0
        self._warm = False

    def is_due(self) -> bool:
        """Whether it is time for another look."""
        return time.perf_counter() >= self._next

    def preview(self) -> Glance:
        """Ask about a part of the split, with those that are shown in it."""
        began = time.perf_counter()
        answers = self._learner.predict_logits(self._part)
        found = self._glance(answers, self._part_labels, np.arange(len(self._shown)))
        # The first look wakes kernels and says nothing about the cost of the next.
        now = time.perf_counter()
        self._next = now + max(SECONDS, SPARE * (now - began) if self._warm else 0.0)
        self._warm = True
        return found

    def from_validation(self, answers: npt.NDArray[np.float32]) -> Glance:
        """What the model's answers for the whole split say."""
        self._next = max(self._next, time.perf_counter() + SECONDS)
        return self._glance(answers, self._labels, self._shown)

    def _glance(self, answers: npt.NDArray[np.float32], labels: Labels, shown: Labels) -> Glance:
        learner = self._learner
        said = answers.argmax(axis=1)
        shares = softmax(answers[shown]).max(axis=1)
        return Glance(
            t=time.time(),
            step=learner.step,
            epoch=learner.epoch + 1,
            indices=self._indices,
            labels=tuple(int(label) for label in labels[shown]),
            said=tuple(int(number) for number in said[shown]),
            shares=tuple(round(float(share), 3) for share in shares),
            count=len(labels),
            confusion=confusion_matrix(labels, said, answers.shape[1]),
        )


def interleave_classes(labels: Labels) -> Labels:
    """The images' places: the first of every class, then every second one, and so on."""
    places = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    ranks = np.empty(len(labels), np.int64)
    ranks[places] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.lexsort((labels, ranks))


def confusion_matrix(labels: Labels, said: Labels, classes: int) -> tuple[tuple[int, ...], ...]:
    """How often each true class (a row) was taken for each class."""
    if classes > MATRIX_CLASSES:
        return ()
    counts = np.bincount(labels * classes + said, minlength=classes**2)
    return tuple(tuple(row) for row in counts.reshape(classes, classes).tolist())
