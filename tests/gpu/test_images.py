"""Images on the GPU: prefetched from host memory or resident, shared by runs, and freed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fmnist_tui.engine.compute import loader
from fmnist_tui.engine.compute.prefetch import PrefetchedSplit
from fmnist_tui.engine.session.session import Session
from tests.engine.support import RICH, Harness, blobs, config, digest, train


def weights(folder: Path) -> str:
    settings = {**RICH, "device": "cuda", "precision": "fp32", "cuda_graph": False}
    harness = Harness(folder, blobs(96), **settings)
    harness.trainer.run()
    harness.learner.close()
    if folder.name == "host":
        assert isinstance(harness.learner.train, PrefetchedSplit)
    return digest(harness.learner.model.state_dict())


def test_a_training_from_host_memory_has_the_same_weights_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = weights(tmp_path / "resident")
    monkeypatch.setattr(loader, "fits", lambda *_: False)
    assert weights(tmp_path / "host") == resident


def test_batches_from_host_memory_are_those_of_the_split_while_the_gpu_is_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loader, "fits", lambda *_: False)
    dataset, device = blobs(4096), torch.device("cuda", 0)
    data = PrefetchedSplit(loader.DeviceSplit(dataset.train, device), 256)
    rows = loader.BatchOrder(4096, 256, 0, data.index_device).epoch_indices(0)
    data.expect(rows)
    work = torch.rand(4096, 4096, device=device)
    sums = []
    for row in rows:
        images, labels = data.gather(row)
        for _ in range(20):
            work = work @ work / 4096
        # Read only after this work: a copy that came too early would be seen.
        sums.append((images.double().sum() + work.sum() * 0, labels.sum()))
    for row, (pixels, labels) in zip(rows.numpy(), sums, strict=True):
        assert int(pixels) == int(dataset.train.images[row].astype(int).sum())
        assert int(labels) == int(dataset.train.labels[row].sum())
    data.close()


def test_device_memory_stays_flat_over_runs_of_one_session(session: Session) -> None:
    sizes = []
    for seed in range(8):
        train(session, config(device="cuda", model="two-conv", seed=seed))
        sizes.append(torch.cuda.memory_allocated())
    assert len(set(sizes[2:])) == 1, sizes
