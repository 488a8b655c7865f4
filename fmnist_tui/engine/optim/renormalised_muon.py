"""Muon with weights of a fixed size, which replaces weight decay: for networks whose filters are
followed by a normalisation, which makes their size immaterial."""

from __future__ import annotations

from torch import nn

from fmnist_tui.engine.optim import Optimizer, OptimSpec, muon


def build(model: nn.Module, spec: OptimSpec) -> Optimizer:
    return muon.build(model, spec, renormalise=True)
