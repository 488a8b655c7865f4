"""Classifying image files prepared like the training data: open, prepare, classify."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fmnist_tui.data.images.decode import DecodedImage, open_image
from fmnist_tui.data.images.prepare import PreparedImage, prepare
from fmnist_tui.engine.inference.classifier import Classifier
from fmnist_tui.util.errors import UserError

TOP = 5
DRAWING = Path("drawing")


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A classifier's result for a file: every class with its probability, most likely first.

    `prepared` holds the image after every preparation step. If the file cannot be read, `error`
    says why and these are empty. `notes` are those of the classifier."""

    file: Path
    ranked: tuple[tuple[str, float], ...] = ()
    prepared: PreparedImage | None = None
    error: str = ""
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.ranked[0][0] if self.ranked else ""

    @property
    def probability(self) -> float:
        return self.ranked[0][1] if self.ranked else 0.0

    @property
    def top(self) -> tuple[tuple[str, float], ...]:
        return self.ranked[:TOP]


def predict_file(classifier: Classifier, file: Path) -> Prediction:
    """Classify a file; if it cannot be read, the prediction's `error` says why."""
    try:
        prepared = prepare(open_image(file), classifier.info.preparation)
    except UserError as error:
        return Prediction(file, error=str(error), notes=classifier.notes)
    return _classify(classifier, file, prepared)


def predict_drawing(classifier: Classifier, pixels: npt.NDArray[np.uint8]) -> Prediction:
    """Classify an image that is not a file: (height, width), or with 3 channels."""
    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3))
    if not is_image or not pixels.size or pixels.dtype != np.uint8:
        raise UserError(
            f"a drawing of {pixels.dtype} {pixels.shape} cannot be classified: it must be uint8,"
            " (height, width) or (height, width, 3)"
        )
    prepared = prepare(DecodedImage.from_array(pixels), classifier.info.preparation)
    return _classify(classifier, DRAWING, prepared)


def _classify(classifier: Classifier, file: Path, prepared: PreparedImage) -> Prediction:
    probabilities = classifier.probabilities(prepared.image[None])[0]
    names = classifier.info.dataset.classes
    order = probabilities.argsort()[::-1]
    ranked = tuple((names[index], float(probabilities[index])) for index in order)
    return Prediction(file, ranked, prepared, notes=classifier.notes)
