"""A classifier as an ONNX graph, and such a graph asked by onnxruntime.

The graph takes pixels of 0 to 255 and does the rest itself: normalisation, the views that
are averaged, the members of an ensemble.
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

from fmnist_tui.engine.export.metadata import INPUT, LOGITS, PROBABILITIES, as_strings, of_onnx
from fmnist_tui.engine.inference.classifier import Classifier, forward_views
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

# A protobuf message holds no more.
LARGEST = (2 << 30) - (1 << 20)
_OPERATOR = re.compile(r"OpOverload\(op='([\w.]+)'")


class ExportModule(nn.Module):
    """A classifier from raw pixels to probabilities (and the logits before them)."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.model = classifier.model
        self._about, self._machine = classifier.info, classifier.machine

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        normalised = self._about.normalisation.apply(pixels.clone())
        logits = forward_views(self.model, normalised, self._about.config.tta, self._machine)
        return logits.softmax(1), logits


def written(classifier: Classifier, opset: int, told: dict[str, Any]) -> bytes:
    """The bytes of an ONNX file; a UserError where the model has no such form."""
    model = classifier.info.model
    size = sum(tensor.nbytes for tensor in classifier.model.state_dict().values())
    if size > LARGEST:
        raise UserError(f"{model} has {size >> 20} MB of weights: an ONNX file holds 2 GB at most")
    about = classifier.info
    example = torch.zeros(2, about.channels, about.size, about.size)
    try:
        with _quietly(), torch.no_grad(), torch.random.fork_rng(devices=[]):
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
        raise UserError(_why_not(error, model, opset)) from error
    made = program.model
    if made.opset_imports.get("") != opset:
        raise UserError(f"{model} cannot be written in opset {opset}: try without --opset")
    # Where on this machine each operation was written is nobody's business.
    for graph in (made.graph, *made.functions.values()):
        for node in graph.all_nodes():
            node.metadata_props.clear()
    made.metadata_props.update(as_strings(of_onnx(told, opset)))
    data: bytes = program.model_proto.SerializeToString()
    return data


def _why_not(error: BaseException, model: str, opset: int) -> str:
    """What torch's exporter says on pages, in a line."""
    causes = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__
    operator = next((found for one in causes if (found := _OPERATOR.search(str(one)))), None)
    hint = "safetensors and pth hold any model"
    if operator is not None:
        return (
            f"{safe_text(model)} cannot be written as ONNX: its operator {operator[1]} has no form"
            f" in opset {opset}; {hint}"
        )
    said = reason(causes[-1]).split(". ")[0]
    return f"{safe_text(model)} cannot be written as ONNX: {safe_text(said, 160)}; {hint}"


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The exporter logs, warns and prints for a person at a notebook; here an error says what
    is needed."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


class Runtime:
    """An ONNX file opened by onnxruntime on the CPU."""

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
                f"onnxruntime cannot open what was exported: {reason(error)}"
            ) from error

    def probabilities(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The answers for (count, channels, height, width), 0 to 255."""
        (found,) = self._session.run([PROBABILITIES], {INPUT: pixels})
        logits: npt.NDArray[np.float32] = found
        return logits
