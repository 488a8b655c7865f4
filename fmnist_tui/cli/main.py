"""The command line: the parser, and the one place that turns errors into a line and a status."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, NoReturn

import fmnist_tui
from fmnist_tui.cli.support import console
from fmnist_tui.engine.distributed.place import Place
from fmnist_tui.util.errors import (
    UsageError,
    UserError,
    did_you_mean,
    format_error,
    format_unexpected_error,
)
from fmnist_tui.util.text import safe_lines, safe_text

# Each command is a module in `cli.commands`, imported only when it is used. It has
# `add_arguments(parser)` and `run(args)`, which returns the exit status, or None for 0.
COMMANDS = {
    "dashboard": "open the dashboard (also without any command)",
    "tour": "two minutes through all screens of the dashboard, on drawn sketches",
    "attach": "open the dashboard on a live run",
    "data": "list, download and show datasets",
    "train": "train a recipe, a config file or your own settings",
    "lrfind": "find a learning rate: try rates on a few training steps and plot the loss",
    "runs": "list, show, control, compare, archive and delete runs",
    "evaluate": "evaluate a run on a split: accuracy, per-class scores, calibration, confusion",
    "errors": "list the misclassified images of a run, or those of one pair of classes",
    "predict": "classify image files with a run or a model file",
    "ensemble": "combine several runs, or several seeds of one recipe, into one classifier",
    "export": "export a model as .pth, .safetensors or .onnx, verify the file and time it",
    "sweep": "search for good settings; several machines can work on one study",
    "recipes": "list, show, run and check the recipes",
    "report": "write a run as one HTML page: scores, curves, confusion matrix, errors, settings",
    "notify": "tell a phone, a chat or the terminal when a run ends, fails or stalls",
    "serve": "serve the dashboard to browsers on this machine, protected by a token",
    "bench": "benchmark training and the dashboard on this machine",
    "completion": "print what makes bash, zsh or fish complete commands, recipes and runs",
    "man": "show this program's manual page",
    "doctor": "check terminal, GPU, versions, datasets and folders, and suggest fixes",
}
# What the system, a terminal that closes, or a scheduler sends to end a program. By default they
# would end it at once: no record completed, the cursor hidden by a progress bar.
END_SIGNALS = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
GLOBAL_OPTIONS = ("-h", "--help", "--version")
EPILOG = (
    "`fmnist-tui COMMAND --help` describes a command; `--debug` with any command shows tracebacks."
)


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, whose errors are a UsageError that suggests similar names."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # What the list of commands says of a command, made a sentence.
        about = options["description"].removesuffix(".")
        description = f"{about[:1].upper()}{about[1:]}."
        super().__init__(*args, **{**options, "description": description, "allow_abbrev": False})

    def _print_message(self, message: str, file: Any = None) -> None:
        # Help lists models and optimisers of other packages.
        super()._print_message(safe_lines(message), file)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        choices = list(action.choices or ())
        if choices and value not in choices:
            names = [str(choice) for choice in choices]
            what = f"unknown {str(action.metavar).partition('|')[0].lower()}"
            if action.option_strings:
                what = f"{action.option_strings[0]}: unknown value"
            raise UsageError(
                f"{what} {safe_text(value)!r}{did_you_mean(str(value), names)}"
                f" (choose from {', '.join(names)})"
            )


def build_parser(command: str | None = None) -> Parser:
    """The parser, with the arguments of this command only."""
    parser = Parser(prog="fmnist-tui", description=fmnist_tui.__doc__, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=fmnist_tui.__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, about in COMMANDS.items():
        part = commands.add_parser(name, help=about, description=about)
        if name == command:
            _import_command(name).add_arguments(part)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run the program with these arguments; returns the exit status."""
    debug = "--debug" in arguments
    try:
        with _exit_on(END_SIGNALS):
            status = _dispatch([word for word in arguments if word != "--debug"], debug)
        # What is held back is written while an error can still be reported.
        sys.stdout.flush()
        return status
    except SystemExit as exit_:
        if isinstance(exit_.code, str):
            raise
        return exit_.code or 0
    except UserError as error:
        if debug:
            raise
        console.error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has closed it.
        return 1
    except OSError as error:
        # What the system says of a file is an answer: that it cannot have such a name, for example.
        if debug:
            raise
        console.error(format_error(error))
        return 1
    except Exception as error:
        if debug:
            raise
        console.error(f"{format_unexpected_error(error)} (--debug shows the traceback)")
        return 1


@contextlib.contextmanager
def _exit_on(numbers: Sequence[signal.Signals]) -> Iterator[None]:
    """End the command in an orderly way on these signals, unless they are handled or ignored
    already; on a second SIGQUIT at once."""

    def end(number: int, _: object) -> NoReturn:
        if number == signal.SIGQUIT:
            signal.signal(number, signal.SIG_DFL)
        raise SystemExit(128 + number)

    is_main = threading.current_thread() is threading.main_thread()
    installed = [n for n in numbers if is_main and signal.getsignal(n) is signal.SIG_DFL]
    for number in installed:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in installed:
            signal.signal(number, signal.SIG_DFL)


def _dispatch(arguments: list[str], debug: bool) -> int:
    place = Place.from_environment()
    if not place.is_first and not debug:
        console.silence()
    names_command = bool(arguments) and (
        not arguments[0].startswith("-") or arguments[0] in GLOBAL_OPTIONS
    )
    if not names_command:
        arguments = ["dashboard", *arguments]
    command = next((word for word in arguments if not word.startswith("-")), None)
    parser = build_parser(command)
    args, unknown = parser.parse_known_args(_add_default_action(arguments, command))
    if unknown:
        hint = _suggest_flag(parser, args, unknown[0])
        if not names_command:
            hint = "; name a command before it, such as `fmnist-tui train` (see --help)"
        raise UsageError(f"unknown argument {safe_text(unknown[0])!r}{hint}")
    if place.is_several and args.command != "train":
        raise UsageError(
            f"{args.command} takes one process, not {place.count}: start it without torchrun"
        )
    args.debug = debug
    return _import_command(args.command).run(args) or 0


def _add_default_action(arguments: list[str], command: str | None) -> list[str]:
    """The arguments with a left-out default action: `sweep FILE` is `sweep start FILE`."""
    if command not in COMMANDS:
        return arguments
    module = _import_command(command)
    index = arguments.index(command) + 1
    word = arguments[index] if index < len(arguments) else "--help"
    if not hasattr(module, "DEFAULT_ACTION") or word in (*module.ACTIONS, *GLOBAL_OPTIONS):
        return arguments
    return [*arguments[:index], module.DEFAULT_ACTION, *arguments[index:]]


def _suggest_flag(parser: argparse.ArgumentParser, args: argparse.Namespace, word: str) -> str:
    """The flags of the command and its action that are similar to `word`."""
    flags: set[str] = set()
    for name in (args.command, getattr(args, "action", None)):
        choices = [part for part in parser._actions if isinstance(part, argparse._SubParsersAction)]
        if name is None or not choices:
            break
        parser = choices[0].choices[name]
        flags |= set(parser._option_string_actions)
    return did_you_mean(word.partition("=")[0], flags)


def _import_command(name: str) -> ModuleType:
    return importlib.import_module(f"fmnist_tui.cli.commands.{name}")
