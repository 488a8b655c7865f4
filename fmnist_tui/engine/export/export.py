"""Export a classifier as a file: written to a temporary folder, verified, then moved into place.

A file is put in place only if it gives the same labels as the classifier on the test split;
nothing is chosen by that, and only the agreement is reported. `.pth` and `.safetensors` hold the
weights, for this program or the same network elsewhere; `.onnx` holds the whole computation from
pixels to probabilities.
"""

from __future__ import annotations

import hashlib
import io
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
from fmnist_tui.engine.export.export_request import (
    ONNX,
    PTH,
    SAFETENSORS,
    ExportRequest,
    sidecar_path,
)
from fmnist_tui.engine.export.metadata import weights_metadata
from fmnist_tui.engine.export.onnx_graph import ExportModule, OnnxRuntime, to_onnx
from fmnist_tui.engine.inference.classifier import (
    Classifier,
    ModelInfo,
    OnTick,
    no_op,
)
from fmnist_tui.engine.inference.evaluate import tick_with_progress
from fmnist_tui.util.atomic_write import atomic_write, sync_folder, temporary_folder
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.progress import OnProgress, ignore_progress
from fmnist_tui.util.text import safe_text

# The keys of `Exported.latency`.
TORCH, ONNXRUNTIME = "torch", "onnxruntime"
# One image in ten thousand may be so close to the border between two classes that rounding
# decides.
MIN_SAME = 0.9999
BATCH_SIZES = (1, 64)
WARMUP_CALLS, MAX_SECONDS, MAX_CALLS = 3, 0.5, 200


@dataclass(frozen=True, slots=True)
class Parity:
    """The agreement of two classifiers on a split."""

    split: str
    count: int
    same_labels: int
    largest_difference: float

    @property
    def share(self) -> float:
        return self.same_labels / self.count

    @property
    def is_sufficient(self) -> bool:
        return self.share >= MIN_SAME


