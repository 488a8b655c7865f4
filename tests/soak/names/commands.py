"""The commands on hostile names, in this process, with a terminal that records what it is sent."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from importlib.metadata import EntryPoint
from typing import Any
from unittest.mock import patch

from fmnist_tui.cli import main
from fmnist_tui.cli.support import console
from fmnist_tui.config import plugins
from fmnist_tui.util import standard_streams
from fmnist_tui.util.text import without_controls
from tests.soak.names.checks import find_foreign, recorded_markup
from tests.soak.names.hostile import file_name, is_unicode
from tests.soak.names.world import World

Lose = Callable[[str, str], None]


class RecordingTerminal(io.TextIOWrapper):
    """Standard output or error as the program has prepared it, of a terminal or of a file."""

    def __init__(self, is_terminal: bool) -> None:
        errors = standard_streams.SIMILAR_ASCII if is_terminal else standard_streams.TRUE_BYTES
        self.file = io.BytesIO()
        self._is_terminal = is_terminal
        super().__init__(self.file, "utf-8", errors, write_through=True)

    def isatty(self) -> bool:
        return self._is_terminal


def call(*words: str, is_terminal: bool = True) -> tuple[int, bytes, bytes]:
    """Run a command; its status, and what it printed."""
    streams = RecordingTerminal(is_terminal), RecordingTerminal(True)
    console.console.cache_clear()
    with patch.object(sys, "stdout", streams[0]), patch.object(sys, "stderr", streams[1]):
        status = main.run(words)
    console.console.cache_clear()
    return status, streams[0].file.getvalue(), streams[1].file.getvalue()


@contextmanager
def hostile_plugins(names: Sequence[str]) -> Iterator[None]:
    """Models and optimisers of other packages under these names."""

    def entry_points(group: str) -> list[EntryPoint]:
        return [EntryPoint(name, name, group) for name in names]

    with patch.object(plugins, "entry_points", entry_points):
        plugins._plugins.cache_clear()
        yield
    plugins._plugins.cache_clear()


def run_all(world: World, lose: Lose) -> None:
    """Run every command that shows a name; `lose` is told which failed, and how."""
    environment = {
        "FMNIST_TUI_CONFIGS": str(world.recipes),
        "FMNIST_TUI_STORAGE": world.storage,
        "FMNIST_TUI_RUNS": str(world.runs_dir),
        "FMNIST_TUI_DATA": str(world.data_dir),
        "FMNIST_TUI_OFFLINE": "1",
        "COLUMNS": "100",
    }
    standard_streams.register_error_handlers()
    with (
        chdir(world.data_dir.parent),
        patch.dict(os.environ, environment),
        recorded_markup() as texts,
        hostile_plugins([name for name in world.names if is_unicode(name)]),
    ):
        for words in _commands(world):
            _check(words, lose)
        _check_round_trip(world, lose)
    for text in texts:
        lose("commands", text)


def _check(words: Sequence[str], lose: Lose) -> None:
    what = ascii(words)[:200]
    try:
        status, out, err = call(*words)
    except Exception as error:  # noqa: BLE001
        lose(what, f"raised {error!r}")
        return
    if status == 128 + signal.SIGTERM:
        raise KeyboardInterrupt
    for printed in (out, err):
        if problem := find_foreign(printed):
            lose(what, problem)
    if b"--debug" in err or status not in (0, 1, 2):
        lose(what, f"status {status}: {err[-300:]!a}")


def _commands(world: World) -> Iterator[Sequence[str]]:
    """The commands, with arguments that the system can pass to a process."""
    trained = str(world.trained.path)
    yield "runs", "list"
    yield "runs", "list", "--json"
    yield "recipes", "list"
    yield "data", "list"
    yield "evaluate", trained
    yield "errors", trained
    yield "report", trained, "--force"
    yield "predict", trained, str(world.images)
    yield "predict", trained, str(world.images), "--csv"
    yield "predict", trained, str(world.images), "--json"
    yield "sweep", "list"
    yield "train", "--help"
    for study in world.studies:
        yield "sweep", "show", study
        yield "sweep", "show", study, "--json"
    for index, run in enumerate(world.runs):
        path, other = str(run.path), str(world.runs[index - 1].path)
        yield "runs", "show", path
        yield "runs", "compare", path, other
        yield "runs", "archive", path
        yield "runs", "unarchive", run.name
        yield "errors", path
        if index % 8 == 0:
            yield "evaluate", path, "--split", "val"
            yield ("report", path, "--out", file_name(run.name, ".html"), "--force")
            yield "ensemble", path, other
            yield "train", "--resume", path, "--epochs", "2"
            yield "export", path
    for name in filter(_can_be_passed, world.names):
        yield "runs", "show", name
        yield "runs", "list", "--runs", name
        yield ("runs", "set", trained, name)
        yield ("evaluate", trained, "--checkpoint", name)
        yield ("errors", trained, "--pair", name)
        yield "recipes", "show", name
        yield "train", name, "--lr", "-1"
        for option in ("--dataset", "--model", "--lr", "--config", "--start", f"--{name}"):
            yield "train", option, name
        yield "train", "--dataset", f"folder:{name}"
        yield "sweep", "start", name
        yield (name,)
    for model in world.models[:1]:  # a process reads each
        yield ("predict", str(model), str(world.images))
        yield ("predict", f"{model}.pt", str(world.images))
    for recipe in world.recipes.iterdir():
        yield "recipes", "show", recipe.stem
        yield "train", "--config", str(recipe), "--lr", "-1"


def _can_be_passed(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _check_round_trip(world: World, lose: Lose) -> None:
    """CSV and JSON in a file have the true names of all files and classes."""
    files = {os.fsencode(image) for image in world.images.iterdir()}
    words = "predict", str(world.trained.path), str(world.images)
    out = call(*words, "--csv", is_terminal=False)[1]
    text = io.StringIO(out.decode("utf-8", "surrogateescape"), newline="")
    _, *rows = csv.reader(text)
    documents: list[dict[str, Any]] = json.loads(call(*words, "--json", is_terminal=False)[1])
    # Class names are in files that hold Unicode alone.
    classes = {"", *(without_controls(path.name) for path in world.dataset.iterdir())}
    for kind, names, labels in (
        ("CSV", [row[0] for row in rows], [row[1] for row in rows]),
        ("JSON", [row["file"] for row in documents], [row["label"] or "" for row in documents]),
    ):
        if {os.fsencode(name) for name in names} != files:
            lose(f"predict as {kind}", "other names than those of the files")
        if not set(labels) <= classes:
            lose(f"predict as {kind}", "other names than those of the classes")
