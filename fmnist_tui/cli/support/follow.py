"""Following a training in a command: its events go to a view, signals go to the training."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from fmnist_tui.cli.support.training_view import TrainingView
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.events import FAILED
from fmnist_tui.protocol.run_state import RunState

POLL_SECONDS = 0.1
# torchrun kills its processes 30 s after the signal that ends them.
END_SECONDS = 20.0
NO_ANSWER = "another process of the run has ended, or does not answer"
# With the names that a run records; schedulers send SIGUSR1 and SIGUSR2 before a time limit.
SIGNALS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP",
    signal.SIGUSR1: "SIGUSR1",
    signal.SIGUSR2: "SIGUSR2",
    signal.SIGQUIT: "SIGQUIT",
}


def follow_training(training: Training, view: TrainingView, state: RunState) -> int:
    """Show a training until it has ended, and apply its events to `state`. The exit status is 0,
    or that of a signal."""

    def stop(name: str) -> None:
        training.stop(name)
        view.show_notice(format_stopping(name, "saving", "quit without saving"))

    def quit_now(number: int) -> NoReturn:
        # The signal may have interrupted a write to the same stream: RuntimeError.
        with suppress(RuntimeError):
            view.close()
        training.record_end(why_abandoned(number), state.step, state.epochs_done)
        exit_immediately(number)

    with handle_signals(stop, quit_now) as received, view:
        deadline = EndDeadline(received)
        while True:
            if deadline.has_passed and state.started is not None and state.started.processes > 1:
                training.record_end(NO_ANSWER, state.step, state.epochs_done, FAILED)
                exit_immediately(received[0])
            has_ended = training.wait(POLL_SECONDS)
            while training.load_steps:
                view.on_load_step(training.load_steps.popleft())
            while training.events:
                event = training.events.popleft()
                state.apply(event)
                view.on_event(event, state)
            if has_ended and not training.events:
                break
    return exit_status(received)


class EndDeadline:
    """How long one of several processes may take to end after the first of these signals: it may
    wait for another one that is gone."""

    def __init__(self, received: Sequence[int]) -> None:
        self._received, self._deadline = received, math.inf

    @property
    def has_passed(self) -> bool:
        now = time.monotonic()
        if self._received:
            self._deadline = min(self._deadline, now + END_SECONDS)
        return now > self._deadline


def format_stopping(name: str, doing: str, otherwise: str) -> str:
    """What is being done after this signal, and what a second one would do to whoever typed it."""
    is_typed = name == SIGNALS[signal.SIGINT]
    return f"{doing}; press Ctrl-C again to {otherwise}" if is_typed else f"{name}: {doing}"


def exit_immediately(number: int) -> NoReturn:
    """End the process as this signal does, without waiting for any thread."""
    with suppress(RuntimeError):
        sys.stderr.flush()
    os._exit(128 + number)


def why_abandoned(number: int) -> str:
    """Why a run was ended without saving, for its record."""
    return "Ctrl-C, twice" if number == signal.SIGINT else SIGNALS[signal.Signals(number)]


def exit_status(received: Sequence[int]) -> int:
    """The exit status after these signals: 0 for none."""
    return 128 + received[0] if received else 0


@contextmanager
def handle_signals(
    on_end: Callable[[str], None], on_end_now: Callable[[int], None]
) -> Iterator[list[int]]:
    """Collect the signals that ask for an end. `on_end` is called with the signal's name, in a
    thread; a second Ctrl-C, or SIGQUIT, calls `on_end_now` at once with its number. After a
    signal, Ctrl-C stays ignored on leaving: closing the interpreter must not change the exit
    status."""
    received: list[int] = []
    threads: list[threading.Thread] = []

    def handle(number: int, _: FrameType | None) -> None:
        if number == signal.SIGQUIT or (received and number == signal.SIGINT):
            on_end_now(number)
        received.append(number)
        # A handler must not print: it may interrupt a line that is being written.
        threads.append(threading.Thread(target=on_end, args=(SIGNALS[signal.Signals(number)],)))
        threads[-1].start()

    handled = set(SIGNALS)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        # nohup ignores SIGHUP for the command to outlive its terminal.
        handled.remove(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in handled}
    try:
        yield received
    finally:
        for thread in threads:
            thread.join()
        for number, handler in before.items():
            ignore = received and number == signal.SIGINT
            signal.signal(number, signal.SIG_IGN if ignore else handler)


@contextmanager
def defer_signals() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM, for the block to look at when it is ready."""
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda caught, _: received.append(caught))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
