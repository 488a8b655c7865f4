"""Whether a split is kept on the device."""

from __future__ import annotations

import pytest
import torch

from fmnist_tui.engine.compute import loader
from fmnist_tui.engine.compute.device_memory import fits, free_bytes
from fmnist_tui.engine.compute.loader import DeviceSplit
from tests.engine.support import blobs

GB = 10**9


@pytest.mark.parametrize(
    ("size", "free", "expected"),
    [
        (41 * GB, 30 * GB, False),
        (41 * GB, 130 * GB, True),
        (6 * GB, 10 * GB, True),
        (6 * GB + 1, 10 * GB, False),
        (1, 0, False),
        (10**15, None, True),
    ],
)
def test_a_split_is_kept_on_a_gpu_if_it_takes_at_most_60_percent_of_the_free_memory(
    size: int, free: int | None, expected: bool
) -> None:
    assert fits(size, free) is expected


def test_nothing_is_copied_from_a_cpu_to_itself() -> None:
    dataset = blobs(8)
    assert free_bytes(torch.device("cpu")) is None
    data = DeviceSplit(dataset.train, torch.device("cpu"))
    assert data.is_resident and not data.note
    assert data.slice(0, 8).data_ptr() == dataset.train.images.ctypes.data


def test_images_that_do_not_fit_stay_in_host_memory_and_the_note_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loader, "free_bytes", lambda _: 5_000)
    data = DeviceSplit(blobs(8).train, torch.device("cpu"))
    assert not data.is_resident
    assert data.note == "the images (6.3 kB) stay in host memory: the GPU has 5.0 kB free"
