"""Apple's GPUs, which have no numbers in double precision, without one.

A stand-in takes their place: torch's `meta` device, which has shapes but no values, and a mode
that refuses doubles there as MPS does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fmnist_tui.engine.compute import rng
from fmnist_tui.engine.device import CpuThreads, TrainingDevice
from fmnist_tui.engine.inference.classifier import ModelInfo
from fmnist_tui.engine.training.learner import Learner
from tests.engine.support import RICH, blobs, config

WITHOUT_DOUBLES = TrainingDevice(
    torch.device("meta"), "a GPU without doubles", "fp32", False, CpuThreads(1, is_fixed=True)
)


class NoDoubles(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses doubles on the `meta` device; what is read from there is zeros."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            return 0.0
        copies = torch.ops.aten._to_copy, torch.ops.aten.to
        if func.overloadpacket in copies and args[0].is_meta:
            device = torch.device(options.get("device") or "meta")
            if device.type == "cpu":
                return torch.zeros(args[0].shape, dtype=options.get("dtype") or args[0].dtype)
        # Of torch 2.12 and later.
        assert func.overloadpacket is not torch.ops.aten._standard_gamma or not args[0].is_meta
        result = func(*args, **options)
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                assert tensor.dtype != torch.float64, f"{func} makes doubles on the GPU"
        return result


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "fast", "optimizer": "muon", "cutmix": 0.5, "clip_norm": 1.0},
        {**RICH, "optimizer": "muon", "rotate": 10.0, "crop": 2},
    ],
    ids=["fast", "rich"],
)
def test_a_training_makes_no_doubles_on_a_gpu_that_has_none(settings: dict[str, Any]) -> None:
    dataset = blobs(32)
    chosen = config(**settings)
    with NoDoubles():  # type: ignore[no-untyped-call]
        learner = Learner(ModelInfo.from_dataset(chosen, dataset), dataset, WITHOUT_DOUBLES)
        rows = learner.order.epoch_indices(0)
        learner.make_step().run(rows[:1], learner.next_rates(1))
        learner.predict_logits(learner.train)
        assert {tensor.device.type for tensor in learner.model.parameters()} == {"meta"}


def test_the_random_generator_of_an_apple_gpu_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    own = torch.arange(8, dtype=torch.uint8)
    generator = SimpleNamespace(state=own)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: generator.state.clone())
    monkeypatch.setattr(
        torch.mps, "set_rng_state", lambda state: setattr(generator, "state", state)
    )
    device = torch.device("mps")
    saved = rng.get_state(device)
    generator.state = torch.zeros(8, dtype=torch.uint8)
    rng.set_state(saved, torch.device("cpu"))  # resumed elsewhere
    assert not generator.state.any()
    rng.set_state(saved, device)
    assert generator.state.tolist() == own.tolist()
    del saved["mps"]  # as of an earlier version
    rng.set_state(saved, device)
