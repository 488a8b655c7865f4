"""Write a classifier as an ONNX graph, and run such a graph with onnxruntime.

The graph takes pixels from 0 to 255 and includes normalisation, test-time augmentation and the
members of an ensemble.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fmnist_tui.engine.export.metadata import INPUT, LOGITS, PROBABILITIES, onnx_metadata
from fmnist_tui.engine.inference.classifier import Classifier, forward_views
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

# The limit of a protobuf message.
MAX_BYTES = (2 << 30) - (1 << 20)
_OPERATOR = re.compile(r"OpOverload\(op='([\w.]+)'")


class ExportModule(nn.Module):
    """A classifier from raw pixels to probabilities and logits."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.model = classifier.model
        self._info, self._device = classifier.info, classifier.device

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        normalised = self._info.normalisation.apply(pixels.clone())
        logits = forward_views(
            self.model, normalised, self._info.config.tta, self._device, all_views=True
        )
        return logits.softmax(1), logits


def to_onnx(classifier: Classifier, opset: int, facts: dict[str, Any]) -> bytes:
    """The bytes of an ONNX file; a UserError if the model cannot be converted."""
    model = classifier.info.model
    size = sum(tensor.nbytes for tensor in classifier.model.state_dict().values())
    if size > MAX_BYTES:
        raise UserError(
            f"{model} has {size >> 20} MB of weights: an ONNX file can hold 2 GB at most"
        )
    info = classifier.info
    example = torch.zeros(2, info.channels, info.size, info.size)
    try:
        with _silence_exporter(), torch.no_grad(), torch.random.fork_rng(devices=[]):
            program: Any = torch.onnx.export(
                ExportModule(classifier).eval(),
                (example,),
                input_names=[INPUT],
                output_names=[PROBABILITIES, LOGITS],
                dynamic_shapes={INPUT: {0: "batch"}},
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        raise UserError(_format_error(error, model, opset)) from error
    onnx_model = program.model
    if onnx_model.opset_imports.get("") != opset:
        raise UserError(f"{model} cannot be written in opset {opset}: try without --opset")
    # The exporter notes the source file and line of every operation on this machine.
    for graph in (onnx_model.graph, *onnx_model.functions.values()):
        for node in graph.all_nodes():
            node.metadata_props.clear()
    onnx_model.metadata_props.update(onnx_metadata(facts, opset))
    data: bytes = program.model_proto.SerializeToString()
    return data


def _format_error(error: BaseException, model: str, opset: int) -> str:
    """The long report of torch's exporter as one line."""
    causes = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__
    operator = next((match for error in causes if (match := _OPERATOR.search(str(error)))), None)
    hint = "safetensors and pth support every model"
    if operator is not None:
        return (
            f"{safe_text(model)} cannot be written as ONNX: the operator {operator[1]} is not"
            f" supported in opset {opset}; {hint}"
        )
    message = format_error(causes[-1]).split(". ")[0]
    return f"{safe_text(model)} cannot be written as ONNX: {safe_text(message, 160)}; {hint}"


@contextlib.contextmanager
def _silence_exporter() -> Iterator[None]:
    """Suppress the exporter's logs, warnings and prints; its exception says what is needed."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


class OnnxRuntime:
    """An ONNX file opened with onnxruntime on the CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise UserError(
                f"onnxruntime cannot open the exported file: {format_error(error)}"
            ) from error

    def predict(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The probabilities for pixels (count, channels, height, width), 0 to 255."""
        probabilities: npt.NDArray[np.float32]
        (probabilities,) = self._session.run([PROBABILITIES], {INPUT: pixels})
        return probabilities
