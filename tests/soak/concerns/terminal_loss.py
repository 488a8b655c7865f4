"""A terminal that is lost, stopped or hung, and every signal that ends a program."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.e2e.support import wait_for
from tests.soak.concern import Concern, Tally
from tests.soak.terminal_loss import processes, sshd
from tests.soak.terminal_loss.lines import PTY, SSH, TMUX, Line
from tests.soak.terminal_loss.sshd import Sshd, run_sshd
from tests.soak.terminal_loss.works import (
    ENSEMBLE,
    EVALUATING,
    IDLE,
    LAST_SECONDS,
    SAVING,
    STATES,
    SWEEPING,
    TRAINING,
    Work,
    train_members,
)

# How many programs are lost at the same time.
AT_ONCE = 5
EXIT_SECONDS = 60.0
# A waiting program uses less of a CPU than this.
IDLE_SHARE = 0.5
IDLE_SECONDS = 1.0
# A step that is held goes on so long after the loss, which finds it held.
HOLD_AFTER_LOSS = 0.3
DELAYS = (0.0, 0.05, 0.1, 0.2, 0.3)
SIGNALS = (
    signal.SIGHUP,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
STALLED, LONG_STALLED = 3.0, 60.0


@dataclass(frozen=True)
class Loss:
    """What happens to a terminal. `number` is the signal that the program then has, 0 if it
    stays; a `lost` terminal shows nothing any more."""

    name: str
    kind: str
    happen: Callable[[Line], None]
    number: int = 0
    is_lost: bool = False
    # It was not read any more when the program ended.
    is_stalled: bool = False


@dataclass(frozen=True)
class Case:
    loss: Loss
    state: str
    is_command: bool = False
    is_busy: bool = False

    def __str__(self) -> str:
        program = " (command)" if self.is_command else ""
        where = ", busy" if self.is_busy else ""
        return f"{self.loss.name} in {self.loss.kind}, {self.state}{program}{where}"


# -- losses --------------------------------------------------------------------------------


def close(line: Line) -> None:
    line.terminal.hang_up()


def hang_up_and_close(seconds: float) -> Loss:
    def happen(line: Line) -> None:
        line.signal(signal.SIGHUP)
        time.sleep(seconds)
        line.terminal.hang_up()

    return Loss(f"HUP and closed after {seconds} s", PTY, happen, signal.SIGHUP, is_lost=True)


def send(number: signal.Signals, kind: str = PTY) -> Loss:
    return Loss(number.name, kind, lambda line: line.signal(number), number)


def stop_and_go_on(line: Line) -> None:
    line.signal(signal.SIGTSTP)
    with suppress(AssertionError):  # a command whose session has no shell ignores it
        wait_for(lambda: psutil.Process(line.pid).status() == psutil.STATUS_STOPPED, 1)
    line.signal(signal.SIGCONT)


def hang(line: Line, seconds: float) -> None:
    """Read nothing more of what the program draws, and have it draw much."""
    line.terminal.stop_reading()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for columns in (90, 100):
            line.terminal.resize(columns, 30)
            time.sleep(0.05)


def hang_then(number: signal.Signals, seconds: float = STALLED) -> Loss:
    def happen(line: Line) -> None:
        hang(line, seconds)
        line.signal(number)

    name = f"unread for {seconds:.0f} s, then {number.name}"
    return Loss(name, PTY, happen, number, is_stalled=True)


def kill_client(line: Line) -> None:
    line.terminal.process.kill()


def kill_server(line: Line) -> None:
    for pid in line.server_processes:
        os.kill(pid, signal.SIGKILL)


def stop_client(line: Line) -> None:
    line.terminal.process.send_signal(signal.SIGSTOP)
    time.sleep(STALLED)
    line.terminal.process.send_signal(signal.SIGCONT)


CLOSED = Loss("closed", PTY, close, signal.SIGHUP, is_lost=True)
CONT = Loss("CONT", PTY, lambda line: line.signal(signal.SIGCONT))
TSTP = Loss("TSTP and CONT", PTY, stop_and_go_on)
CLIENT_KILLED = Loss("client killed", SSH, kill_client, signal.SIGHUP, is_lost=True)
SERVER_KILLED = Loss("sshd's child killed", SSH, kill_server, signal.SIGHUP, is_lost=True)
CLIENT_STOPPED = Loss("client stopped for a while", SSH, stop_client)
SESSION_KILLED = Loss(
    "kill-session", TMUX, lambda line: line.tmux("kill-session"), signal.SIGHUP, is_lost=True
)
TMUX_KILLED = Loss(
    "kill-server", TMUX, lambda line: line.tmux("kill-server"), signal.SIGHUP, is_lost=True
)


def _all_cases() -> Iterator[Case]:
    """Every loss in every state, a third of them of a command; half of them on a busy machine."""
    kinds = (PTY, SSH, TMUX)
    for column, state in enumerate(STATES):
        losses = [
            CLOSED,
            hang_up_and_close(DELAYS[column % len(DELAYS)]),
            CLIENT_KILLED,
            SERVER_KILLED,
            CLIENT_STOPPED,
            hang_then(SIGNALS[column], LONG_STALLED if column in (1, 4) else STALLED),
            *(send(number, kinds[(column + row) % 3]) for row, number in enumerate(SIGNALS)),
            CONT,
            TSTP,
            SESSION_KILLED,
            TMUX_KILLED,
        ]
        for row, loss in enumerate(losses):
            is_command = state != IDLE and (row + column) % 3 == 2
            yield Case(loss, state, is_command, is_busy=(row + column // 2) % 2 == 1)
    # The ones that lost most: the end of the terminal while the run is handed over.
    for seconds in DELAYS[1:]:
        yield Case(hang_up_and_close(seconds), TRAINING, is_busy=True)


CASES = tuple(_all_cases())
SHORT = (
    Case(hang_up_and_close(0.05), TRAINING),
    Case(CLIENT_KILLED, IDLE),
    Case(hang_then(signal.SIGTERM, 1.0), TRAINING),
    Case(SESSION_KILLED, SAVING, is_command=True),
    Case(send(signal.SIGUSR1), EVALUATING),
)


# -- trials --------------------------------------------------------------------------------


class Trials:
    """Trials that share a server for ssh and two trained runs."""

    def __init__(self, folder: Path, server: Sshd | None) -> None:
        self._folder, self._server = folder, server
        self._members = train_members(folder / "members")

    def try_case(self, number: int, case: Case) -> None:
        """Lose one terminal; an AssertionError says what else was lost."""
        work = Work(self._folder / f"{number:03}", case.state, case.is_command, self._members)
        loss = case.loss
        with Line(loss.kind, work.words, work.env, work.folder, self._server) as line:
            try:
                pid = line.pid
                work.reach(line)
                loss.happen(line)
                if not loss.number:
                    self._check_stays(case, line, work)
                else:
                    time.sleep(HOLD_AFTER_LOSS)
                    work.go_on()
                status = line.wait_for_exit(EXIT_SECONDS)
                if loss.number:
                    assert status == 128 + loss.number, f"the exit status is {status}"
                if not loss.is_lost and not loss.is_stalled:
                    line.terminal.wait_for_exit()
                    assert line.terminal.is_restored(), "the terminal is not restored"
                work.check_left(loss.number)
                wait_for(lambda: not self._processes_left(work, pid), LAST_SECONDS)
            finally:
                for each in processes.started_with(work.folder):
                    with suppress(ProcessLookupError):
                        os.kill(each, signal.SIGKILL)

    @staticmethod
    def _processes_left(work: Work, pid: int) -> set[int]:
        return {p for p in (pid, *processes.started_with(work.folder)) if processes.is_alive(p)}

    def _check_stays(self, case: Case, line: Line, work: Work) -> None:
        """The program is still usable; quit it."""
        if case.state == IDLE:
            share = processes.cpu_share(line.pid, IDLE_SECONDS)
            assert share < IDLE_SHARE, f"it uses {share:.0%} of a CPU while it waits"
        assert line.is_alive(), "it has ended"
        work.go_on()
        if case.is_command:
            if case.state not in (EVALUATING, ENSEMBLE):
                line.terminal.press("ctrl+c")
            return
        if case.state == EVALUATING:
            line.terminal.until("finished")
        line.terminal.press("q")
        if case.state in (TRAINING, SAVING):
            line.terminal.until("What should happen to it")
            line.terminal.press("s")
        elif case.state in (SWEEPING, ENSEMBLE):
            line.terminal.until("What should happen to them")
            line.terminal.press("g")


def run(tally: Tally, tries: int) -> None:
    missing = [name for name in ("tmux", *sshd.PROGRAMS) if sshd.find_program(name) is None]
    for name in missing:
        tally.skip(f"needs the program {name}")
    cases = [
        case
        for case in (CASES if tries >= len(CASES) else SHORT[:tries])
        if case.loss.kind == PTY or not missing
    ]
    with ExitStack() as stack:
        server = None if missing else stack.enter_context(run_sshd(tally.folder / "sshd"))
        trials = Trials(tally.folder, server)
        for is_busy in (False, True):
            group = [(n, case) for n, case in enumerate(cases) if case.is_busy == is_busy]
            if not group:
                continue
            with ThreadPoolExecutor(AT_ONCE) as pool, ExitStack() as loops:
                if is_busy:
                    loops.enter_context(processes.busy_loops())
                tried = [(case, pool.submit(trials.try_case, n, case)) for n, case in group]
                for case, result in tried:
                    with tally.trial(str(case)):
                        result.result()


CONCERN = Concern("terminal loss", run, short=len(SHORT), full=len(CASES))