@dataclass(frozen=True, slots=True)
class Exported:
    """A file in its place, with the results of verifying it.

    `latency` has the median milliseconds of a prediction, by runtime and batch size; `notes` say
    which damaged checkpoints were passed over."""

    file: Path
    format: str
    size: int
    sha256: str
    opset: int | None = None
    parity: Parity | None = None
    latency: dict[str, dict[int, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"exported as {self.format} to {safe_text(self.file)}"
        if self.parity is None:
            return text
        same, count, split = self.parity.same_labels, self.parity.count, self.parity.split
        return f"{text}: same label for {same:,} of {count:,} {split} images"


def export(
    classifier: Classifier,
    facts: dict[str, Any],
    request: ExportRequest,
    split: Split | None,
    *,
    on_progress: OnProgress = ignore_progress,
    on_tick: OnTick = no_op,
) -> Exported:
    """Write a classifier (on the CPU) and put it in place if it passes verification.

    `facts` go into the metadata, `split` has the images to verify with, None for no verification.
    Raises a UserError, one line, and leaves nothing behind if the export fails."""
    request.validate()
    classifier.device.apply_to_thread()
    path = request.path
    try:
        with temporary_folder(path.parent) as folder:
            temporary = folder / path.name
            on_progress(0, 0, f"writing {path.name}")
            data = _to_bytes(classifier, facts, request)
            exported = Exported(
                file=path,
                format=request.format,
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                opset=request.opset if request.format == ONNX else None,
            )
            atomic_write(temporary, data)
            if request.format == PTH:
                atomic_write(sidecar_path(temporary), _sidecar(facts, exported))
            on_tick()
            if split is not None:
                exported = _verify(classifier, temporary, exported, split, on_progress, on_tick)
            # The sidecar first: a sidecar without its file does no harm.
            for file in (sidecar_path(temporary), temporary):
                if file.exists():
                    file.replace(path.parent / file.name)
            sync_folder(path.parent)
            return exported
    except OSError as error:
        why = error.strerror or format_error(error)
        raise UserError(f"{safe_text(path)}: cannot be written: {why}") from error


def _to_bytes(classifier: Classifier, facts: dict[str, Any], request: ExportRequest) -> bytes:
    if request.format == ONNX:
        return to_onnx(classifier, request.opset, facts)
    weights = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in classifier.model.state_dict().items()
    }
    if request.format == SAFETENSORS:
        from safetensors.torch import save

        # Under one key: safetensors writes several keys in a varying order.
        data: bytes = save(weights, {METADATA: json.dumps(weights_metadata(facts))})
        return data
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


def _sidecar(facts: dict[str, Any], exported: Exported) -> bytes:
    file = {"file": exported.file.name, "sha256": exported.sha256, "bytes": exported.size}
    return json.dumps(weights_metadata({**file, **facts}), indent=1).encode()


def _verify(
    classifier: Classifier,
    file: Path,
    exported: Exported,
    split: Split,
    on_progress: OnProgress,
    on_tick: OnTick,
) -> Exported:
    """Compare and time the model and the file; a UserError if their labels differ."""
    count, size = len(split), classifier.batch_size
    model_tick, file_tick = (
        tick_with_progress(
            on_tick, on_progress, f"running the {what}", count, done, 2 * count, size
        )
        for what, done in (("model", 0), ("file", count))
    )
    info = classifier.info
    module = ExportModule(classifier).eval()

    def predict(pixels: npt.NDArray[np.float32]) -> Tensor:
        with torch.inference_mode():
            probabilities: Tensor = module(torch.from_numpy(pixels))[0]
        return probabilities

    ours = softmax(classifier.predict_logits(split, model_tick))
    latency = {TORCH: measure_latency(predict, info.channels, info.size)}
    if exported.format == ONNX:
        runtime = OnnxRuntime(file, classifier.device.threads)
        theirs = _predict_onnx(runtime, split, size, file_tick)
        latency[ONNXRUNTIME] = measure_latency(runtime.predict, info.channels, info.size)
    else:
        # Read like any untrusted file.
        loaded = weights_source.load_from_file(file)
        read_info = ModelInfo.from_payload(loaded.payload, loaded.source)
        device = classifier.device
        theirs_model = Classifier.from_weights(read_info, loaded.weights, device, loaded.source)
        theirs = softmax(theirs_model.predict_logits(split, file_tick))
    same, difference = (ours.argmax(1) == theirs.argmax(1)).sum(), np.abs(ours - theirs).max()
    parity = Parity(split.name, count, int(same), float(difference))
    if not parity.is_sufficient:
        raise UserError(
            f"{safe_text(exported.file)}: not exported, its predictions differ from the model's:"
            f" same label for {parity.same_labels:,} of {count:,} {split.name} images"
            f" (largest difference {parity.largest_difference:.2g})"
        )
    on_progress(2 * count, 2 * count, "done")
    return replace(exported, parity=parity, latency=latency)


def _predict_onnx(
    runtime: OnnxRuntime, split: Split, batch_size: int, on_tick: OnTick
) -> npt.NDArray[np.float64]:
    batches = []
    for start in range(0, len(split), batch_size):
        on_tick()
        images = split.images[start : start + batch_size]
        pixels = images.transpose(0, 3, 1, 2).astype(np.float32)
        batches.append(runtime.predict(np.ascontiguousarray(pixels)))
    return np.concatenate(batches).astype(np.float64)


def measure_latency(
    predict: Callable[[npt.NDArray[np.float32]], object], channels: int, size: int
) -> dict[int, float]:
    """Median milliseconds of a call, by batch size."""
    random = np.random.default_rng(0)
    medians = {}
    for batch_size in BATCH_SIZES:
        pixels = random.integers(0, 256, (batch_size, channels, size, size)).astype(np.float32)
        for _ in range(WARMUP_CALLS):
            predict(pixels)
        times: list[float] = []
        end = time.perf_counter() + MAX_SECONDS
        while len(times) < MAX_CALLS and (not times or time.perf_counter() < end):
            started = time.perf_counter()
            predict(pixels)
            times.append(1000 * (time.perf_counter() - started))
        medians[batch_size] = statistics.median(times)
    return medians
