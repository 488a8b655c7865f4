"""A wide residual network of 40 layers (widths ×4: WRN-40-4), for long trainings on a GPU."""

from __future__ import annotations

from torch import nn

from fmnist_tui.engine.models import ModelSpec, wide_resnet


def build(spec: ModelSpec) -> nn.Module:
    return wide_resnet.build(spec, blocks=6)
