"""`doctor`: quick, and honest about torchvision."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from fmnist_tui.cli.commands import doctor


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
