"""The manual page, made from the parser, in the language of `man` (roff)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import fmnist_tui
from fmnist_tui.config import run_config

BuildParser = Callable[[str | None], argparse.ArgumentParser]
_PROGRAM = "fmnist-tui"
# The command of which all settings are listed; the others refer to it.
_TRAIN = "train"
_ENVIRONMENT = (
    ("FMNIST_TUI_RUNS, FMNIST_TUI_DATA, FMNIST_TUI_SETTINGS", "the folders of runs, datasets and"
     " the user's settings"),
    ("FMNIST_TUI_NAME", "the setting NAME of train, such as FMNIST_TUI_LR"),
    ("FMNIST_TUI_CONFIGS", "a folder of recipes"),
    ("FMNIST_TUI_STORAGE", "the database of sweeps"),
    ("FMNIST_TUI_OFFLINE", "if set, nothing is downloaded"),
    ("FMNIST_TUI_NOTIFY_URL", "an address that is told when a run ends, fails or stalls"),
    ("NO_COLOR", "if set, no colours"),
)  # fmt: skip
_EXIT = (
    ("0", "done"),
    ("1", "failed; one line says why"),
    ("2", "wrong usage"),
    ("130", "stopped by Ctrl-C, after a checkpoint"),
)
_EXAMPLES = (
    ("fmnist-tui", "open the dashboard"),
    ("fmnist-tui train fast --epochs 3", "train without a screen"),
    ("fmnist-tui train best --detach; fmnist-tui attach", "train in the background, and watch"),
    ("fmnist-tui errors last --true Shirt --pred Coat", "which images were taken for others"),
    ("fmnist-tui export last --to onnx --out model.onnx", "take the model away"),
)


def format_page(build_parser: BuildParser) -> str:
    """The page; the same on every machine."""
    return "\n".join(_lines(build_parser)) + "\n"


def _lines(build_parser: BuildParser) -> Iterator[str]:
    main = build_parser(None)
    about = (fmnist_tui.__doc__ or "").strip().rstrip(".")
    yield '.TH FMNIST\\-TUI 1 "" "fmnist\\-tui" "User Commands"'
    yield from (".SH NAME", f"fmnist\\-tui \\- {_escape(about)}")
    yield from (".SH SYNOPSIS", ".B fmnist\\-tui", "[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]")
    yield from (".SH DESCRIPTION", _escape("Without a command the dashboard opens. ?"
                " lists the keys of a screen, ctrl+p finds every action by its name."))  # fmt: skip
    yield ".SH COMMANDS"
    for name, parser in _commands(main, build_parser):
        yield from _command(name, parser)
    for title, entries in (
        ("ENVIRONMENT", _ENVIRONMENT),
        ("EXIT STATUS", _EXIT),
        ("EXAMPLES", _EXAMPLES),
    ):
        yield f".SH {title}"
        for name, text in entries:
            yield from _entry(_escape(name), text)


def _commands(
    main: argparse.ArgumentParser, build_parser: BuildParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command and action with its parser."""
    for name in _choices(main):
        parser = _choices(build_parser(name))[name]
        yield name, parser
        for action, part in _choices(parser).items():
            yield f"{name} {action}", part


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    words = [str(each.metavar or each.dest) for each in shown if not each.option_strings]
    usage = " ".join([f"\\fB{_escape(f'{_PROGRAM} {name}')}\\fR", *map(_escape, words)])
    yield from (f'.SS "{usage}"', _escape(parser.description or ""))
    settings = {action.dest for action in shown} & run_config.FIELDS.keys()
    has_all_settings = len(settings) > len(run_config.FIELDS) / 2 and name != _TRAIN
    for action in shown:
        is_known = action.dest == "help" or isinstance(action, argparse._SubParsersAction)
        if is_known or (has_all_settings and action.dest in settings) or not action.help:
            continue
        yield from _entry(_usage(action), action.help.replace("%%", "%"))
    if has_all_settings:
        yield from _entry("\\fISETTINGS\\fR", f"those of {_PROGRAM} {_TRAIN}")


def _usage(action: argparse.Action) -> str:
    names = ", ".join(f"\\fB{_escape(name)}\\fR" for name in action.option_strings)
    value = "" if action.nargs == 0 else str(action.metavar or "")
    if not value and action.choices is not None:
        value = "|".join(map(str, action.choices))
    return " ".join(part for part in (names, f"\\fI{_escape(value)}\\fR" if value else "") if part)


def _entry(name: str, text: str) -> Iterator[str]:
    yield from (".TP", name, _escape(text))


def _escape(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
