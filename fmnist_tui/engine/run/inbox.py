"""How a running training is told things, from other threads and other processes.

The loop calls `take()` between steps. It costs a look at a deque, and ten times a
second a look at the run's `commands.jsonl`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from fmnist_tui.protocol.commands import Command
from fmnist_tui.util.errors import UserError


class Cancelled(UserError):  # noqa: N818 - nothing is wrong
    """The work is not wanted any more; whoever does it tidies up and ends."""


class Inbox:
    """A run's inbox. `send` may be called from any thread and any signal handler."""

    def __init__(self) -> None:
        self._inbox: deque[Command] = deque()
        self._arrived = threading.Event()
        self._poll: Callable[[], Iterable[Command]] = lambda: ()

    def send(self, command: Command) -> None:
        self._inbox.append(command)
        self._arrived.set()

    def listen(self, poll: Callable[[], Iterable[Command]]) -> None:
        """Also take what `poll` finds, each time the loop looks."""
        self._poll = poll

    def take(self) -> list[Command]:
        """Every command that has arrived, oldest first."""
        commands = list(self._poll())
        if self._arrived.is_set():
            self._arrived.clear()
            while self._inbox:
                commands.append(self._inbox.popleft())
        return commands

    def wait(self, seconds: float) -> None:
        """Sleep until a command arrives in this process, or for so long."""
        self._arrived.wait(seconds)
