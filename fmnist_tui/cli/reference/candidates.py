"""What may stand at the end of a command line, for the completion of shells.

The program's own parser tells, so that a new command or option is completed without more ado.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from fmnist_tui.cli.support import options
from fmnist_tui.config import dataset_catalog, recipes, run_config
from fmnist_tui.runs.folder import RunFolder, list_run_folders
from fmnist_tui.util import paths
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

_FILES = ("FILE", "DIR", "PATH", "FOLDER", "CONFIG")
_SPLIT_CLASSES = ("true", "pred", "of_class")
_SETTING = "lr="


class Candidate(NamedTuple):
    """A word that may be meant, and what it is."""

    word: str
    about: str = ""


class Completion(NamedTuple):
    """Words that may be meant; `files` if file names may be meant too."""

    words: list[Candidate]
    files: bool = False


def complete(parser: argparse.ArgumentParser, words: Sequence[str]) -> Completion:
    """The candidates for the last of the words, which may be empty or incomplete."""
    *before, word = words or ("",)
    parser, option, position = _parse(parser, before)
    prefix = ""
    if option is None and word.startswith("--") and "=" in word:
        name, _, word = word.partition("=")
        prefix, option = f"{name}=", parser._option_string_actions.get(name)
        if option is None:
            return Completion([])
    if option is None and word.startswith("-"):
        return Completion(_matching(_options(parser), word))
    if option is None:
        positionals = [each for each in parser._actions if not each.option_strings]
        if not positionals:
            return Completion([])
        option = positionals[min(position, len(positionals) - 1)]
        if position >= len(positionals) and option.nargs not in ("*", "+"):
            return Completion([])
    matching = _matching(_values(option, before), word)
    found = [Candidate(f"{prefix}{each.word}", each.about) for each in matching]
    return Completion(found, files=_takes_files(option))


def _parse(
    parser: argparse.ArgumentParser, words: Iterable[str]
) -> tuple[argparse.ArgumentParser, argparse.Action | None, int]:
    """The parser of the last action named, the option that waits for its value, and the number of
    positional arguments so far."""
    option, position = None, 0
    for word in words:
        if option is not None:
            option = None
        elif word.startswith("-"):
            known = parser._option_string_actions.get(word)
            option = known if known is not None and known.nargs is None else None
        else:
            actions = _subparsers(parser)
            if actions is not None and word in actions.choices:
                parser, position = actions.choices[word], 0
            else:
                position += 1
    return parser, option, position


def _subparsers(
    parser: argparse.ArgumentParser,
) -> argparse._SubParsersAction[argparse.ArgumentParser] | None:
    found = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return next(found, None)


def _matching(candidates: Iterable[Candidate], word: str) -> list[Candidate]:
    unique = {each.word: each for each in candidates}
    return [each for each in unique.values() if each.word.startswith(word)]


def _options(parser: argparse.ArgumentParser) -> Iterator[Candidate]:
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            about = (action.help or "").replace("%%", "%").partition(" [")[0]
            for name in action.option_strings:
                yield Candidate(name, safe_text(about, 100))


def _takes_files(action: argparse.Action) -> bool:
    metavar = str(action.metavar or "")
    return any(kind in metavar for kind in _FILES) or action.dest in ("config", "dataset")


def _values(action: argparse.Action, before: Sequence[str]) -> Iterator[Candidate]:
    """What an option or a positional argument may be."""
    if isinstance(action, argparse._SubParsersAction):
        for choice in action._choices_actions:
            yield Candidate(choice.dest, safe_text(choice.help or "", 100))
        if "CONFIG" in str(action.metavar):
            from fmnist_tui.sweeps import spec as specs

            yield from (Candidate(name, "a built-in sweep") for name in specs.shipped_names())
        return
    if action.choices is not None:
        yield from map(Candidate, map(str, action.choices))
    elif action.dest in run_config.FIELDS:
        is_switch = run_config.setting_type(action.dest) is bool
        words = ("true", "false") if is_switch else run_config.setting_choices(action.dest)
        yield from map(Candidate, words)
        yield from map(Candidate, options.MORE_CHOICES.get(action.dest, ()))
    elif action.dest in _SPLIT_CLASSES:
        yield from map(Candidate, dataset_catalog.GARMENTS)
    elif action.metavar == "RECIPE" or action.dest == "recipe_name":
        yield from _recipes()
    elif "RUN" in str(action.metavar):
        yield from _runs(before)
    elif action.metavar == "lr=RATE":
        yield Candidate(_SETTING, "the new learning rate")
    elif action.metavar == "NAME" and "data" in before:
        for info in dataset_catalog.DATASETS.values():
            yield Candidate(info.name, safe_text(info.title, 100))
    elif action.metavar == "NAME" and "recipes" in before:
        yield from _recipes()


def _recipes() -> Iterator[Candidate]:
    with contextlib.suppress(UserError, OSError):
        yield from map(Candidate, recipes.recipe_names())


def _runs(before: Sequence[str]) -> Iterator[Candidate]:
    """`last`, and the runs by their names and IDs; the newest first."""
    yield Candidate("last", "the newest run")
    folder = next((word[7:] for word in before if word.startswith("--runs=")), None)
    for option, value in pairwise(before):
        folder = value if option == "--runs" else folder
    with contextlib.suppress(UserError, OSError):
        runs = sorted(list_run_folders(paths.runs_dir(folder)), key=_name, reverse=True)
        yield from (Candidate(run.id, run.name) for run in runs if run.id != run.name)
        yield from (Candidate(run.name) for run in runs)


def _name(run: RunFolder) -> str:
    return run.name
