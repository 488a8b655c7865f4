"""Arguments that several commands share, and what their values mean."""

from __future__ import annotations

import argparse
import os
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_tui.config import plugins, recipes, run_config
from fmnist_tui.config.problems import format_setting
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.distributed.place import Place
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import resolve
from fmnist_tui.util import paths
from fmnist_tui.util.errors import UsageError, UserError, did_you_mean
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.engine.session.session import Session

MODEL_SUFFIXES = (".pt", ".pth", ".safetensors")
# What cannot be listed, after the choices of a setting that can.
MORE_CHOICES = {
    "dataset": ("folder:PATH", "idx:PATH"),
    "model": (f"{plugins.TORCHVISION_PREFIX}NAME",),
}
ONNX_SCRIPT = "assets/predict_onnx.py"


Run = Callable[[argparse.Namespace], int | None]
# The actions of a command: what each does, and the function that does it.
Actions = Mapping[str, tuple[str, Run]]


def add_actions(
    parser: argparse.ArgumentParser, actions: Actions, metavar: str = "ACTION"
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Add the actions of a command; yields the name and parser of each."""
    parsers = parser.add_subparsers(dest="action", metavar=metavar, required=True)
    for name, (about, _) in actions.items():
        yield name, parsers.add_parser(name, help=about, description=about)


def add_int(parser: argparse.ArgumentParser, name: str, default: int, about: str) -> None:
    """A flag that takes a whole number."""
    about = f"{about} [{default}]"
    parser.add_argument(name, type=int, default=default, metavar="N", help=about)


def add_common(
    parser: argparse.ArgumentParser, *, runs: bool = True, data: bool = True, json: bool = True
) -> None:
    if runs:
        about = f"runs folder [{paths.RUNS_VARIABLE} or in the user data folder]"
        parser.add_argument("--runs", metavar="DIR", help=about)
    if data:
        about = f"dataset folder [{paths.DATA_VARIABLE} or in the user data folder]"
        parser.add_argument("--data", metavar="DIR", help=about)
    if json:
        add_json(parser)


def add_json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run ID, part of its name, `last`, or a path")


def add_split(parser: argparse.ArgumentParser) -> None:
    splits = ("test", "val", "train")
    parser.add_argument("--split", default="test", choices=splits, help="the split [test]")


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help=run_config.DEVICES)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    about = f"recipe name [{recipes.DEFAULT_RECIPE}]"
    parser.add_argument("recipe_name", nargs="?", metavar="RECIPE", help=about)
    parser.add_argument("--config", metavar="FILE", help="recipe file, or a run's config.toml")


class _SettingsHelp(argparse.HelpFormatter):
    """Tells of each setting what it can be; no name is broken at its hyphen."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _get_help_string(self, action: argparse.Action) -> str:
        about = action.help or ""
        if action.dest in run_config.FIELDS:
            choices = run_config.setting_choices(action.dest) + MORE_CHOICES.get(action.dest, ())
            names = ", ".join(map(safe_text, choices)).replace("%", "%%")
            about += f": {names}" if names else ""
        return about


class _RecipeSettingsHelp(_SettingsHelp):
    """Tells also what a setting is if neither it nor a recipe is given."""

    def _get_help_string(self, action: argparse.Action) -> str:
        about = super()._get_help_string(action)
        if action.dest in run_config.FIELDS:
            default = getattr(_default_config(), action.dest)
            text = default or "none" if isinstance(default, str) else format_setting(default)
            about += f" [{text}]".replace("%", "%%")
        return about


@cache
def _default_config() -> RunConfig:
    """The settings of a training for which nothing is given."""
    recipe = recipes.load_recipe(recipes.DEFAULT_RECIPE)
    return recipe.config(**recipes.settings_from_environment())


def add_settings(parser: argparse.ArgumentParser, *, of_default_recipe: bool = True) -> None:
    """A flag for every field of RunConfig, in the fields' groups. Help shows the settings of
    the default recipe if that is what they replace."""
    parser.formatter_class = _SettingsHelp
    if of_default_recipe:
        parser.formatter_class = _RecipeSettingsHelp
        parser.epilog = (
            f"In brackets: the settings of {recipes.DEFAULT_RECIPE}, the recipe that is used if"
            " none is given. Other recipes, files and runs have their own."
        )
    groups: dict[str, Any] = {}
    for name, field in run_config.FIELDS.items():
        heading = run_config.setting_group(name)
        group = groups.setdefault(heading, parser.add_argument_group(heading))
        about = (field.description or "").replace("%", "%%")
        if run_config.setting_type(name) is bool:
            group.add_argument(
                flag(name), dest=name, nargs="?", const="true", metavar="true|false", help=about
            )
            off = flag(f"no_{name}")
            group.add_argument(off, dest=name, action="store_const", const="false")
        else:
            group.add_argument(flag(name), dest=name, metavar=name.upper(), help=about)


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def format_flags(values: Mapping[str, Any]) -> list[str]:
    """Values as arguments of a command, those that are None left out."""
    return [f"{flag(name)}={value}" for name, value in values.items() if value is not None]


def raw_settings(args: argparse.Namespace) -> dict[str, str | None]:
    """The settings as they were typed; None for those that were not given."""
    return {name: getattr(args, name, None) for name in run_config.FIELDS}


def parse_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings given as flags, in their own types."""
    return {
        name: run_config.parse_setting(name, text)
        for name, text in raw_settings(args).items()
        if text is not None
    }


def refuse_settings(names: Iterable[str], why: str) -> None:
    """A UsageError about the first of these settings, if there is any."""
    for name in names:
        raise UsageError(f"{flag(name)} {why}")


def load_recipe(args: argparse.Namespace) -> Recipe:
    if args.config:
        return recipes.read_recipe(Path(args.config))
    return recipes.load_recipe(args.recipe_name or recipes.DEFAULT_RECIPE)


def runs_dir(args: argparse.Namespace) -> Path:
    return paths.runs_dir(args.runs)


def require_runs_dir(args: argparse.Namespace) -> Path:
    """The folder of runs, to read some: one that --runs names must exist."""
    folder = runs_dir(args)
    if args.runs and not os.path.exists(folder):  # noqa: PTH110 - Path's fails on an overlong name
        raise UserError(f"--runs {safe_text(args.runs)}: there is no such folder")
    return folder


def data_dir(args: argparse.Namespace) -> Path:
    return paths.data_dir(args.data)


def find_run(args: argparse.Namespace) -> RunFolder:
    return resolve(require_runs_dir(args), args.run)


def open_session(args: argparse.Namespace) -> Session:
    """A session of the engine on the folders that --runs and --data name."""
    from fmnist_tui.engine.session.session import Session

    return Session(runs_dir(args), data_dir(args), Place.from_environment())


def find_model(args: argparse.Namespace) -> Path:
    """What RUN|MODELFILE names: a model file, known by its suffix, or a run's folder."""
    text, path = args.source, expand_home(args.source)
    if path.suffix == ".onnx":
        raise UsageError(
            f"{safe_text(text)}: ONNX files are for other programs (see {ONNX_SCRIPT});"
            f" give a run, or a file ending in {', '.join(MODEL_SUFFIXES)}"
        )
    return path if path.suffix in MODEL_SUFFIXES else resolve(require_runs_dir(args), text).path


def parse_class(names: tuple[str, ...], text: str) -> int:
    """The index of a class given by name (in any case) or by number."""
    lowered = [name.lower() for name in names]
    if text.lower() in lowered:
        return lowered.index(text.lower())
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    choices = ", ".join(safe_text(name) for name in names)
    raise UsageError(
        f"unknown class {safe_text(text)!r}{did_you_mean(text, names)} (choose from {choices})"
    )
