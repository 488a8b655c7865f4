"""Any classifier of torchvision's, with its first convolution and last layer refitted."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.errors import UserError, near, reason
from fmnist_tui.text import safe_text


class Adapted:
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
