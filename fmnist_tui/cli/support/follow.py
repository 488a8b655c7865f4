"""Following a training in a command: what it says goes to a view, signals go to it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from fmnist_tui.cli.support.training_view import View
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.run_state import RunState

LOOK_SECONDS = 0.1
SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


def follow(training: Training, view: View) -> tuple[RunState, int]:
    """Show a training until it has ended; the status is 0, or what a signal asks for."""
    state = RunState()

    def ask(name: str) -> None:
        training.stop(name)
        view.notice("saving; Ctrl-C again ends at once, without saving")

    def end() -> NoReturn:
        # Whatever was being written when the signal came stays half said.
        with suppress(RuntimeError):
            view.close()
        training.abandon("Ctrl-C, twice", state.step, state.epochs_done)
        with suppress(RuntimeError):
            sys.stderr.flush()
        os._exit(130)

    with heeding(ask, end) as caught, view:
        while True:
            ended = training.wait(LOOK_SECONDS)
            while training.steps:
                view.step(training.steps.popleft())
            while training.events:
                event = training.events.popleft()
                state.apply(event)
                view.event(event, state)
            if ended and not training.events:
                break
    return state, status(caught)


def status(caught: Sequence[int]) -> int:
    """The exit status by the signals that came: 0 for none."""
    return 128 + caught[0] if caught else 0


@contextmanager
def heeding(ask: Callable[[str], None], end: Callable[[], None]) -> Iterator[list[int]]:
    """The first signal asks (by its name, in a thread) for an orderly end; a second Ctrl-C
    does not wait for that.

    Once the work has ended on a signal, another Ctrl-C is ignored: what is left takes a
    moment, and it must not change the status, not even while the interpreter closes."""
    caught: list[int] = []
    asking: list[threading.Thread] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if caught and number == signal.SIGINT:
            end()
        caught.append(number)
        # A handler must not write: it may have come in the middle of a line being written.
        asking.append(threading.Thread(target=ask, args=(SIGNALS[signal.Signals(number)],)))
        asking[-1].start()

    # Whoever started this with SIGHUP ignored, as nohup does, wants it to outlive a terminal.
    heeded = [number for number in SIGNALS if number != signal.SIGHUP or not _ignored(number)]
    before = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield caught
    finally:
        for thread in asking:
            thread.join()
        for number, handler in before.items():
            ignored = caught and number == signal.SIGINT
            signal.signal(number, signal.SIG_IGN if ignored else handler)


def _ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) == signal.SIG_IGN
