"""Debian packages fetched without root, with fake apt-get and dpkg-deb programs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fmnist_tui.data.idx.idx_set import SystemPackage
from fmnist_tui.data.load_progress import CancelError
from fmnist_tui.data.sources import debian_package
from fmnist_tui.data.sources.source_chain import OFFLINE, load_idx_set
from fmnist_tui.util.errors import UserError
from tests.unit.data.support import QUICK, TinySet

PACKAGE = SystemPackage("dataset-tiny", "usr/share/datasets/tiny")

DOWNLOADS = """
echo "Get:1 somewhere"
echo "dlstatus:1:40.0:Retrieving file 1 of 1"
sleep 0.3
echo "dlstatus:1:100.0:Retrieving file 1 of 1"
echo content > dataset-tiny_1_all.deb
"""


class Machine:
    """Programs on the PATH; every call is written to the log."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.programs, self.log, self.files = folder / "bin", folder / "log", folder / "files"
        self.programs.mkdir()
        monkeypatch.setenv("PATH", f"{self.programs}:/usr/bin:/bin")
        monkeypatch.delenv(OFFLINE, raising=False)
        self.program("dpkg-deb", f'mkdir -p "$3" && cp -r "{self.files}/." "$3"')

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.log}"\n{script}\n')
        path.chmod(0o755)

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def ignore(message: str, share: float) -> None:
    pass


def test_the_package_is_downloaded_and_unpacked(machine: Machine) -> None:
    machine.program("apt-get", DOWNLOADS)
    (machine.files / "usr").mkdir(parents=True)
    (machine.files / "usr" / "file").write_text("here")
    reports: list[tuple[str, float]] = []
    with debian_package.fetch_package(
        "dataset-tiny", lambda *report: reports.append(report)
    ) as root:
        assert (root / "usr" / "file").read_text() == "here"
        work = root.parent
    assert not work.exists()
    download, unpack = machine.calls()
    assert download.endswith("download dataset-tiny")
    assert "Dir::State::lists" not in download
    assert unpack.startswith("dpkg-deb -x ")
    assert ("apt-get download dataset-tiny", 0.4) in reports


def test_private_package_lists_are_fetched_if_the_system_has_none(machine: Machine) -> None:
    machine.program(
        "apt-get",
        f"""
        case "$*" in
        *update*) grep -q "#clear APT::Update::Post-Invoke;" "$3" ;;
        *Dir::State::lists=*) {DOWNLOADS} ;;
        *) echo "E: Unable to locate package dataset-tiny" >&2; exit 100 ;;
        esac
        """,
    )
    machine.files.mkdir()
    with debian_package.fetch_package("dataset-tiny", ignore):
        pass
    first, update, second, _ = machine.calls()
    assert update.startswith("apt-get -q -c ")
    assert "Dir::State::lists=" not in first
    assert update.endswith("update")
    assert "Dir::State::lists=" in update
    assert second.endswith("download dataset-tiny")


def test_a_partly_failed_update_is_not_fatal(machine: Machine) -> None:
    machine.program(
        "apt-get",
        f"""
        case "$*" in
        *update*) echo "E: Failed to fetch elsewhere" >&2; exit 100 ;;
        *Dir::State::lists=*) {DOWNLOADS} ;;
        *) exit 100 ;;
        esac
        """,
    )
    machine.files.mkdir()
    with debian_package.fetch_package("dataset-tiny", ignore) as root:
        assert root.is_dir()


def test_the_error_message_of_apt_is_reported(machine: Machine) -> None:
    machine.program(
        "apt-get",
        'echo "W: a warning"; echo "E: Unable to locate package dataset-tiny" >&2; exit 100',
    )
    message = "^apt-get: Unable to locate package dataset-tiny$"
    with (
        pytest.raises(UserError, match=message),
        debian_package.fetch_package("dataset-tiny", ignore),
    ):
        pass


def test_a_download_without_a_file_is_reported(machine: Machine) -> None:
    machine.program("apt-get", "exit 0")
    with (
        pytest.raises(UserError, match="did not create a file"),
        debian_package.fetch_package("dataset-tiny", ignore),
    ):
        pass


