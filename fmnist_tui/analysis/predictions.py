"""Predictions for every image of a split, saved in the run folder.

Screens, comparisons and reports read these files without torch.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from fmnist_tui.analysis.metrics import Evaluation, compute_metrics, softmax
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

SIZE_LIMIT = 256 << 20
"""Bytes of all numbers: those of 60,000 images of a thousand classes."""

Rows = slice | list[int]
ALL = slice(None)
MissOrder = Literal["confidence", "loss", "index"]


@dataclass(frozen=True, slots=True)
class Misclassified:
    """A misclassified image (or any requested one) with its prediction.

    `index` is its position in the dataset, `row` that in the predictions.
    """

    index: int
    row: int
    true: int
    predicted: int
    probability: float
    true_probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Logits for every image of a split; `indices` are positions in the dataset.

    `checkpoint` is best or last for what was the run's newest of that kind, otherwise the name of
    its file. Files of earlier versions do not tell its hash, step and epoch. `ids` identify the
    images where the dataset's name does not."""

    split: str
    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    checkpoint: str = ""
    sha256: str = ""
    step: int | None = None
    epoch: int | None = None
    ids: npt.NDArray[np.uint64] | None = None

    def evaluation(self) -> Evaluation:
        return compute_metrics(softmax(self.logits), self.labels, self.classes)

    def find_misses(
        self,
        true: int | None = None,
        predicted: int | None = None,
        order: MissOrder = "confidence",
    ) -> list[Misclassified]:
        """The misclassified images, or all of a pair of classes (also of one class twice).

        Highest confidence first, highest loss first, or in the order of the dataset.
        """
        probabilities = softmax(self.logits)
        predictions = probabilities.argmax(axis=1)
        mask = np.ones(len(predictions), bool)
        if true is not None:
            mask &= self.labels == true
        if predicted is not None:
            mask &= predictions == predicted
        if true is None or true != predicted:
            mask &= predictions != self.labels
        rows = np.flatnonzero(mask)
        true_probabilities = probabilities[np.arange(len(predictions)), self.labels]
        keys = {
            "confidence": -probabilities.max(axis=1),
            "loss": true_probabilities,
            "index": self.indices,
        }
        rows = rows[np.argsort(keys[order][rows], kind="stable")]
        return [
            Misclassified(
                index=int(self.indices[row]),
                row=int(row),
                true=int(self.labels[row]),
                predicted=int(predictions[row]),
                probability=float(probabilities[row, predictions[row]]),
                true_probability=float(true_probabilities[row]),
            )
            for row in rows
        ]

    def are_of(
        self, labels: npt.NDArray[np.int64], ids: npt.NDArray[np.uint64] | None, rows: Rows = ALL
    ) -> npt.NDArray[np.bool_]:
        """For each of `rows`, whether it is of an image with this label and identity."""
        same: npt.NDArray[np.bool_] = self.labels[rows] == labels
        if self.ids is not None and ids is not None:
            same &= self.ids[rows] == ids
        return same

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        buffer = io.BytesIO()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: np.array(value) for name, value in values.items() if value is not None}
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """The predictions in a file; a UserError if it is missing, unreadable or damaged."""
        name = safe_text(path)
        try:
            with path.open("rb") as opened:
                data = opened.read(SIZE_LIMIT + 1)
        except FileNotFoundError:
            raise UserError(f"{name}: there are no predictions yet; run `evaluate` first") from None
        except OSError as error:
            raise UserError(f"{name}: cannot be read: {error.strerror or error}") from None
        try:
            _check_size(data)
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                logits, labels, indices = file["logits"], file["labels"], file["indices"]
                classes = tuple(map(str, file["classes"]))
                split, checkpoint = str(file["split"]), str(file["checkpoint"])
                sha256 = str(file["sha256"]) if "sha256" in file else ""
                step, epoch = (int(file[key]) if key in file else None for key in ("step", "epoch"))
                ids = file["ids"].astype(np.uint64) if "ids" in file else None
        except MemoryError:  # a damaged header can ask for any amount
            raise UserError(f"{name}: not enough memory to read it, or damaged") from None
        except Exception as error:  # noqa: BLE001 - damaged files make zip, zlib and numpy raise anything
            reason = safe_text(format_error(error), 150)
            raise UserError(f"{name}: damaged predictions ({reason})") from None
        shape = (len(labels), len(classes))
        per_image = [indices] if ids is None else [indices, ids]
        if (
            logits.shape != shape
            or labels.ndim != 1
            or any(each.shape != labels.shape for each in per_image)
        ):
            raise UserError(f"{name}: damaged predictions (sizes differ)")
        if not np.isfinite(logits.max(axis=1, initial=-np.inf)).all():
            raise UserError(
                f"{name}: cannot be scored: these answers are NaN or infinite; evaluate again, with"
                " another checkpoint if its weights are not numbers"
            )
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
            raise UserError(f"{name}: damaged predictions (labels out of range)")
        return cls(
            split,
            logits.astype(np.float32),
            labels.astype(np.int64),
            indices.astype(np.int64),
            classes,
            checkpoint,
            sha256,
            step,
            epoch,
            ids,
        )


def _check_size(data: bytes) -> None:
    """Raise a ValueError if a file, or what it holds compressed, is too large to be one of ours."""
    size = len(data)
    if size <= SIZE_LIMIT:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    if size > SIZE_LIMIT:
        raise ValueError(f"more than {SIZE_LIMIT >> 20} MB")
