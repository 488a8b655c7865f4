"""`doctor`: quick, and honest about torchvision."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from fmnist_tui.cli.commands import doctor
from tests.engine.gpu.stand_in import GB, Gpu, use_gpus


def test_doctor_imports_torch_last_and_torchvision_never() -> None:
    script = (
        "import sys\n"
        "from fmnist_tui.cli.commands import doctor\n"
        "for finding in doctor._check_all(*map(doctor.Path, sys.argv[1:])):\n"
        "    print(finding.name, 'torch' in sys.modules, 'torchvision' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "/dev/null/runs", "/dev/null/data"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    first = next(index for index, line in enumerate(lines) if "True" in line)
    assert lines[first - 1 : first + 1] == ["data folder False False", "CPU True False"]
    assert not any(line.endswith("True True") for line in lines)


@pytest.mark.parametrize("content", [None, b"for another version of torch"])
def test_a_torchvision_that_does_not_suit_torch_is_found(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "_C.so").write_bytes(content)
    spec = ModuleSpec("torchvision", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    [finding] = doctor._check_device()
    assert not finding.ok and "reinstall both" in finding.advice


def test_every_gpu_is_listed_and_the_one_that_auto_takes_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_gpus(monkeypatch, Gpu("Card A", load=93, used=70 * GB), Gpu("Card B"))
    monkeypatch.setattr("torch.distributed.is_nccl_available", lambda: True)
    monkeypatch.setattr("torch.cuda.nccl.version", lambda: (2, 27, 5))
    first, second, both = doctor._check_gpus()
    assert first.found == "Card A, 80 GB, 10 GB free, load 93 %, compute capability 9.0"
    assert second.found == "Card B, 80 GB, 80 GB free, load 0 %, compute capability 9.0"
    assert both.found.startswith("2, driver 580.1, CUDA ")
    assert both.found.endswith(", NCCL 2.27.5; `auto` takes cuda:1")


def test_a_gpu_that_torch_has_no_kernels_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    use_gpus(monkeypatch, Gpu())
    monkeypatch.setattr("torch.cuda.get_arch_list", lambda: ["sm_100", "sm_120"])
    gpu, all_of_them = doctor._check_gpus()
    assert not gpu.ok and gpu.advice == "this torch has kernels for sm_100, sm_120 only"
    assert not all_of_them.ok