def test_a_package_that_cannot_be_unpacked_is_reported(machine: Machine) -> None:
    machine.program("apt-get", DOWNLOADS)
    machine.program("dpkg-deb", "echo 'dpkg-deb: error: not a Debian format archive' >&2; exit 2")
    message = "not a Debian format archive"
    with (
        pytest.raises(UserError, match=message),
        debian_package.fetch_package("dataset-tiny", ignore),
    ):
        pass


def test_systems_without_apt_are_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    message = "no apt-get and no dpkg-deb: not a Debian or Ubuntu system"
    with (
        pytest.raises(UserError, match=message),
        debian_package.fetch_package("dataset-tiny", ignore),
    ):
        pass


@pytest.fixture
def waiting_input() -> Iterator[None]:
    """A standard input with an answer already in it."""
    saved, (end, other) = os.dup(0), os.pipe()
    os.write(other, b"yes\n")
    os.dup2(end, 0)
    yield
    os.dup2(saved, 0)
    for handle in (saved, end, other):
        os.close(handle)


@pytest.mark.usefixtures("waiting_input")
def test_apt_has_no_terminal_to_ask_questions_on(machine: Machine) -> None:
    machine.program(
        "apt-get",
        f"""
        if read answer; then exit 3; fi
        set -- $(cat /proc/$$/stat)
        [ "$6" = "$$" ] || exit 4  # a session of its own has no terminal
        [ "$DEBIAN_FRONTEND" = noninteractive ] || exit 5
        {DOWNLOADS}
        """,
    )
    machine.files.mkdir()
    with debian_package.fetch_package("dataset-tiny", ignore):
        pass


def test_a_stalled_program_is_killed_with_its_children(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian_package, "STALL_SECONDS", 0.3)
    helper = tmp_path / "helper"
    machine.program(
        "apt-get",
        f'sleep 30 & echo $! > "{helper}"; while sleep 0.05; do echo "dlstatus:1:0.0:same"; done',
    )
    started = time.monotonic()
    with (
        pytest.raises(UserError, match="no progress"),
        debian_package.fetch_package("dataset-tiny", ignore),
    ):
        pass
    assert time.monotonic() - started < 5
    assert has_ended(int(helper.read_text()))


def has_ended(process: int) -> bool:
    """Whether the process ends soon (an orphan may remain as a zombie)."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_cancelling_kills_the_program_at_once(machine: Machine) -> None:
    machine.program("apt-get", "sleep 30")
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    started = time.monotonic()
    with pytest.raises(CancelError), debian_package.fetch_package("dataset-tiny", ignore, cancel):
        pass
    assert time.monotonic() - started < 3


def test_the_chain_uses_the_package_after_checking_its_files(
    machine: Machine, tmp_path: Path
) -> None:
    tiny = TinySet()
    machine.program("apt-get", DOWNLOADS)
    tiny.write(machine.files / PACKAGE.folder)
    idx_set = replace(tiny.idx_set, package=PACKAGE)
    data = tmp_path / "data"
    arrays = load_idx_set(idx_set, data, system_root=tmp_path / "none", patience=QUICK)
    assert arrays.source == "Debian package"
    assert len(arrays.train.images) == 40
    again = load_idx_set(idx_set, data, system_root=tmp_path / "none", fetch=False)
    assert again.source == "data folder"
    installed = data / "fashion" / "t10k-labels-idx1-ubyte.gz"
    assert installed.stat().st_mode & 0o777 == 0o644


def test_a_package_with_wrong_files_is_not_used(machine: Machine, tmp_path: Path) -> None:
    tiny = TinySet()
    machine.program("apt-get", DOWNLOADS)
    folder = tiny.write(machine.files / PACKAGE.folder)
    wrong = tiny.files["t10k-images-idx3-ubyte.gz"]
    (folder / "train-images-idx3-ubyte.gz").write_bytes(wrong)
    idx_set = replace(tiny.idx_set, package=PACKAGE)
    with pytest.raises(UserError, match="20×28×28 numbers where 40×28×28 are expected"):
        load_idx_set(idx_set, tmp_path / "data", system_root=tmp_path / "none", patience=QUICK)
    assert not list((tmp_path / "data" / "fashion").glob("*.gz"))
