"""The shape of the package, computed from its source: no import circles, small folders and files.

Every import counts, also one for type checking only or inside a function.
"""

from __future__ import annotations

import ast
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import fmnist_tui

PACKAGE = Path(fmnist_tui.__file__).parent
MAX_FILES, MAX_LINES = 14, 400
# Folders of many files of the same kind.
COLLECTIONS = ("cli/commands", "engine/models", "tui/widgets")

SOURCES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
TREES = {name: ast.parse(path.read_bytes()) for name, path in SOURCES.items()}


def imported_modules(module: str) -> set[str]:
    """The modules of the package that `module` names in its import statements."""
    names = []
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [
                full if (full := f"{node.module}.{alias.name}") in SOURCES else node.module
                for alias in node.names
            ]
    return {name for name in names if name in SOURCES} - {module}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: imported_modules(module) for module in SOURCES}
    assert graph["fmnist_tui.config.recipes"] > {"fmnist_tui.config.run_config"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " <- ".join(error.args[1])
        raise AssertionError(f"import circle: {circle}") from None


def test_folders_have_few_files() -> None:
    counts = Counter(
        path.parent.relative_to(PACKAGE).as_posix()
        for path in SOURCES.values()
        if path.name != "__init__.py"
    )
    crowded = {folder: count for folder, count in counts.items() if count > MAX_FILES}
    assert crowded.keys() <= set(COLLECTIONS)


def test_files_are_short() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in SOURCES.items()}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_class_names_are_unique() -> None:
    counts = Counter(
        node.name
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in counts.items() if count > 1] == []
