"""Heavy packages that modules must not import, checked in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
import importlib
importlib.import_module(sys.argv[1])
print([name for name in sys.argv[2:] if name in sys.modules])
"""


def _loaded(module: str, *watched: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CODE, module, *watched],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("fmnist_tui.engine.session.run_training", ["textual", "rich", "plotext", "sklearn"]),
        ("fmnist_tui.engine.session.session", ["torch", "textual", "rich"]),
        ("fmnist_tui.tui.app", ["torch", "torchvision", "sklearn", "plotext", "PIL", "optuna"]),
        ("fmnist_tui.tui.launch", ["torch", "torchvision", "sklearn", "plotext", "PIL", "jinja2"]),
        ("fmnist_tui.cli.main", ["torch", "numpy", "rich", "sklearn", "jinja2"]),
        ("fmnist_tui.cli.commands.train", ["torch", "torchvision", "sklearn"]),
        ("fmnist_tui.cli.commands.runs", ["torch", "sklearn"]),
        ("fmnist_tui.data.load", ["torch", "torchvision", "rich", "aiohttp", "asyncio"]),
        ("fmnist_tui.cli.commands.sweep", ["torch", "optuna", "sqlalchemy"]),
        ("fmnist_tui.sweeps.snapshot", ["torch", "optuna", "sqlalchemy", "rich", "textual"]),
        ("fmnist_tui.engine.sweep.sweep_runner", ["torch", "textual", "rich"]),
        ("fmnist_tui.cli.commands.serve", ["torch", "numpy", "aiohttp", "textual"]),
        ("fmnist_tui.cli.commands.report", ["torch", "numpy", "jinja2"]),
        (
            "fmnist_tui.report.page",
            ["torch", "textual", "rich", "plotext", "sklearn", "PIL", "jinja2"],
        ),
        ("fmnist_tui.serve.server", ["torch", "numpy", "textual", "rich"]),
        ("fmnist_tui.config.recipes", ["torch", "numpy", "rich"]),
        ("fmnist_tui.protocol.run_state", ["torch", "numpy", "pydantic"]),
        ("fmnist_tui.runs.listing", ["torch", "numpy", "pydantic"]),
    ],
)
def test_importing_a_module_does_not_import_heavy_packages(
    module: str, unwanted: list[str]
) -> None:
    assert _loaded(module, *unwanted) == "[]"


def test_models_and_optimisers_are_listed_without_importing_them() -> None:
    code = (
        "import sys; from fmnist_tui.config import plugins;"
        "assert 'two-conv' in plugins.plugin_names('models');"
        "assert 'muon' in plugins.plugin_names('optim');"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
