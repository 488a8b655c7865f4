"""torch's compiler is imported when something is compiled, and not before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from fmnist_tui.engine.compiler_import import postpone_import

NAME = "a_compiler"
TRAIN = """
import sys, torch
from tests.engine.support import Harness, blobs
from pathlib import Path
for number, optimizer in enumerate(("sgd", "adam", "adamw", "muon")):
    folder = Path(sys.argv[1]) / optimizer
    harness = Harness(folder, blobs(32), epochs=1, optimizer=optimizer, clip_norm=1.0)
    assert harness.trainer.run().reason == "finished"
    harness.learner.restore(harness.store.load("last")[0], "last")
print([name for name in sys.modules if name.startswith(("torch._dynamo.", "sympy"))])
"""


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package that stands for the compiler, whose import is postponed."""
    package = tmp_path / NAME
    package.mkdir()
    (package / "__init__.py").write_text("def disable(fn): return 'disabled'\nanswer = 42\n")
    (package / "part.py").write_text("answer = 43\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    postpone_import(NAME)
    yield sys.modules[NAME]
    for name in [NAME, f"{NAME}.part"]:
        sys.modules.pop(name, None)


def is_imported() -> bool:
    return hasattr(sys.modules[NAME], "__file__")


def test_optimisers_and_those_who_look_through_all_modules_import_nothing(
    compiler: ModuleType,
) -> None:
    assert compiler.disable(is_imported, True, wrapping=False) is is_imported
    compiler.graph_break()
    assert not hasattr(compiler, "__file__") and not is_imported()


def test_whatever_else_is_used_imports_the_compiler(compiler: ModuleType) -> None:
    assert compiler.answer == 42
    assert is_imported() and sys.modules[NAME] is not compiler
    # Whoever still has the module that stood for it uses the compiler.
    assert compiler.disable(is_imported) == "disabled"


def test_a_part_of_the_compiler_can_be_imported_first(compiler: ModuleType) -> None:
    part = __import__(f"{NAME}.part", fromlist=["answer"])
    assert part.answer == 43
    assert is_imported()


def test_a_training_does_not_import_the_compiler(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
