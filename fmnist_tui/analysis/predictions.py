"""What a classifier said of every image of a split, kept as a file in the run folder.

Screens, comparisons and reports read these files; none of them needs torch.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from fmnist_tui.analysis.metrics import Evaluation, evaluate, softmax
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

MissOrder = Literal["confidence", "loss", "index"]


@dataclass(frozen=True, slots=True)
class Misclassified:
    """One image that was got wrong (or simply asked for): what it is and what was said."""

    index: int
    place: int
    true: int
    predicted: int
    probability: float
    true_probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Logits for every image of a split; `indices` are the images' places in the data set."""

    split: str
    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    checkpoint: str = ""

    def evaluation(self) -> Evaluation:
        return evaluate(softmax(self.logits), self.labels, self.classes)

    def misses(
        self,
        true: int | None = None,
        predicted: int | None = None,
        order: MissOrder = "confidence",
    ) -> list[Misclassified]:
        """The images got wrong, or all of one pair of classes (right ones too, if asked for).

        Most confidently wrong first, dearest in loss first, or in the data set's order.
        """
        shares = softmax(self.logits)
        said = shares.argmax(axis=1)
        chosen = np.ones(len(said), bool)
        if true is not None:
            chosen &= self.labels == true
        if predicted is not None:
            chosen &= said == predicted
        if true is None or true != predicted:
            chosen &= said != self.labels
        places = np.flatnonzero(chosen)
        own = shares[np.arange(len(said)), self.labels]
        keys = {"confidence": -shares.max(axis=1), "loss": own, "index": self.indices}
        places = places[np.argsort(keys[order][places], kind="stable")]
        return [
            Misclassified(
                index=int(self.indices[place]),
                place=int(place),
                true=int(self.labels[place]),
                predicted=int(said[place]),
                probability=float(shares[place, said[place]]),
                true_probability=float(own[place]),
            )
            for place in places
        ]

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            logits=self.logits,
            labels=self.labels,
            indices=self.indices,
            classes=np.array(self.classes),
            split=np.array(self.split),
            checkpoint=np.array(self.checkpoint),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """The predictions in a file; a UserError if they are missing or damaged."""
        where = safe_text(path)
        try:
            with np.load(path, allow_pickle=False) as file:
                logits, labels, indices = file["logits"], file["labels"], file["indices"]
                classes = tuple(str(name) for name in file["classes"])
                split, checkpoint = str(file["split"]), str(file["checkpoint"])
        except FileNotFoundError:
            raise UserError(
                f"{where}: there are no predictions yet; run `evaluate` first"
            ) from None
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
            raise UserError(f"{where}: damaged predictions ({safe_text(reason(error))})") from None
        shape = (len(labels), len(classes))
        if logits.shape != shape or indices.shape != labels.shape or labels.ndim != 1:
            raise UserError(f"{where}: damaged predictions (sizes do not agree)")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
            raise UserError(f"{where}: damaged predictions (labels out of range)")
        return cls(
            split,
            logits.astype(np.float32),
            labels.astype(np.int64),
            indices.astype(np.int64),
            classes,
            checkpoint,
        )
