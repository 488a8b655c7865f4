"""The one place where commands become exit statuses."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from fmnist_tui.cli import main


def command(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    """Have `doctor` do this."""
    module = SimpleNamespace(arguments=lambda parser: None, run=run)
    monkeypatch.setattr(main, "_module", lambda name: module)


def test_sigterm_has_a_command_give_up_in_good_order(monkeypatch: pytest.MonkeyPatch) -> None:
    put_away: list[bool] = []

    def run(_: Any) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            put_away.append(True)
        return 0

    command(monkeypatch, run)
    assert main.run(["doctor"]) == 143
    assert put_away == [True]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_command_that_ends_by_a_status_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, lambda _: sys.exit(143))
    assert main.run(["doctor"]) == 143
    command(monkeypatch, lambda _: sys.exit())
    assert main.run(["doctor"]) == 0
