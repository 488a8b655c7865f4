"""The metadata of exported files: enough to use them without this program.

A `.pth` has it in a JSON file beside it, a `.safetensors` as JSON in its metadata, an `.onnx`
one entry per fact, as a string (JSON if the value is not a string). All have a hash of the weights
(`weights_hash.py`); those that are read again also have one of the facts.
"""

from __future__ import annotations

import json
import platform
from typing import Any

import torch

import fmnist_tui
from fmnist_tui.engine.checkpoints.weights_hash import WEIGHTS, hash_weights, with_hash
from fmnist_tui.engine.checkpoints.weights_source import LoadedWeights
from fmnist_tui.engine.inference.classifier import Classifier
from fmnist_tui.protocol.events import Evaluated

INPUT, PROBABILITIES, LOGITS = "pixels", "probabilities", "logits"
VIEWS = {
    "none": "the image as it is",
    "flip": "the mean probability of the image and its mirror image",
    "flip+shift": "the mean probability of the image unmoved and moved by one pixel up-left and"
    " down-right, each also mirrored",
    "selective": "the mean probability of the image and its mirror image; where the second class"
    " is more than a tenth as likely as the first, also of both moved by one pixel up-left and"
    " down-right",
}


def build_facts(
    classifier: Classifier, loaded: LoadedWeights, run: str, test: Evaluated | None
) -> dict[str, Any]:
    """The facts of a classifier; `test` is the evaluation on test recorded by its run."""
    info, weights = classifier.info, classifier.model.state_dict()
    facts: dict[str, Any] = {
        "made_by": f"fmnist-tui {fmnist_tui.__version__}",
        "run": run,
        "recipe": info.config.recipe,
        "model": info.model,
        "parameters": sum(each.numel() for each in classifier.model.parameters()),
        "dataset": info.dataset.title,
        "classes": list(info.dataset.classes),
        "size": info.size,
        "channels": info.channels,
        "mean": list(info.normalisation.mean),
        "std": list(info.normalisation.std),
        "views": VIEWS[info.config.tta],
        "preparation": info.preparation.as_dict(),
        "preparation_in_words": info.preparation.description,
        "step": loaded.step,
        "epoch": loaded.epoch,
        "versions": {
            "fmnist_tui": fmnist_tui.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        WEIGHTS: hash_weights(weights, sorted(weights)),
        "about": info.to_dict(with_ids=False),
    }
    if test is not None and test.step == loaded.step:
        facts |= {"test_accuracy": test.accuracy, "test_count": test.count}
    return facts


def weights_metadata(facts: dict[str, Any]) -> dict[str, Any]:
    """The metadata of bare weights, whose user has to normalise images, with its hash."""
    size, channels = facts["size"], facts["channels"]
    is_ensemble = "members" in facts["about"]
    normalised = (
        "as they are: each member normalises with its own mean and std (about.members)"
        if is_ensemble
        else "as (pixel - mean) / std, a mean and a std for every channel"
    )
    return with_hash(
        {
            **facts,
            "input": f"float32 (batch, {channels}, {size}, {size}), pixels from 0 to 255,"
            f" {normalised}",
            "output": "the logarithms of mean probabilities" if is_ensemble else LOGITS,
        }
    )


def onnx_metadata(facts: dict[str, Any], opset: int) -> dict[str, str]:
    """The metadata of an ONNX file, whose graph normalises; all values are strings."""
    size, channels = facts["size"], facts["channels"]
    table = {
        **facts,
        "input": f"{INPUT}: float32 (batch, {channels}, {size}, {size}), 0 to 255, not normalised:"
        " the graph normalises",
        "output": f"{PROBABILITIES}: float32 (batch, classes), which sum to 1; {LOGITS}: their"
        " logarithms up to a constant",
        "opset": opset,
    }
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in table.items()
    }
