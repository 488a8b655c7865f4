"""Models and optimisers of other packages that do not work: one line that names them."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from unittest.mock import patch

from torch import nn

from fmnist_tui.config import plugins
from fmnist_tui.engine.models import ModelSpec
from tests.soak.concern import Concern, Tally, spread
from tests.soak.hostile_files import HostileFile, file_of, mutations, read_all

GOOD = b"""
import math
from torch import nn

def build(spec):
    hidden = math.ceil(spec.width * 16)
    layers = [nn.Flatten(), nn.Linear(28 * 28, hidden), nn.ReLU(), nn.Linear(hidden, 10)]
    return nn.Sequential(*layers)
"""
AT_IMPORT = {
    "raises": "raise ValueError('no')",
    "exits": "raise SystemExit('bye')",
    "exits with 0": "import sys; sys.exit()",
    "imports nothing": "import nowhere_to_be_found",
    "is no Python": "def build(:",
    "is empty": "",
    "has another build": "build = 3",
    "recurses": "def f(): f()\nf()",
    "says much": "raise ValueError('x' * 1_000_000)",
    "says controls": "raise ValueError('\\x1b]52;c;aGk=\\x07\\n[/]')",
    "raises what cannot be told": (
        "class E(Exception):\n    def __str__(self): raise KeyError('no')\nraise E"
    ),
    "asks for memory": "bytes(1 << 62)",
    "has a NUL": "\0",
}
IN_BUILD = (
    *("raise ValueError('no')", "raise SystemExit(0)", "raise MemoryError", "return None"),
    *("return spec", "return build(spec)", "return 1 / 0", "raise ValueError('\\x9b2J')", "yield"),
)


def run(tally: Tally, tries: int) -> None:
    files = [file_of(what, "theirs.py", text.encode()) for what, text in AT_IMPORT.items()]
    files += [
        file_of(f"build: {line}", "theirs.py", f"def build(spec):\n    {line}\n".encode())
        for line in IN_BUILD
    ]
    files.append(file_of("is Latin-1", "theirs.py", "name = 'é'".encode("latin-1")))
    files += _damaged(max(0, tries - len(files)))
    read_all(tally, spread(files, tries), _build)


def _damaged(count: int) -> list[HostileFile]:
    return mutations("changed", "theirs.py", GOOD, count)


def _build(path: Path) -> None:
    """Build the model in this file, as a training does."""
    entry = EntryPoint("theirs", "theirs", "fmnist_tui.models")
    sys.modules.pop("theirs", None)
    with (
        patch.object(sys, "path", [str(path.parent), *sys.path]),
        patch.object(sys, "dont_write_bytecode", new=True),
        patch.object(plugins, "_plugins", lambda kind: {"theirs": entry}),
    ):
        sys.path_importer_cache.pop(str(path.parent), None)
        plugins.build_plugin("models", "theirs", nn.Module, ModelSpec(1, 28, 10))


CONCERN = Concern("plug-ins", run, short=23, full=300)
