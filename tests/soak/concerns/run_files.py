"""The record of a run in any state: events, commands, settings, the notes about its checkpoints."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from functools import partial
from pathlib import Path

from fmnist_tui.cli.main import run as run_program
from fmnist_tui.protocol.commands import COMMANDS, Command, Pause, SetLearningRate, Stop
from fmnist_tui.report.collect import collect_facts
from fmnist_tui.runs.checkpoints import list_checkpoints
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import JsonlReader
from tests.e2e.support import QUICK, Home
from tests.soak.concern import Concern, Tally, spread
from tests.soak.hostile_files import (
    HostileFile,
    file_of,
    find_unsafe_lines,
    mutations,
    read_all,
    truncations,
)
from tests.soak.json_values import json_variants

# Seconds: the record is read six times.
READINGS = 3.0
EVENTS, COMMAND_FILE = "events.jsonl", "commands.jsonl"


def run(tally: Tally, tries: int) -> None:
    home = Home(tally.folder)
    done = home.run("train", *QUICK, "--epochs", "1")
    assert done.returncode == 0, done.stderr
    (source,) = home.runs.iterdir()
    files = [*_event_files(source), *_config_files(source), *_manifests(source)]
    commands = _command_files()
    total = len(files) + len(commands)
    read_all(
        tally, spread(files, -(-tries * len(files) // total)), partial(_show, source), READINGS
    )
    read_all(tally, spread(commands, -(-tries * len(commands) // total)), _read_commands)


def _show(source: Path, path: Path) -> None:
    """Make the file that of a copy of a run, then list, show and report it."""
    runs = path.parent / "runs"
    copy = runs / source.name
    shutil.copytree(source, copy)
    shutil.copy(path, next(copy.rglob(path.name), copy / path.name))
    _command("list", runs)
    _command("show", runs, str(copy))
    list_checkpoints(RunFolder(copy))
    collect_facts(RunFolder(copy), runs)


def _command(action: str, runs: Path, *words: str) -> None:
    for extra in ((), ("--json",)):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run_program(["runs", action, "--runs", str(runs), *words, *extra])
        said = err.getvalue()
        assert "--debug" not in said and "Traceback" not in said, said[-300:]
        assert status == 0 or "fmnist-tui: " in said, f"status {status}: {said[-300:]}"
        assert "\x1b[31m" not in out.getvalue() + said, "an escape sequence was passed on"
        if status == 0 and extra:
            json.loads(out.getvalue(), parse_constant=_refuse)


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def _event_files(source: Path) -> list[HostileFile]:
    """Each kind of event with one value replaced; mutations; lines without end or sense."""
    data = (source / EVENTS).read_bytes()
    lines = data.splitlines(keepends=True)
    numbers = {json.loads(line)["is"]: number for number, line in enumerate(lines)}
    files = [*mutations(EVENTS, EVENTS, data, 300), *truncations(EVENTS, EVENTS, data)]
    for kind, number in numbers.items():
        for what, line in json_variants(lines[number], 1):
            parts = [*lines[:number], line + b"\n", *lines[number + 1 :]]
            files.append(file_of(f"{kind}: {what}", EVENTS, b"".join(parts)))
    return files + _odd_lines(EVENTS, data)


def _odd_lines(name: str, data: bytes) -> list[HostileFile]:
    """Whole files of lines that are no messages, before and after good ones."""
    odd = {
        "a line of 100 MB": lambda: b'{"is": "Alert", "message": "' + b"a" * 100_000_000 + b'"}\n',
        "100 MB without a line": lambda: b"a" * 100_000_000,
        "a deep line": lambda: b"[" * 1_000_000 + b"\n",
        "a deep table": lambda: b'{"is": ' * 1_000_000 + b"\n",
        "50,000 empty tables": lambda: b"{}\n" * 50_000,
        "50,000 lines of no JSON": lambda: b"x\n" * 50_000,
        "50,000 events of another version": lambda: b'{"is": "X"}\n' * 50_000,
        "300,000 empty lines": lambda: b"\n" * 300_000,
        "NUL": lambda: bytes(1_000_000),
        "UTF-16": lambda: data.decode().encode("utf-16"),
    }

    def write(lines: object, path: Path) -> None:
        with path.open("wb") as file:
            file.write(data)
            file.write(lines())  # type: ignore[operator]
            file.write(data)

    return [
        HostileFile(f"{name}: {what}", name, partial(write, lines)) for what, lines in odd.items()
    ]


def _config_files(source: Path) -> list[HostileFile]:
    name = "config.toml"
    data = (source / name).read_bytes()
    return [*mutations(name, name, data, 200), *truncations(name, name, data)]


def _manifests(source: Path) -> list[HostileFile]:
    """What stands beside a checkpoint, and what it is a note about."""
    files = []
    for path in sorted((source / "checkpoints").glob("best-*")):
        data = path.read_bytes()
        files += [*mutations(path.name, path.name, data, 100)]
        if path.suffix == ".json":
            files += [file_of(what, path.name, text) for what, text in json_variants(data)]
    return files


def _command_files() -> list[HostileFile]:
    sent: list[Command] = [Pause(1.0), SetLearningRate(2.0, 0.1), Stop(3.0, "why")]
    lines = [COMMANDS.encode(command).encode() + b"\n" for command in sent]
    data = b"".join(lines)
    files = [*mutations(COMMAND_FILE, COMMAND_FILE, data, 300)]
    for line in lines:
        for what, text in json_variants(line):
            files.append(file_of(f"command: {what}", COMMAND_FILE, text + b"\n" + data))
    return files + _odd_lines(COMMAND_FILE, data)


def _read_commands(path: Path) -> None:
    reader = JsonlReader(path, COMMANDS)
    while messages := reader.read(1000):
        assert all(type(message) in COMMANDS.kinds for message in messages)
    assert not find_unsafe_lines(f"{reader.invalid_lines} invalid lines")


CONCERN = Concern("run files", run, short=15, full=2500)
