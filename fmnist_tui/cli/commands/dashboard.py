"""`fmnist-tui` and `fmnist-tui dashboard`: every screen over the engine."""

from __future__ import annotations

import argparse
import os
import sys

from fmnist_tui.cli.support import options
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UsageError

FRAMES = "500"


def arguments(parser: argparse.ArgumentParser) -> None:
    options.folders(parser)
    parser.add_argument(
        "--ascii", action="store_true", help="draw with ASCII alone [where the terminal says so]"
    )
    # How `serve` starts it for a browser.
    parser.add_argument("--in-browser", type=_size, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    return shown(args)


def shown(args: argparse.Namespace, attach: RunFolder | None = None) -> int:
    """Open the dashboard, on a run if one is given."""
    if args.in_browser is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the dashboard needs a terminal; `fmnist-tui train` trains without one")
    # Textual draws at most so often, and a key waits for its next turn, often for two.
    os.environ.setdefault("TEXTUAL_FPS", FRAMES)
    from fmnist_tui.tui.launch import open_dashboard
    from fmnist_tui.tui.state import config_draft
    from fmnist_tui.tui.terminal import ascii_filter

    # An invalid setting in the environment is reported before the screen opens.
    config_draft.usual()
    return open_dashboard(
        options.runs_dir(args),
        options.data_dir(args),
        ascii_only=args.ascii or (args.in_browser is None and ascii_filter.wanted()),
        attach=attach,
        size=args.in_browser,
        debug=args.debug,
    )


def _size(text: str) -> tuple[int, int]:
    """Columns and rows, as in 120x36."""
    columns, rows = text.split("x")
    return int(columns), int(rows)
