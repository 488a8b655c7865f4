"""Two signals in quick succession to a dashboard: the second meets it while it acts on the first.

What single signals do in every state, with and without a terminal, is the concern "terminal loss".
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.serving import LONG
from tests.e2e.support import events, wait_for
from tests.e2e.terminal import Terminal, dashboard_env
from tests.soak.concern import Concern, Tally, spread

ENDING = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGQUIT,
)
STOPPING = (signal.SIGTSTP, signal.SIGCONT)
# Between the two signals: while the first is handled, while the screen closes, while it saves.
PAUSES = (0.0, 0.02, 0.1, 0.2, 0.3)
AT_ONCE = 4
EXIT_SECONDS = 45.0


@dataclass(frozen=True)
class Case:
    first: signal.Signals
    second: signal.Signals
    pause: float
    trains: bool

    def __str__(self) -> str:
        state = "training" if self.trains else "idle"
        return f"{self.first.name} and {self.second.name} after {self.pause} s, {state}"

    @property
    def both(self) -> set[signal.Signals]:
        return {self.first, self.second}


CASES = [
    Case(first, second, PAUSES[number % len(PAUSES)], trains)
    for number, (trains, first, second) in enumerate(
        itertools.product((True, False), (*ENDING, *STOPPING), (*ENDING, *STOPPING))
    )
]
SHORT = [
    Case(signal.SIGHUP, signal.SIGCONT, 0.1, trains=True),
    Case(signal.SIGTERM, signal.SIGTERM, 0.2, trains=True),
    Case(signal.SIGTSTP, signal.SIGTERM, 0.0, trains=False),
    Case(signal.SIGCONT, signal.SIGQUIT, 0.02, trains=False),
]


def run(tally: Tally, tries: int) -> None:
    cases = SHORT if tries == len(SHORT) else spread(CASES, tries)

    def try_case(number: int) -> None:
        folder = tally.folder / str(number)
        (folder / "runs").mkdir(parents=True)
        with tally.trial(str(cases[number])):
            _try(folder, cases[number])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(try_case, range(len(cases))))


def _try(folder: Path, case: Case) -> None:
    terminal = Terminal(env={**dashboard_env(folder), **LONG})
    try:
        with terminal:
            terminal.until("6 Runs")
            if case.trains:
                terminal.press("2")
                terminal.until("Next run")
                terminal.press("space")
                terminal.until(r"step [\d,]{2,}/")
            with _continued(terminal.pid):
                _send(terminal, case)
                status = terminal.wait_for_exit(EXIT_SECONDS)
            assert status in _possible(case), f"status {status}"
            assert terminal.is_restored(), "the terminal was not restored"
        if case.trains:
            _check_run(folder, case)
    finally:
        for run in (folder / "runs").glob("*/events.jsonl"):
            for process in _processes(run.parent):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)


def _send(terminal: Terminal, case: Case) -> None:
    """Send both signals, then what ends a dashboard that neither has ended."""
    with suppress(ProcessLookupError):
        os.kill(terminal.pid, case.first)
        time.sleep(case.pause)
        os.kill(terminal.pid, case.second)
    if not case.both & set(ENDING):
        terminal.press("q")
        if case.trains:
            terminal.until("What should happen to it")
            terminal.press("s")


@contextmanager
def _continued(process: int) -> Iterator[None]:
    """In this context, a process that is stopped is continued, as by `fg`."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.1):
            if _is_stopped(process):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _is_stopped(process: int) -> bool:
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2]
        return fields.startswith("T")
    return False


def _possible(case: Case) -> set[int]:
    """The exit statuses of such a dashboard: that of a signal that asked for the end."""
    return {128 + number for number in case.both & set(ENDING)} or {0}


def _check_run(folder: Path, case: Case) -> None:
    (record,) = (folder / "runs").glob("*/events.jsonl")
    last = [event for event in events(record.parent) if event["is"] == "RunEnded"]
    if not last:
        assert signal.SIGQUIT in case.both, "the run was not ended"
        return
    assert last[0]["reason"] in ("stopped", "detached"), last[0]
    if last[0]["reason"] == "detached" and signal.SIGQUIT not in case.both:
        assert signal.SIGHUP in case.both, "handed over without being asked to"
        wait_for(lambda: len(_processes(record.parent)) == 2, EXIT_SECONDS)
    elif "Ctrl-C" not in last[0]["message"]:
        assert list(record.parent.glob("checkpoints/last-*.pt")), "nothing was saved"


def _processes(run: Path) -> list[int]:
    return [event["pid"] for event in events(run) if event["is"] == "RunStarted"]


CONCERN = Concern("signals in pairs", run, short=len(SHORT), full=len(CASES))
