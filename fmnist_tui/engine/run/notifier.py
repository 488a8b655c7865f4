"""Tells the address that the user has named that a run has ended, has failed or stalls.

A message is sent in a thread of its own with a time limit. Neither a run nor the end of the program
waits for it, but for a few seconds at the exit. Imports no torch.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from fmnist_tui.config.notifications import NTFY_PREFIX, Notifications, load_notifications
from fmnist_tui.protocol.events import DETACHED, FAILED, Event
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.protocol.validation import find_validation
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import format_error
from fmnist_tui.util.formatting import format_duration, format_percent
from fmnist_tui.util.text import safe_text

Emit = Callable[[Event], None]
STALLED = "stalled"
# How long the address may take to answer, and how long the exit of the program waits for it.
SEND_SECONDS, EXIT_SECONDS = 10.0, 4.0

_in_flight: set[threading.Thread] = set()


class _NoRedirect(HTTPRedirectHandler):
    """What the user has named gets the message, and nobody else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class RunNotifier:
    """Follows the events of one run in the process that makes it, and tells of its end."""

    def __init__(self, folder: RunFolder, settings: Notifications) -> None:
        self._folder, self._settings = folder, settings
        self._state = RunState()
        self._changed_at = time.monotonic()
        self._has_stalled = False
        self._has_ended = threading.Event()

    def on_event(self, event: Event) -> None:
        """Take an event; called by the thread that makes the run."""
        self._state.apply(event)
        self._changed_at, self._has_stalled = time.monotonic(), False
        end = self._state.end
        if end is not None and not self._has_ended.is_set():
            self._has_ended.set()
            if end.reason != DETACHED:
                self._send(end.reason, end.message)

    def watch(self) -> None:
        """Look now and then whether the run goes on, until it has ended."""
        limit = self._settings.stall_seconds
        while limit and not self._has_ended.wait(min(5.0, limit / 4)):
            self.check(time.monotonic())

    def check(self, now: float) -> None:
        """Tell that the run stalls, once each time; a paused one does not."""
        still = now - self._changed_at
        is_known = self._has_stalled or self._state.paused
        if still > self._settings.stall_seconds and not is_known:
            self._has_stalled = True
            self._send(STALLED, f"no progress for {format_duration(still, units=True)}")

    def close(self) -> None:
        self._has_ended.set()

    def _send(self, what: str, why: str) -> None:
        send_in_thread(self._settings, build_message(self._folder, self._state, what, why))


@contextlib.contextmanager
def notifying(folder: RunFolder, emit: Emit) -> Iterator[Emit]:
    """In this block, what is emitted also goes to the notifier, if the user has named an
    address."""
    settings = load_notifications()
    if settings.problem:
        _report(settings.problem)
    if not settings.url:
        yield emit
        return
    notifier = RunNotifier(folder, settings)
    threading.Thread(target=notifier.watch, name="stalls", daemon=True).start()

    def emit_and_notify(event: Event) -> None:
        emit(event)
        notifier.on_event(event)

    try:
        yield emit_and_notify
    finally:
        notifier.close()


def build_message(folder: RunFolder, state: RunState, what: str, why: str = "") -> dict[str, Any]:
    """What is sent: of the run its name, what it is, and its figures."""
    started, val, test = state.started, find_validation(state), state.evaluation("test")
    recipe = started.recipe if started is not None else ""
    figures = [
        f"{split} {format_percent(result.accuracy)}"
        for split, result in (("val", val), ("test", test))
        if result is not None
    ]
    parts = [f"{recipe} {folder.id} {what}".strip(), why, ", ".join(figures)]
    if started is not None:
        parts.append(f"epoch {state.epochs_done} of {started.epochs}")
    return {
        "program": "fmnist-tui",
        "event": what,
        "run": folder.name,
        "recipe": recipe,
        "dataset": started.dataset if started is not None else "",
        "host": socket.gethostname(),
        "val_accuracy": val.accuracy if val is not None else None,
        "test_accuracy": test.accuracy if test is not None else None,
        "text": safe_text(" · ".join(filter(None, parts)), 400),
    }


def send_in_thread(settings: Notifications, message: dict[str, Any]) -> None:
    """Send a message without waiting; a line says if that fails."""

    def work() -> None:
        try:
            if problem := send(settings, message):
                _report(f"not told {settings.place}: {problem}")
        finally:
            _in_flight.discard(threading.current_thread())

    thread = threading.Thread(target=work, name="notification", daemon=True)
    _in_flight.add(thread)
    thread.start()


def send(settings: Notifications, message: dict[str, Any]) -> str:
    """Send a message; returns why that failed in a few words, or an empty string."""
    try:
        with build_opener(_NoRedirect).open(_request(settings, message), timeout=SEND_SECONDS):
            return ""
    except HTTPError as error:
        with error:
            return f"it answers {error.code}"
    except URLError as error:
        reason = error.reason
        return format_error(reason) if isinstance(reason, OSError) else safe_text(reason, 80)
    except (OSError, HTTPException, ValueError) as error:
        return safe_text(f"{type(error).__name__}", 80)


def _request(settings: Notifications, message: dict[str, Any]) -> Request:
    """ntfy gets the text, everything else JSON; `text` and `content` are what chats show."""
    parts = urlsplit(settings.url.removeprefix(NTFY_PREFIX))
    host = parts.netloc.rpartition("@")[2]
    headers = {"User-Agent": "fmnist-tui"}
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    if settings.is_ntfy:
        body = message["text"].encode()
        urgent = message["event"] in (FAILED, STALLED)
        headers |= {"Title": "fmnist-tui", "Priority": "high" if urgent else "default"}
    else:
        body = json.dumps({**message, "content": message["text"]}).encode()
        headers["Content-Type"] = "application/json"
    url = urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
    return Request(url, body, headers, method="POST")


def _report(line: str) -> None:
    # Not `sys.stderr`, which a dashboard replaces: from the descriptor a line gets into its log.
    with contextlib.suppress(OSError):
        os.write(2, f"fmnist-tui: {safe_text(line)}\n".encode())


@atexit.register
def _finish_sending() -> None:
    deadline = time.monotonic() + EXIT_SECONDS
    for thread in list(_in_flight):
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            _report("a notification was not sent before the exit")
            return
