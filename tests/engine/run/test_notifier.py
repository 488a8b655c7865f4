"""Who is told that a run has ended, has failed or stalls."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from fmnist_tui.config import notifications
from fmnist_tui.engine.run import notifier
from fmnist_tui.engine.run.run_record import record_run
from fmnist_tui.protocol.events import DETACHED, FAILED, Changed, Event, RunEnded
from fmnist_tui.runs.folder import RunFolder
from tests.tui.support import events
from tests.webhook import Webhook, serve_webhook

SECRET = "topic-that-nobody-may-know"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with serve_webhook() as hook:
        url = f"http://user:pass%21@127.0.0.1:{hook.port}/{SECRET}"
        monkeypatch.setenv(notifications.VARIABLE, url)
        yield hook


def tell(folder: RunFolder, *told: Event) -> None:
    """Emit events like the process that makes the run."""
    with notifier.notifying(folder, lambda _: None) as emit:
        for event in told:
            emit(event)


def test_the_end_of_a_run_is_told_with_its_figures(hook: Webhook, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "2026-01-01_000000_tiny_sketches_ab12")
    tell(folder, *events())
    received = hook.received.get(timeout=60)
    assert received.path == f"/{SECRET}"
    assert received.headers["Authorization"] == "Basic dXNlcjpwYXNzIQ=="
    message = json.loads(received.body)
    assert (message["event"], message["run"]) == ("finished", folder.name)
    assert message["text"] == message["content"]
    assert message["text"].startswith("tiny ab12 finished · val ")
    assert 0.5 < message["test_accuracy"] < 1


def test_ntfy_gets_text_and_a_failure_is_urgent(
    hook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(notifications.VARIABLE, f"ntfy+http://127.0.0.1:{hook.port}/{SECRET}")
    tell(RunFolder(tmp_path / "a"), RunEnded(1.0, 7, 1, FAILED, 1.0, "too little\x1b memory"))
    received = hook.received.get(timeout=60)
    assert received.body.decode() == "a failed · too little␛ memory"
    assert (received.headers["Title"], received.headers["Priority"]) == ("fmnist-tui", "high")


def test_a_detached_run_goes_on_and_nothing_is_told_without_an_address(
    hook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(RunFolder(tmp_path / "a"), RunEnded(1.0, 7, 1, DETACHED, 1.0))
    monkeypatch.delenv(notifications.VARIABLE)
    tell(RunFolder(tmp_path / "b"), RunEnded(1.0, 7, 1, FAILED, 1.0))
    notifier._finish_sending()
    assert hook.received.empty()


def test_a_run_that_does_not_go_on_is_told_once_but_not_while_it_is_paused(
    hook: Webhook, tmp_path: Path
) -> None:
    stalled = notifier.RunNotifier(RunFolder(tmp_path / "a"), notifications.load_notifications())
    later = time.monotonic() + notifications.STALL_SECONDS + 60
    for event in (*islice(events(), 2), Changed(0.0, 0, "paused", "true")):
        stalled.on_event(event)
    stalled.check(later)
    stalled.on_event(Changed(0.0, 0, "paused", "false"))
    stalled.check(later)
    stalled.check(later + 1)
    assert json.loads(hook.received.get(timeout=60).body)["event"] == "stalled"
    notifier._finish_sending()
    assert hook.received.empty()


def test_an_address_that_does_not_answer_delays_neither_the_run_nor_the_exit(
    hook: Webhook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hook.may_answer.clear()
    monkeypatch.setattr(notifier, "EXIT_SECONDS", 0.05)
    begun = time.monotonic()
    with record_run(RunFolder.create(tmp_path, "a", "b"), lambda: None):
        pass
    notifier._finish_sending()
    assert time.monotonic() - begun < 5
    assert "a notification was not sent before the exit" in capfd.readouterr().err


@pytest.mark.parametrize(("status", "problem"), [(403, "it answers 403"), (302, "it answers 302")])
def test_an_error_is_one_line_without_the_secret(
    hook: Webhook, capfd: pytest.CaptureFixture[str], status: int, problem: str
) -> None:
    hook.status = status
    notifier.send_in_thread(notifications.load_notifications(), {"event": "test", "text": "a"})
    notifier._finish_sending()
    error = capfd.readouterr().err
    assert error == f"fmnist-tui: not told http://127.0.0.1:{hook.port}/…: {problem}\n"
    # A redirection is not followed: nobody else gets the message.
    assert hook.received.qsize() == 1
