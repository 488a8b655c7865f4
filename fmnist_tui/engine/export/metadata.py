"""What an exported file says of itself: enough to be used without this program.

The same facts stand in the JSON beside a `.pth` file, as JSON in the metadata of a
`.safetensors` file, and in the metadata of an `.onnx` file one by one, there as strings
(JSON where a value is no string).
"""

from __future__ import annotations

import json
import platform
from typing import Any

import torch

import fmnist_tui
from fmnist_tui.engine.checkpoints.weights_source import LoadedWeights
from fmnist_tui.engine.inference.classifier import Classifier
from fmnist_tui.protocol.events import Evaluated

INPUT, PROBABILITIES, LOGITS = "pixels", "probabilities", "logits"
VIEWS = {
    "none": "the picture as it is",
    "flip": "the mean probability of the picture and its mirror image",
    "flip+shift": "the mean probability of the picture moved by a pixel up-left, down-right and"
    " not at all, each also mirrored",
}


def facts(
    classifier: Classifier, found: LoadedWeights, run: str, tested: Evaluated | None
) -> dict[str, Any]:
    """The facts of a classifier; `tested` is the verdict on test that its run has recorded."""
    about = classifier.info
    parameters = sum(parameter.numel() for parameter in classifier.model.parameters())
    told: dict[str, Any] = {
        "made_by": f"fmnist-tui {fmnist_tui.__version__}",
        "run": run,
        "recipe": about.config.recipe,
        "model": about.model,
        "parameters": parameters,
        "dataset": about.dataset.title,
        "classes": list(about.dataset.classes),
        "size": about.size,
        "channels": about.channels,
        "mean": list(about.normalisation.mean),
        "std": list(about.normalisation.std),
        "views": VIEWS[about.config.tta],
        "preparation": about.preparation.as_dict(),
        "preparation_in_words": about.preparation.description,
        "step": found.step,
        "epoch": found.epoch,
        "versions": {
            "fmnist_tui": fmnist_tui.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "about": about.to_dict(),
    }
    if tested is not None:
        told["test_accuracy"] = tested.accuracy
        told["test_count"] = tested.count
    return told


def of_weights(told: dict[str, Any]) -> dict[str, Any]:
    """The facts as they stand beside bare weights, whose user has to normalise."""
    size, channels = told["size"], told["channels"]
    normalised = (
        "as they are: each member normalises by its own mean and std (about.members)"
        if "members" in told["about"]
        else "as (pixel - mean) / std, a mean and a std for every channel"
    )
    return {
        **told,
        "input": f"float32 (batch, {channels}, {size}, {size}), pixels of 0 to 255, {normalised}",
        "output": "the logarithms of mean probabilities" if "members" in told["about"] else LOGITS,
    }


def of_onnx(told: dict[str, Any], opset: int) -> dict[str, Any]:
    """The facts as they stand in an ONNX file, which normalises by itself."""
    size, channels = told["size"], told["channels"]
    return {
        **told,
        "input": f"{INPUT}: float32 (batch, {channels}, {size}, {size}), 0 to 255, not normalised:"
        " the graph does that",
        "output": f"{PROBABILITIES}: float32 (batch, classes), of sum 1; {LOGITS}: their"
        " logarithms but for a constant",
        "opset": opset,
    }


def as_strings(told: dict[str, Any]) -> dict[str, str]:
    """The facts as ONNX's metadata can hold them."""
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()
    }
