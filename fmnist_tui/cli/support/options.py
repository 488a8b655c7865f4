"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fmnist_tui.config import recipes, run_config
from fmnist_tui.config.problems import format_setting
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.runs.listing import resolve
from fmnist_tui.util import paths
from fmnist_tui.util.errors import UsageError, near
from fmnist_tui.util.paths import expanded
from fmnist_tui.util.text import safe_text

MODEL_ENDINGS = (".pt", ".pth", ".safetensors")
ONNX_SCRIPT = "assets/predict_onnx.py"


def folders(parser: argparse.ArgumentParser, *, runs: bool = True, data: bool = True) -> None:
    """--runs and --data."""
    if runs:
        parser.add_argument("--runs", metavar="DIR", help="folder of the runs")
    if data:
        parser.add_argument("--data", metavar="DIR", help="folder of the data sets")


def runs_dir(args: argparse.Namespace) -> Path:
    return paths.runs_dir(args.runs)


def data_dir(args: argparse.Namespace) -> Path:
    return paths.data_dir(args.data)


def as_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help=run_config.DEVICES)


def settings(parser: argparse.ArgumentParser) -> None:
    """A flag for every field of RunConfig, in the fields' groups."""
    groups: dict[str, Any] = {}
    for name, field in run_config.FIELDS.items():
        heading = run_config.group(name)
        group = groups.setdefault(heading, parser.add_argument_group(heading))
        about = f"{field.description} [{format_setting(field.default)}]".replace("%", "%%")
        flag = f"--{name.replace('_', '-')}"
        if run_config.kind(name) is bool:
            group.add_argument(
                flag, dest=name, nargs="?", const="true", metavar="true|false", help=about
            )
            off = f"--no-{name.replace('_', '-')}"
            group.add_argument(off, dest=name, action="store_const", const="false")
        else:
            group.add_argument(flag, dest=name, metavar=name.upper(), help=about)


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings given as flags, in their own types."""
    return {
        name: run_config.parse(name, text)
        for name in run_config.FIELDS
        if (text := getattr(args, name, None)) is not None
    }


def build_config(recipe: recipes.Recipe, args: argparse.Namespace) -> RunConfig:
    """The recipe's values, then the environment's, then the flags'."""
    return recipe.config(**{**recipes.from_environment(), **given(args)})


def model_source(runs_dir: Path, text: str) -> Path:
    """A model file by its ending, or the folder of the run that the text means."""
    path = expanded(text)
    if path.suffix == ".onnx":
        raise UsageError(
            f"{safe_text(text)}: an ONNX file is for other programs (see {ONNX_SCRIPT});"
            f" name a run, or a file of {', '.join(MODEL_ENDINGS)}"
        )
    return path if path.suffix in MODEL_ENDINGS else resolve(runs_dir, text).path


def class_number(names: tuple[str, ...], wanted: str) -> int:
    """A class given by name (in any case) or by number."""
    lowered = [name.lower() for name in names]
    if wanted.lower() in lowered:
        return lowered.index(wanted.lower())
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    known = ", ".join(safe_text(name) for name in names)
    raise UsageError(f"{safe_text(wanted)!r} is no class{near(wanted, names)} (there are {known})")
