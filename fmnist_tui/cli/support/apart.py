"""A training in several processes, started by torchrun in the background, and followed here.

It is followed as if it were done here: the same lines and bars, the same signals, the same summary.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from fmnist_tui.cli.support import console, run_plan
from fmnist_tui.cli.support.detached import STOP_SECONDS, train_command
from fmnist_tui.cli.support.follow import (
    exit_immediately,
    exit_status,
    format_stopping,
    handle_signals,
)
from fmnist_tui.cli.support.progress import ProgressPart
from fmnist_tui.cli.support.run_plan import CompletedStep
from fmnist_tui.cli.support.training_view import TrainingView, choose_view
from fmnist_tui.config.plans import Plan
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.events import FINISHED, RunEnded
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import POLL_SECONDS, DetachedTraining, Launch
from fmnist_tui.runs.jsonl_reader import EventReader, replay
from fmnist_tui.runs.log import send_command
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


def train_apart(
    args: argparse.Namespace,
    resumed: RunFolder | None,
    parent: RunFolder | None,
    plan: Plan,
    launch: Launch,
) -> int:
    """Do what `train` was asked to do in processes of their own, and follow them to the end."""
    state = replay(resumed.events) if resumed is not None else RunState()
    offset = resumed.events.stat().st_size if resumed is not None else 0
    command = train_command(args, resumed, parent)
    training = DetachedTraining(command.words, command.runs_dir, resumed, launch)
    follower = _Follower(training, state, offset)
    with handle_signals(follower.stop, follower.quit_now) as received:
        try:
            return run_plan.print_steps(follower.steps(plan, received), plan, args)
        finally:
            follower.await_end()
            training.close()


class _Follower:
    """Follows the runs of the processes, one after another."""

    def __init__(self, training: DetachedTraining, state: RunState, offset: int) -> None:
        self._training, self._state, self._offset = training, state, offset
        self._view: TrainingView | None = None
        self._folder: RunFolder | None = None
        self._has_begun = False

    def stop(self, name: str) -> None:
        """Have the run saved and ended; before it has begun, end the processes."""
        self._notify(format_stopping(name, "saving", "quit without saving"))
        if self._folder is None:
            self._training.stop()
            return
        try:
            send_command(self._folder, Stop(time.time(), name))
        except UserError as error:
            self._notify(str(error))

    def quit_now(self, number: int) -> NoReturn:
        # The signal may have interrupted a write to the same stream: RuntimeError.
        with suppress(RuntimeError):
            if self._view is not None:
                self._view.close()
        started = self._state.started
        with suppress(ProcessLookupError):
            # The process that writes the record says why it has no end; torchrun ends the others.
            os.kill(
                started.pid if self._folder and started else self._training.process, signal.SIGQUIT
            )
        exit_immediately(number)

    def _notify(self, message: str) -> None:
        (self._view.show_notice if self._view is not None else console.note)(message)

    def steps(self, plan: Plan, received: list[int]) -> Iterator[CompletedStep]:
        """Each step as it ends, up to the first that does not finish."""
        count = max(1, len(plan.steps))
        for number in range(len(plan.runs), count):
            name = plan.steps[number].name if plan.steps else ""
            part = ProgressPart(number, count)
            if heading := replace(plan, runs=(Path(),) * number).heading:
                console.note(f"{plan.recipe}, {heading}")
            with choose_view(part) as self._view:
                step = self._follow(name, received)
            self._view = None
            yield step
            if step.folder is None or step.status or step.state.end_reason != FINISHED:
                return
            self._folder, self._state, self._offset = None, RunState(), 0

    def _follow(self, name: str, received: list[int]) -> CompletedStep:
        state = self._state
        state.expect_session()

        def on_line(line: str) -> None:
            # Later the processes print what the view has shown of the runs before.
            if not received and not self._has_begun:
                self._notify(line)

        try:
            folder = self._training.await_run(lambda: False, on_line)
        except UserError:
            if received:
                return CompletedStep(name, state, None, exit_status(received))
            raise
        assert folder is not None
        self._folder, self._has_begun = folder, True
        reader, has_ended = EventReader(folder.events, self._offset), False
        while not has_ended:
            # Looked at first: what was written before the processes ended is read below.
            is_alive = self._training.is_alive
            for event in reader.read_all():
                state.apply(event)
                if self._view is not None:
                    self._view.on_event(event, state)
                has_ended = has_ended or isinstance(event, RunEnded)
            if not is_alive and not has_ended:
                error = UserError(f"its processes have ended; their output is in {self._output}")
                return CompletedStep(name, state, folder, exit_status(received), error)
            time.sleep(POLL_SECONDS)
        return CompletedStep(name, state, folder, exit_status(received))

    @property
    def _output(self) -> str:
        return safe_text(self._training.output.path)

    def await_end(self) -> None:
        """Wait for the end of the processes: until then the run is in use."""
        deadline = time.monotonic() + STOP_SECONDS
        while self._training.is_alive and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
