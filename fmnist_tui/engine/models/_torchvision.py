"""Any classifier of torchvision's, with its first convolution and last layer refitted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.util.errors import UserError, near, reason
from fmnist_tui.util.text import safe_text


class TorchvisionModel:
    """Stands where a model's module would: has a `build`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def build(self, spec: ModelSpec) -> nn.Module:
        import torchvision

        known = torchvision.models.list_models(module=torchvision.models)
        if self.name not in known:
            raise UserError(
                f"model 'torchvision:{safe_text(self.name)}' is not known{near(self.name, known)}"
            )
        maker = torchvision.models.get_model_builder(self.name)
        options: dict[str, Any] = {}
        if "aux_logits" in inspect.signature(maker).parameters:
            options["aux_logits"] = False
        if self.name in ("googlenet", "inception_v3"):
            options["init_weights"] = True
        if self.name.startswith("vit_"):
            options["image_size"] = spec.size
        try:
            model: nn.Module = maker(weights=None, num_classes=spec.classes, **options)
        except (TypeError, ValueError, AssertionError) as error:
            raise UserError(
                f"model 'torchvision:{self.name}' cannot be built for {spec.size}×{spec.size} "
                f"images: {reason(error)}"
            ) from error
        _refit_stem(model, spec)
        return model

    def refit(
        self, weights: Mapping[str, Tensor], model: nn.Module
    ) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """Weights of the published network made to fit the adapted one, as far as the two are
        known to differ, and what was done to them."""
        expected = model.state_dict()
        found = {
            name: tensor
            for name, tensor in weights.items()
            # Heads that only the training of the published network needed.
            if name in expected or not name.startswith(("aux1.", "aux2.", "AuxLogits."))
        }
        for name, tensor in expected.items():
            # Older files do not have these counters.
            if name.endswith(".num_batches_tracked") and name not in found:
                found[name] = torch.zeros_like(tensor)
        stem = next(name for name, tensor in expected.items() if tensor.ndim == 4)
        given = found.get(stem)
        if given is None or given.ndim != 4 or not given.is_floating_point():
            return found, ()
        found[stem], told = _refit_filters(given, expected[stem])
        return found, told


def _refit_filters(filters: Tensor, wanted: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """The filters of a first convolution for another number of channels and another size.

    A grey image is the same in all its channels: their filters are summed. A small image
    is met as if it had been enlarged, by as much as the filters are wider than those of
    `_refit_stem`: each of the wanted cells is the sum of those it covers."""
    told = []
    if filters.shape[1] == 3 and wanted.shape[1] == 1:
        filters = filters.sum(1, keepdim=True)
        told.append("the first filters' 3 channels summed to 1")
    before, after = filters.shape[-1], wanted.shape[-1]
    if filters.shape[2] == before and wanted.shape[2] == after < before:
        edges = torch.arange(before + 1, dtype=filters.dtype) * (after / before)
        cells = torch.arange(after, dtype=filters.dtype)[:, None]
        # How much of each cell of the given filters lies in each of the wanted ones.
        covered = (edges[1:].minimum(cells + 1) - edges[:-1].maximum(cells)).clamp_min(0)
        covered = covered * (before / after)
        filters = covered @ filters @ covered.T
        told.append(f"the first filters shrunk from {before}×{before} to {after}×{after}")
    return filters, tuple(told)


def _refit_stem(model: nn.Module, spec: ModelSpec) -> None:
    """Give the first convolution the images' channels, and small images a gentler start."""
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        small = spec.size <= 64 and layer.kernel_size == (7, 7)
        shape: dict[str, Any] = {
            "kernel_size": 3 if small else layer.kernel_size,
            "stride": 1 if small else layer.stride,
            "padding": 1 if small else layer.padding,
        }
        bias = layer.bias is not None
        stem = nn.Conv2d(spec.channels, layer.out_channels, **shape, bias=bias)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, stem)
        return
