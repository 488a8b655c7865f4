"""Opening the dashboard, for `dashboard` and `attach`."""

from __future__ import annotations

import argparse
import os
import sys

from fmnist_tui.cli.support import options
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UsageError

# At most this many paints a second: a key waits for the next one, often for two.
FRAMES = "500"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_common(parser, json=False)
    about = "draw with ASCII characters only [on terminals without Unicode]"
    parser.add_argument("--ascii", action="store_true", help=about)
    # Given by `serve`: the size of the browser's terminal.
    parser.add_argument("--in-browser", type=_parse_size, help=argparse.SUPPRESS)


def open_dashboard(args: argparse.Namespace, attach: RunFolder | None = None) -> int:
    """Open the dashboard, on a run if one is given."""
    if args.in_browser is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the dashboard needs a terminal; `fmnist-tui train` trains without one")
    os.environ.setdefault("TEXTUAL_FPS", FRAMES)
    from fmnist_tui.tui import launch
    from fmnist_tui.tui.state import config_draft
    from fmnist_tui.tui.terminal import ascii_filter

    # An invalid setting in the environment is reported before the screen opens.
    config_draft.default_values()
    return launch.open_dashboard(
        options.runs_dir(args),
        options.data_dir(args),
        ascii_only=args.ascii or (args.in_browser is None and ascii_filter.needs_ascii()),
        attach=attach,
        size=args.in_browser,
        debug=args.debug,
    )


def _parse_size(text: str) -> tuple[int, int]:
    """Columns and rows, as in 120x36."""
    columns, rows = text.split("x")
    return int(columns), int(rows)
