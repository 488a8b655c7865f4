"""How a network is applied to a split."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch

from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.inference import classifier
from fmnist_tui.engine.inference.classifier import predict_logits
from fmnist_tui.engine.step.in_flight import InFlight
from tests.engine.support import blobs, config, make_learner


class StandIn(InFlight):
    """A GPU and its queue, which write down what is asked of them; its memory is the CPU's."""

    torch_device, is_cuda = torch.device("cpu"), True

    def __init__(self) -> None:
        self.log: list[str] = []

    def autocast(self) -> AbstractContextManager[None]:
        return nullcontext()

    def launched(self, steps: int) -> None:
        self.log.append(f"launched {steps}")

    def synchronize(self) -> None:
        self.log.append("synchronised")


def test_a_gpu_is_given_all_batches_before_its_answers_are_waited_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = StandIn()
    monkeypatch.setattr(classifier, "bound_queue", lambda _: gpu)
    monkeypatch.setattr(classifier, "evaluation_batch_size", lambda *_: 16)
    dataset = blobs(64)
    learner = make_learner(config(precision="fp32"), dataset)
    logits = predict_logits(learner.model, learner.train, learner.info, gpu)  # type: ignore[arg-type]
    assert gpu.log == ["launched 1"] * 4 + ["synchronised"]
    assert np.array_equal(logits, learner.predict_logits(learner.train))


def test_there_is_a_tick_before_every_view_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "evaluation_batch_size", lambda *_: 16)
    dataset = blobs(64)
    learner = make_learner(config(tta="flip+shift"), dataset)
    ticks: list[str] = []
    data = DeviceSplit(dataset.val, torch.device("cpu"))
    learner.predict_logits(data, lambda: ticks.append("batch"), lambda: ticks.append("view"))
    assert ticks == ["batch", *["view"] * 6]
