"""Saving from a GPU, and validating on it, while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.inference import classifier
from fmnist_tui.protocol.commands import Detach, Stop
from fmnist_tui.protocol.events import FINISHED
from tests.engine.support import Harness, blobs
from tests.engine.training.test_commands_in_validation import (
    make_harness,
    outcome,
    send_in_validation,
)

CUDA: dict[str, Any] = {"device": "cuda", "precision": "fp32"}


def test_a_checkpoint_holds_the_tensors_of_the_gpu_once(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(512), **CUDA, model="two-conv", epochs=1, batch_size=32)
    assert harness.trainer.run().reason == FINISHED
    payload = harness.store.load("last")[0]
    for name, tensor in harness.learner.model.state_dict().items():
        saved, weights = payload["model"][name], payload["weights"][name]
        assert saved.device.type == "cpu" and torch.equal(saved, tensor.cpu())
        assert saved.data_ptr() == weights.data_ptr(), "without averages they are the same"


def test_answers_of_many_batches_are_those_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = blobs(4096)
    harness = Harness(Path(), dataset, **CUDA, model="two-conv", tta="flip")
    data = DeviceSplit(dataset.train, harness.learner.device.torch_device)
    monkeypatch.setattr(classifier, "evaluation_batch_size", lambda *_: 64)
    logits = harness.learner.predict_logits(data)
    parts = [
        classifier.forward_views(
            harness.learner.model.eval(),
            harness.learner.info.normalisation.normalise(data.slice(start, start + 64)),
            "flip",
            harness.learner.device,
        )
        .detach()
        .cpu()
        .numpy()
        for start in range(0, 4096, 64)
    ]
    assert np.array_equal(logits, np.concatenate(parts))


@pytest.mark.parametrize("command", [Stop(0.0), Detach(0.0)])
@pytest.mark.parametrize("graph", [False, True])
def test_a_run_that_ends_in_validation_is_resumed_exactly(
    tmp_path: Path, command: Stop | Detach, graph: bool
) -> None:
    values = {**CUDA, "cuda_graph": graph}
    whole = make_harness(tmp_path / "whole", **values)
    assert whole.trainer.run().reason == FINISHED
    harness = make_harness(tmp_path, **values)
    send_in_validation(harness, command)
    harness.trainer.run()
    payload, manifest, _ = harness.store.load("last")
    assert payload["epoch_step"] == harness.learner.order.steps_per_epoch
    resumed = make_harness(tmp_path, **values)
    resumed.learner.restore(payload, manifest.file)
    assert resumed.trainer.run().reason == FINISHED
    assert outcome(resumed) == outcome(whole)
