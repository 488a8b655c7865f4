"""Which of several GPUs is taken, with a stand-in for NVIDIA's library and for torch's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.gpu import choice
from fmnist_tui.engine.gpu.choice import GpuReading, has_kernels, least_busy
from fmnist_tui.engine.run.failures import NoKernels
from tests.engine.gpu.stand_in import Gpu, use_gpus
from tests.engine.support import config

GB = 1 << 30


def reading(index: int, load: float | None = 0.0, free: int | None = 80, **more: Any) -> GpuReading:
    memory = free * GB if free is not None else None
    return GpuReading(index, "a card", (9, 0), 80 * GB, memory, load, **more)


@pytest.mark.parametrize(
    ("readings", "taken"),
    [
        ([reading(0), reading(1)], 0),
        ([reading(0, load=97), reading(1)], 1),
        ([reading(0, free=10), reading(1, free=70)], 1),
        # an idle GPU full of memory, and a busy one with little
        ([reading(0, free=2), reading(1, load=50, free=78)], 1),
        # a screen or a waiting process: less than a tenth makes no difference
        ([reading(0, load=6, free=79), reading(1)], 0),
        ([reading(0, load=None, free=20), reading(1, load=None, free=60)], 1),
        ([reading(0, load=None, free=None), reading(1, load=60, free=40)], 1),
        ([reading(0, load=None, free=None), reading(1, load=None, free=None)], 0),
        ([reading(0, is_supported=False), reading(1, load=99)], 1),
    ],
)
def test_the_gpu_with_the_smallest_share_in_use_is_taken_and_of_several_the_first(
    readings: list[GpuReading], taken: int
) -> None:
    found = least_busy(readings)
    assert found is not None and found.index == taken


def test_no_gpu_is_taken_that_torch_has_no_kernels_for() -> None:
    assert least_busy([reading(0, is_supported=False)]) is None


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((9, 0), ["sm_80", "sm_90"], True),
        ((8, 9), ["sm_80", "sm_86"], True),
        ((8, 0), ["sm_86"], False),
        ((7, 0), ["sm_75", "sm_80", "compute_120"], False),
        ((12, 1), ["sm_90", "sm_120"], True),
        ((13, 0), ["sm_120", "compute_120"], True),
        ((10, 3), ["sm_100a"], False),
        ((9, 0), ["gfx90a"], True),  # not NVIDIA's names: nothing is known
        ((9, 0), [], True),
    ],
)
def test_a_gpu_needs_code_of_its_own_generation_or_code_that_is_compiled_for_it(
    capability: tuple[int, int], architectures: list[str], runs: bool
) -> None:
    assert has_kernels(capability, architectures) == runs


def test_auto_takes_the_least_busy_gpu_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    use_gpus(monkeypatch, Gpu(load=90), Gpu(used=70 * GB), Gpu("Card C"))
    device = choose_device(config(device="auto", precision="fp32"))
    assert str(device.torch_device) == "cuda:2" and device.name == "Card C"
    assert device.notes == ("took cuda:2, the least busy of 3 GPUs",)


def test_a_process_stays_on_the_gpu_that_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = use_gpus(monkeypatch, Gpu(load=90), Gpu())
    choose_device(config(device="cuda:0", precision="fp32"))
    device = choose_device(config(device="auto", precision="fp32"))
    assert str(device.torch_device) == "cuda:0" and not device.notes and not gpus.asked


def test_only_visible_gpus_are_read_each_by_its_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    """With CUDA_VISIBLE_DEVICES torch's first GPU may be the machine's third."""
    gpus = use_gpus(monkeypatch, Gpu(load=5), Gpu(load=40), Gpu(load=80), visible=[2, 1])
    assert [each.load for each in choice.read_gpus()] == [80, 40]
    assert gpus.asked == ["GPU-2", "GPU-1"]


def test_one_gpu_is_taken_without_asking_how_busy_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = use_gpus(monkeypatch, Gpu(load=100))
    assert str(choose_device(config(device="cuda", precision="fp32")).torch_device) == "cuda:0"
    assert not gpus.asked


def test_without_nvidias_library_the_gpu_with_most_free_memory_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_gpus(monkeypatch, Gpu(used=60 * GB), Gpu(used=9 * GB), has_library=False)
    free = {0: 20 * GB, 1: 71 * GB}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (free[index], 80 * GB))
    device = choose_device(config(device="auto", precision="fp32"))
    assert str(device.torch_device) == "cuda:1"


def test_a_gpu_that_torch_has_no_kernels_for_is_refused_before_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_gpus(monkeypatch, Gpu())
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(major=6, minor=1)
    )
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
    with pytest.raises(NoKernels, match="doctor"):
        choose_device(config(device="cuda:0", precision="fp32"))
