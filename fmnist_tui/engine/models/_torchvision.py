"""Any torchvision classifier, with its first convolution and last layer adapted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.util.errors import UserError, did_you_mean, format_error
from fmnist_tui.util.text import safe_text


class TorchvisionModel:
    """A stand-in for a model module: has a `build`, and a `refit` for published weights."""

    def __init__(self, name: str) -> None:
        self.name = name

    def build(self, spec: ModelSpec) -> nn.Module:
        import torchvision

        known = torchvision.models.list_models(module=torchvision.models)
        if self.name not in known:
            raise UserError(
                f"model 'torchvision:{safe_text(self.name)}' is not known"
                f"{did_you_mean(self.name, known)}"
            )
        builder = torchvision.models.get_model_builder(self.name)
        options: dict[str, Any] = {}
        if "aux_logits" in inspect.signature(builder).parameters:
            options["aux_logits"] = False
        if self.name in ("googlenet", "inception_v3"):
            options["init_weights"] = True
        if self.name.startswith("vit_"):
            options["image_size"] = spec.size
        try:
            model: nn.Module = builder(weights=None, num_classes=spec.classes, **options)
        except (TypeError, ValueError, AssertionError) as error:
            raise UserError(
                f"model 'torchvision:{self.name}' cannot be built for {spec.size}×{spec.size} "
                f"images: {format_error(error)}"
            ) from error
        _adapt_stem(model, spec)
        return model

    def refit(
        self, weights: Mapping[str, Tensor], model: nn.Module
    ) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """Adapt published weights to this model where the two are known to differ; returns them
        with a note for each change."""
        expected = model.state_dict()
        adapted = {
            name: tensor
            for name, tensor in weights.items()
            # Auxiliary heads are only used to train the published network.
            if name in expected or not name.startswith(("aux1.", "aux2.", "AuxLogits."))
        }
        for name, tensor in expected.items():
            # Older files lack these counters.
            if name.endswith(".num_batches_tracked") and name not in adapted:
                adapted[name] = torch.zeros_like(tensor)
        stem = next(name for name, tensor in expected.items() if tensor.ndim == 4)
        filters = adapted.get(stem)
        if filters is None or filters.ndim != 4 or not filters.is_floating_point():
            return adapted, ()
        adapted[stem], notes = _refit_filters(filters, expected[stem])
        return adapted, notes


def _refit_filters(filters: Tensor, target: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """Convert the filters of a first convolution to another channel count and filter size.

    A grey image has the same values in all channels, so their filters are summed. Smaller
    filters respond to a small image as the original ones do to the enlarged image: each cell
    is the sum of the original cells that it covers."""
    notes = []
    if filters.shape[1] == 3 and target.shape[1] == 1:
        filters = filters.sum(1, keepdim=True)
        notes.append("the first filters' 3 channels summed to 1")
    before, after = filters.shape[-1], target.shape[-1]
    if filters.shape[2] == before and target.shape[2] == after < before:
        edges = torch.arange(before + 1, dtype=filters.dtype) * (after / before)
        cells = torch.arange(after, dtype=filters.dtype)[:, None]
        # How much of each original cell lies in each new one.
        overlap = (edges[1:].minimum(cells + 1) - edges[:-1].maximum(cells)).clamp_min(0)
        overlap = overlap * (before / after)
        filters = overlap @ filters @ overlap.T
        notes.append(f"the first filters shrunk from {before}×{before} to {after}×{after}")
    return filters, tuple(notes)


def _adapt_stem(model: nn.Module, spec: ModelSpec) -> None:
    """Give the first convolution the images' channels, and a smaller stride for small images."""
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        shape: dict[str, Any] = {"kernel_size": 3, "stride": 1, "padding": 1}
        if spec.size > 64 or layer.kernel_size != (7, 7):
            shape = {key: getattr(layer, key) for key in shape}
        bias = layer.bias is not None
        stem = nn.Conv2d(spec.channels, layer.out_channels, **shape, bias=bias)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, stem)
        return
