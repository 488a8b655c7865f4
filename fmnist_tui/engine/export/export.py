"""Taking a classifier away as a file: written aside, read back, compared, then put in place.

What is put in place has been found to say the same as the classifier on the test split;
nothing is chosen by that, and no figure of it but the agreement is told. `.pth` and
`.safetensors` hold the weights, to be used with this program or with the same network
elsewhere; `.onnx` holds the whole way from pixels to probabilities.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fmnist_tui.analysis.metrics import softmax
from fmnist_tui.data.dataset import Split
from fmnist_tui.engine.checkpoints import weights_source
from fmnist_tui.engine.checkpoints.untrusted_weights import METADATA
from fmnist_tui.engine.export.export_request import ONNX, PTH, SAFETENSORS, ExportRequest
from fmnist_tui.engine.export.metadata import of_weights
from fmnist_tui.engine.export.onnx_graph import ExportModule, Runtime, written
from fmnist_tui.engine.export.parity import Parity, compared, latency
from fmnist_tui.engine.inference.classifier import (
    EVAL_BATCH_SIZE,
    Classifier,
    ModelInfo,
    OnTick,
    no_op,
)
from fmnist_tui.engine.inference.evaluate import tick_with_progress
from fmnist_tui.util.atomic_write import atomic_write, sync_folder
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.progress import OnProgress, ignore_progress
from fmnist_tui.util.text import safe_text

# Whose answers took how long.
TORCH, ONNXRUNTIME = "torch", "onnxruntime"
SIDECAR = ".json"


@dataclass(frozen=True, slots=True)
class Exported:
    """A file in its place, and what was found out about it.

    `latency` has the median milliseconds of an answer, by who gave it and for how many
    pictures at once."""

    file: Path
    format: str
    size: int
    sha256: str
    opset: int | None = None
    parity: Parity | None = None
    latency: dict[str, dict[int, float]] = field(default_factory=dict)

    def __str__(self) -> str:
        same = ""
        if self.parity is not None:
            found = self.parity
            same = f": {found.same_labels:,} of {found.count:,} {found.split} images as here"
        return f"exported as {self.format} to {safe_text(self.file)}{same}"


def export(
    classifier: Classifier,
    told: dict[str, Any],
    wanted: ExportRequest,
    split: Split | None,
    *,
    tell: OnProgress = ignore_progress,
    pulse: OnTick = no_op,
) -> Exported:
    """Write a classifier (on the CPU) and put it in place if it passes.

    `told` are its facts, `split` the images to compare by, None for no comparison. Raises
    UserError, one line, and leaves nothing behind where it does not come to that."""
    wanted.possible()
    classifier.machine.apply_to_thread()
    where = safe_text(wanted.out)
    try:
        with tempfile.TemporaryDirectory(prefix=".exporting-", dir=wanted.out.parent) as aside:
            made = Path(aside) / wanted.out.name
            tell(0, 0, f"writing {wanted.out.name}")
            data = _bytes(classifier, told, wanted)
            done = Exported(
                file=wanted.out,
                format=wanted.to,
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                opset=wanted.opset if wanted.to == ONNX else None,
            )
            atomic_write(made, data)
            if wanted.to == PTH:
                atomic_write(_sidecar(made), _description(told, done))
            pulse()
            if split is not None:
                done = _checked(classifier, made, done, split, tell, pulse)
            # The sidecar first: one without its file does no harm.
            for path in (_sidecar(made), made):
                if path.exists():
                    path.replace(wanted.out.parent / path.name)
            sync_folder(wanted.out.parent)
            return done
    except OSError as error:
        raise UserError(f"{where}: cannot be written: {error.strerror or reason(error)}") from error


def _bytes(classifier: Classifier, told: dict[str, Any], wanted: ExportRequest) -> bytes:
    if wanted.to == ONNX:
        return written(classifier, wanted.opset, told)
    weights = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in classifier.model.state_dict().items()
    }
    if wanted.to == SAFETENSORS:
        from safetensors.torch import save

        # Under one key: of several the order would be another each time.
        data: bytes = save(weights, {METADATA: json.dumps(of_weights(told))})
        return data
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


def _sidecar(path: Path) -> Path:
    """The file beside a `.pth` that says what it holds: plain weights can say nothing."""
    return path.with_name(path.name + SIDECAR)


def _description(told: dict[str, Any], done: Exported) -> bytes:
    body = {"file": done.file.name, "sha256": done.sha256, "bytes": done.size, **of_weights(told)}
    return json.dumps(body, indent=1).encode()


def _checked(
    classifier: Classifier,
    made: Path,
    done: Exported,
    split: Split,
    tell: OnProgress,
    pulse: OnTick,
) -> Exported:
    """The export with what reading it back has shown; a UserError where it says other things."""
    count = len(split)
    asking = tick_with_progress(pulse, tell, "asking the model", count, 0, 2 * count)
    reading = tick_with_progress(pulse, tell, "asking the file", count, count, 2 * count)
    about = classifier.info
    whole = ExportModule(classifier).eval()

    def ask_ours(pixels: npt.NDArray[np.float32]) -> Tensor:
        with torch.inference_mode():
            shares: Tensor = whole(torch.from_numpy(pixels))[0]
        return shares

    ours = softmax(classifier.predict_logits(split, asking))
    times = {TORCH: latency(ask_ours, about.channels, about.size)}
    if done.format == ONNX:
        runtime = Runtime(made, classifier.machine.threads)
        theirs = _asked(runtime, split, reading)
        times[ONNXRUNTIME] = latency(runtime.probabilities, about.channels, about.size)
    else:
        back = _read_back(made, classifier)
        theirs = softmax(back.predict_logits(split, reading))
    parity = compared(split.name, ours, theirs)
    if not parity.holds:
        raise UserError(
            f"{safe_text(done.file)}: not put in place, it says other things than the model:"
            f" {parity.same_labels:,} of {count:,} {split.name} images get the same label"
            f" (largest difference {parity.largest_difference:.2g})"
        )
    tell(2 * count, 2 * count, "done")
    return Exported(done.file, done.format, done.size, done.sha256, done.opset, parity, times)


def _read_back(made: Path, classifier: Classifier) -> Classifier:
    """The file's classifier, by the way that any stranger's file takes."""
    found = weights_source.load_from_file(made)
    about = ModelInfo.from_dict(found.payload.get("about"), found.source)
    return Classifier.from_weights(
        about, found.payload.get("weights"), classifier.machine, found.source
    )


def _asked(runtime: Runtime, split: Split, pulse: OnTick) -> npt.NDArray[np.float64]:
    found = []
    for start in range(0, len(split), EVAL_BATCH_SIZE):
        pulse()
        pixels = (
            split.images[start : start + EVAL_BATCH_SIZE].transpose(0, 3, 1, 2).astype(np.float32)
        )
        found.append(runtime.probabilities(np.ascontiguousarray(pixels)))
    return np.concatenate(found).astype(np.float64)
