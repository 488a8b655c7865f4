"""The command line: one parser, one place where errors become one line and a status."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, NoReturn

import fmnist_tui
from fmnist_tui.cli.support import console
from fmnist_tui.util.errors import UsageError, UserError, near, reason
from fmnist_tui.util.text import safe_text

# Every command is a module of its own with `arguments(parser)` and `run(args) -> int`,
# imported when it is called for.
COMMANDS = {
    "dashboard": "the dashboard (also without any command)",
    "attach": "the dashboard, opened on a live run",
    "data": "list, fetch and look at data sets",
    "train": "train a recipe, a config file, or settings of your own",
    "lrfind": "try learning rates on a few training steps, show the curve, suggest one",
    "runs": "list runs, look into one, steer a live one, compare, archive, delete",
    "evaluate": "accuracy, per-class figures, calibration and confusion of a run on a split",
    "errors": "list the misclassified images of a run, or those of one pair of classes",
    "predict": "classify picture files with a run or a model file",
    "ensemble": "make one classifier of several runs, or of one training with several seeds",
    "export": "a run or model file as .pth, .safetensors or .onnx, compared and timed",
    "sweep": "search for good settings, alone or several machines on one study",
    "recipes": "list, show, run and check the recipes that come with the program",
    "report": "one HTML page of a run: figures, curves, matrix, errors, settings",
    "serve": "the dashboard in a browser on this machine, with a token",
    "bench": "measure this machine: the plain loop against ours, in images a second",
    "doctor": "look at terminal, GPU, versions, data and folders, and say what to do about each",
}
ABOUT_ITSELF = ("-h", "--help", "--version")
EPILOG = "fmnist-tui COMMAND --help tells more; --debug anywhere shows tracebacks."


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations; what is wrong is a UsageError with the near names."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        choices = list(action.choices or ())
        if choices and value not in choices:
            known = ", ".join(str(choice) for choice in choices)
            hint = near(str(value), [str(choice) for choice in choices])
            raise UsageError(f"{safe_text(value)!r} is not known{hint} (there are {known})")


def build(command: str | None = None) -> Parser:
    """The parser; only the named command's arguments are filled in."""
    parser = Parser(prog="fmnist-tui", description=fmnist_tui.__doc__, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=fmnist_tui.__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, about in COMMANDS.items():
        part = commands.add_parser(name, help=about, description=about)
        if name == command:
            _module(name).arguments(part)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; returns the exit status."""
    debug = "--debug" in arguments
    try:
        with _ended_by(signal.SIGTERM):
            return _dispatch([word for word in arguments if word != "--debug"], debug)
    except SystemExit as left:
        if isinstance(left.code, str):
            raise
        return left.code or 0
    except UserError as error:
        if debug:
            raise
        console.error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; leave without a second complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            raise
        console.error(f"{type(error).__name__}: {reason(error)} (--debug shows where)")
        return 1


@contextlib.contextmanager
def _ended_by(number: signal.Signals) -> Iterator[None]:
    """A signal that nothing below heeds better ends the command as Ctrl-C does: what is under
    way is given up in good order. Where somebody heeds or ignores it already, it stays so."""

    def end(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(number) is signal.SIG_DFL
    if ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        if ours:
            signal.signal(number, signal.SIG_DFL)


def _dispatch(arguments: list[str], debug: bool) -> int:
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ABOUT_ITSELF):
        on_terminal = sys.stdout.isatty() and sys.stdin.isatty()
        arguments = ["dashboard" if on_terminal else "train", *arguments]
    named = next((word for word in arguments if not word.startswith("-")), None)
    parser = build(named)
    args, unknown = parser.parse_known_args(_spelled_out(arguments, named))
    if unknown:
        raise UsageError(
            f"{safe_text(unknown[0])} is not known here{_near_flag(parser, args, unknown[0])}"
        )
    args.debug = debug
    runner: Callable[[argparse.Namespace], int] = _module(args.command).run
    return runner(args)


def _spelled_out(arguments: list[str], command: str | None) -> list[str]:
    """With the action that need not be named: `sweep FILE` is `sweep start FILE`."""
    if command not in COMMANDS:
        return arguments
    module = _module(command)
    place = arguments.index(command) + 1
    word = arguments[place] if place < len(arguments) else "--help"
    if not hasattr(module, "DEFAULT_ACTION") or word in (*module.ACTIONS, *ABOUT_ITSELF):
        return arguments
    return [*arguments[:place], module.DEFAULT_ACTION, *arguments[place:]]


def _near_flag(parser: argparse.ArgumentParser, args: argparse.Namespace, word: str) -> str:
    """The flags of the command (or of its action) that `word` may have meant."""
    flags: set[str] = set()
    for chosen in (args.command, getattr(args, "action", None)):
        inner = [part for part in parser._actions if isinstance(part, argparse._SubParsersAction)]
        if chosen is None or not inner:
            break
        parser = inner[0].choices[chosen]
        flags |= set(parser._option_string_actions)
    return near(word.partition("=")[0], flags)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"fmnist_tui.cli.commands.{name}")
