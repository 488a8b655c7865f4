"""Training as one of several processes that torchrun has started."""

from __future__ import annotations

import argparse

from fmnist_tui.cli.support import options
from fmnist_tui.cli.support.follow import (
    POLL_SECONDS,
    EndDeadline,
    exit_immediately,
    handle_signals,
)


def take_part(args: argparse.Namespace) -> int:
    """Take part in what the first process trains; the exit status is 1 after a failure. Nothing is
    printed: what fails is said in the run's record."""
    with options.open_session(args) as session:
        training = session.take_part()
        with handle_signals(training.stop, exit_immediately) as received:
            deadline = EndDeadline(received)
            while not training.wait(POLL_SECONDS):
                if deadline.has_passed:
                    exit_immediately(received[0])
        if training.error is None:
            return 0
        if args.debug:
            raise training.error
        return 1
