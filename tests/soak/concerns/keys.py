"""Storms of keys, bytes of no encoding and resizes, in a real terminal while a training runs."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.support import Home, events, wait_for
from tests.e2e.terminal import KEYS, Terminal, dashboard_env
from tests.soak.concern import Concern, Tally

# Of one storm; a single one, as in `make test`, is shorter.
KEYS_SENT, RESIZES = 1_000, 10
SHORT = 200, 5
# Without the keys that quit (q, d, ctrl+c, ctrl+q) and the one that stops the process (ctrl+z).
LETTERS = "1234567abcefghijklmnoprstuvwxyzCDEFLMRSTW/[]?,.+-=0!<> \t\r\x7f"
SEQUENCES = [
    *(KEYS[name] for name in ("up", "down", "left", "right", "pagedown", "pageup", "ctrl+p")),
    *("\x1b[H", "\x1b[F", "\x1b[3~", "\x1b[Z", "\x1b[1;2C", "\x1b[1;5A", "\x1bOP", "\x1b[15~"),
]
# Answers of terminals, old mouse reports, sequences without an end, bytes of no encoding: many
# have letters that quit.
HOSTILE = [
    *(b"\xff", b"\xfe\xff", b"\xc3", b"caf\xe9", b"\xed\xa0\x80", b"\x80", b"\0\0"),
    *(b"\x1b[M \xff\xff", b"\x1b[M#!\x71", b"\x1b[32;12;12M", b"\x1b[?62;22c", b"\x1b[0n"),
    *(b"\x1b]11;rgb:qq/dd/qq\x1b\\", b"\x1b]52;c;cXFx\x07", b"\x1bP1$rq\x1b\\", b"\x1b[?1u"),
    *(b"\x1b[" + b"9;" * 200 + b"q", b"\x1b[99999999999u", b"\x1b[55296u", b"\x1b[200~q\xff\xe9\n"),
    *(b"\x1b[<0;9999999;9999999M", b"\x1b[48;0;0;0;0t", b"\x1b[48;60000;60000;0;0t"),
]
PASTES = ["/no/such/path", "q\nd\n", "\x1b[31mred", "caf\u00e9 \U0001f455", "x" * 4_000]
SIZES = [(1, 1), (2, 40), (40, 2), (20, 5), (80, 24), (120, 36), (200, 50), (300, 100)]
SETTINGS = {
    "FMNIST_TUI_DATASET": "sketches",
    "FMNIST_TUI_MODEL": "linear",
    "FMNIST_TUI_LIMIT": "500",
    "FMNIST_TUI_BATCH_SIZE": "64",
    "FMNIST_TUI_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "FMNIST_TUI_EPOCHS": "100000",
    "FMNIST_TUI_PATIENCE": "0",
}
ANSWERS = {"What should happen to it": "s", "What should happen to them": "e"}
# How long the program may take for what it has got.
CALM_SECONDS = 120.0


def run(tally: Tally, tries: int) -> None:
    for seed in range(tries):
        folder = tally.folder / str(seed)
        (folder / "runs").mkdir(parents=True)
        leave = "ctrl+c" if seed % 2 else "q"
        with tally.trial(f"storm {seed}, left by {leave}"), no_processes_stay(folder):
            storm(folder, seed, leave, *((KEYS_SENT, RESIZES) if tries > 1 else SHORT))


def storm(folder: Path, seed: int, leave: str, keys: int, resizes: int) -> None:
    home = Home(folder)
    env = {**dashboard_env(folder), **SETTINGS, "HOME": str(folder)}
    with Terminal(env=env) as terminal:
        terminal.until("2 Train")
        terminal.press("2")
        terminal.until("Next run")
        terminal.press("space")
        terminal.until(r"step [\d,]{2,}/")
        [record] = home.runs.glob("*/events.jsonl")
        for data, size in moves(random.Random(seed), keys, resizes):
            if size is not None:
                terminal.resize(*size)
            terminal.send(data)
            time.sleep(0.005)
            assert terminal.alive, f"it ended:\n{last_words(terminal)}"
        terminal.resize(120, 36)
        status = leave_by(terminal, leave)
        assert status == (130 if leave == "ctrl+c" else 0), (
            f"exit status {status}: {last_words(terminal)}"
        )
        assert terminal.is_restored(), "the terminal was not restored"
        assert b"Traceback" not in terminal.raw, "a traceback"
    for run in home.runs.glob("*/events.jsonl"):
        check_record(run.parent)
    if record.exists():
        check_resumable(home, record.parent)


def last_words(terminal: Terminal) -> str:
    """What the program has printed since the terminal was restored."""
    return bytes(terminal.raw).rpartition(b"\x1b[?1049l")[2].decode(errors="replace")


def moves(
    rng: random.Random, keys: int, resizes: int
) -> Iterator[tuple[bytes, tuple[int, int] | None]]:
    """What is sent, and for some keys a size of the terminal before it."""
    resized = set(rng.sample(range(keys), resizes))
    for number in range(keys):
        yield key(rng), rng.choice(SIZES) if number in resized else None


def key(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.60:
        return rng.choice(LETTERS).encode()
    if kind < 0.80:
        return rng.choice(SEQUENCES).encode()
    if kind < 0.85:
        return b"\x1b"
    if kind < 0.90:
        button, column, row = (
            rng.choice([0, 2, 32, 35, 64, 65]),
            rng.randint(1, 130),
            rng.randint(1, 40),
        )
        return f"\x1b[<{button};{column};{row}{rng.choice('Mm')}".encode()
    if kind < 0.92:
        return f"\x1b[200~{rng.choice(PASTES)}\x1b[201~".encode()
    return rng.choice(HOSTILE)


def leave_by(terminal: Terminal, leave: str) -> int:
    """Press the key, and the answers to what it asks, until the program has ended."""
    end = time.monotonic() + CALM_SECONDS
    while terminal.alive:
        screen = terminal.text()
        assert time.monotonic() < end, f"{leave} did not leave; the screen was:\n{screen}"
        if leave == "ctrl+c":
            terminal.press(leave)
        elif answer := next((ANSWERS[asked] for asked in ANSWERS if asked in screen), ""):
            terminal.press(answer)
        else:
            # Out of dialogs and fields, in which q is a letter.
            terminal.press("escape", pause=0.3)
            terminal.press("q")
        with suppress(AssertionError):
            wait_for(lambda: not terminal.alive, 2)
    return terminal.wait_for_exit()


def check_record(run: Path) -> None:
    """Whether the run's last session has an end."""
    kinds = [event["is"] for event in events(run)]
    ended = "RunEnded" in kinds[len(kinds) - kinds[::-1].index("RunStarted") :]
    assert ended, f"{run.name} has no end, but {kinds[-3:]}"


def check_resumable(home: Home, run: Path) -> None:
    """Resume the run until it has trained a step, and stop it."""
    last = max(event["step"] for event in events(run) if event["is"] == "CheckpointSaved")
    process = home.start("train", "--resume", run.name)

    def steps() -> list[int]:
        assert process.poll() is None, process.communicate()[1]
        return [e["step"] for e in events(run) if e["is"] == "Progress" and e["step"] > last]

    before = len(steps())
    try:
        wait_for(lambda: len(steps()) > before)
        process.send_signal(signal.SIGINT)
        assert process.wait(CALM_SECONDS) == 130
    finally:
        process.kill()


@contextmanager
def no_processes_stay(folder: Path) -> Iterator[None]:
    """Whatever happens within, end the processes that were started for this folder."""
    try:
        yield
    finally:
        for pid in processes_of(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes_of(folder: Path) -> list[int]:
    """The processes that were started, not forked, with their runs in this folder: jobs."""
    mark, found = f"FMNIST_TUI_RUNS={folder}/".encode(), []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            command = (environment.parent / "cmdline").read_bytes()
            if mark in environment.read_bytes() and b"fork_server" not in command:
                found.append(int(environment.parent.name))
    return found


CONCERN = Concern("keys", run, short=1, full=20)
