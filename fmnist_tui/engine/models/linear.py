"""A linear classifier."""

from __future__ import annotations

from torch import nn

from fmnist_tui.engine.models import ModelSpec


def build(spec: ModelSpec) -> nn.Module:
    inputs = spec.channels * spec.size**2
    return nn.Sequential(nn.Flatten(), nn.Dropout(spec.dropout), nn.Linear(inputs, spec.classes))
