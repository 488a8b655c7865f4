"""Exit statuses of commands."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from fmnist_tui.cli import main


def replace_doctor(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    """Have `doctor` call `run`."""
    module = SimpleNamespace(add_arguments=lambda parser: None, run=run)
    monkeypatch.setattr(main, "_import_command", lambda name: module)


@pytest.mark.parametrize("number", main.END_SIGNALS)
def test_a_signal_that_ends_a_command_runs_its_cleanup(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    cleaned_up: list[bool] = []

    def run(_: Any) -> int:
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            cleaned_up.append(True)
        return 0

    replace_doctor(monkeypatch, run)
    assert main.run(["doctor"]) == 128 + number
    assert cleaned_up == [True]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_sighup_stays_ignored_after_nohup(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_doctor(monkeypatch, lambda _: os.kill(os.getpid(), signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main.run(["doctor"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_status_of_sys_exit_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_doctor(monkeypatch, lambda _: sys.exit(143))
    assert main.run(["doctor"]) == 143
    replace_doctor(monkeypatch, lambda _: sys.exit())
    assert main.run(["doctor"]) == 0


def test_a_setting_without_a_command_is_refused_with_the_command_that_takes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.run(["--epochs", "3"]) == 2
    assert capsys.readouterr().err == (
        "fmnist-tui: unknown argument '--epochs'; name a command before it, such as"
        " `fmnist-tui train` (see --help)\n"
    )
