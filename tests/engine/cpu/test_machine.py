"""How many CPUs a process may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.engine.cpu import machine
from fmnist_tui.engine.cpu.machine import count_cpus, read_cpu_quota


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        # a container that sees its own group as the root
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        # a service below a slice: the smallest limit holds
        (
            "0::/system.slice/lab.service\n",
            {
                "system.slice/cpu.max": "200000 100000\n",
                "system.slice/lab.service/cpu.max": "max 100000\n",
            },
            2.0,
        ),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        # version 1
        (
            "12:memory:/a\n4:cpu,cpuacct:/a\n",
            {"cpu/a/cpu.cfs_quota_us": "300000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            3.0,
        ),
        (
            "4:cpu,cpuacct:/a\n",
            {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        # a group that lies outside of what a container sees
        ("0::/../host/group\n", {"cpu.max": "100000 100000\n"}, 1.0),
        ("nonsense\n", {}, None),
    ],
)
def test_the_cpu_quota_of_control_groups_is_read(
    tmp_path: Path, membership: str, files: dict[str, str], quota: float | None
) -> None:
    write(tmp_path / "membership", membership)
    for name, text in files.items():
        write(tmp_path / "root" / name, text)
    assert read_cpu_quota(tmp_path / "membership", tmp_path / "root") == quota


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert read_cpu_quota(tmp_path / "missing", tmp_path) is None


def test_a_quota_limits_the_number_of_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cpus", lambda: list(range(16)))
    for quota, count in ((None, 16), (2.0, 2), (1.5, 2), (0.1, 1), (64.0, 16)):
        monkeypatch.setattr(machine, "read_cpu_quota", lambda quota=quota: quota)
        assert count_cpus() == count


@pytest.mark.parametrize(
    ("flags", "expected"), [("fpu avx512_bf16 sse", True), ("fpu avx2", False), ("", False)]
)
def test_bf16_is_recognised_by_its_instructions(
    monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool
) -> None:
    monkeypatch.setattr(machine, "_read_cpuinfo", lambda field: flags)
    assert machine.multiplies_bf16() is expected
