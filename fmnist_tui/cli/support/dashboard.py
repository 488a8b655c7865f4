"""Opening the dashboard, for `dashboard` and `attach`."""

from __future__ import annotations

import argparse
import math
import os
import sys

from fmnist_tui.cli.support import console, options
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util import paths
from fmnist_tui.util.errors import UsageError

# At most this many paints a second: a key waits for the next one, often for two.
FRAMES = "500"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_common(parser, json=False)
    add_ascii(parser)
    about = "lines of text and a prompt for words, no screen: for screen readers and pipes"
    parser.add_argument("--plain", action="store_true", help=about)
    about = "with --plain: tell of an epoch in progress this often, 0 for never [30]"
    parser.add_argument("--every", type=float, default=30.0, metavar="SECONDS", help=about)
    # Given by `serve`: the size of the browser's terminal.
    parser.add_argument("--in-browser", type=_parse_size, help=argparse.SUPPRESS)


def add_ascii(parser: argparse.ArgumentParser) -> None:
    about = "draw with ASCII characters only [on terminals without Unicode]"
    parser.add_argument("--ascii", action="store_true", help=about)


def open_dashboard(args: argparse.Namespace, attach: RunFolder | None = None) -> int:
    """Open the dashboard, on a run if one is given."""
    if args.plain:
        return _open_plain(args, attach)
    prepare(needs_terminal=args.in_browser is None)
    from fmnist_tui.tui import launch
    from fmnist_tui.tui.terminal import ascii_filter

    return launch.open_dashboard(
        options.runs_dir(args),
        options.data_dir(args),
        ascii_only=args.ascii or (args.in_browser is None and ascii_filter.needs_ascii()),
        attach=attach,
        size=args.in_browser,
        debug=args.debug,
    )


def open_tour(args: argparse.Namespace) -> int:
    """Open the tour."""
    prepare(needs_terminal=True)
    from fmnist_tui.tui import launch
    from fmnist_tui.tui.terminal import ascii_filter

    status = launch.open_tour(
        options.data_dir(args),
        ascii_only=args.ascii or ascii_filter.needs_ascii(),
        debug=args.debug,
    )
    console.note("the runs of the tour are removed; `fmnist-tui` opens the dashboard")
    return status


def prepare(needs_terminal: bool) -> None:
    """Report what would prevent the dashboard, before its screen opens, and import it."""
    if needs_terminal and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the dashboard needs a terminal; `fmnist-tui train` trains without one,"
            " `fmnist-tui --plain` takes words"
        )
    os.environ.setdefault("TEXTUAL_FPS", FRAMES)
    from fmnist_tui.tui.terminal.gc_tuning import no_collections

    with no_collections():
        from fmnist_tui.tui.state import config_draft

        # An invalid setting in the environment is reported before the screen opens.
        config_draft.default_values()
        from fmnist_tui.tui import launch  # noqa: F401


def _open_plain(args: argparse.Namespace, attach: RunFolder | None) -> int:
    from fmnist_tui.cli.plain.prompt import PlainPrompt

    runs_dir = options.runs_dir(args).absolute()
    # The commands that the prompt runs use the same folders.
    os.environ[paths.RUNS_VARIABLE] = str(runs_dir)
    os.environ[paths.DATA_VARIABLE] = str(options.data_dir(args).absolute())
    return PlainPrompt(runs_dir, args.every or math.inf).run(attach)


def _parse_size(text: str) -> tuple[int, int]:
    """Columns and rows, as in 120x36."""
    columns, rows = text.split("x")
    return int(columns), int(rows)
