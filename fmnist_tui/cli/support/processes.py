"""Training as one of several processes that torchrun has started."""

from __future__ import annotations

import argparse
import time

from fmnist_tui.cli.support import options
from fmnist_tui.cli.support.follow import exit_immediately, handle_signals

POLL_SECONDS = 0.1
# torchrun kills its processes 30 s after the signal that ends them.
END_SECONDS = 20.0


def take_part(args: argparse.Namespace) -> int:
    """Take part in what the first process trains; the exit status is 1 after a failure. Nothing is
    printed: what fails is said in the run's record."""
    with options.open_session(args) as session:
        training = session.take_part()
        with handle_signals(training.stop, exit_immediately) as received:
            deadline = None
            while not training.wait(POLL_SECONDS):
                if received and deadline is None:
                    deadline = time.monotonic() + END_SECONDS
                if deadline is not None and time.monotonic() > deadline:
                    # It waits for another process that is gone.
                    exit_immediately(received[0])
        if training.error is None:
            return 0
        if args.debug:
            raise training.error
        return 1
