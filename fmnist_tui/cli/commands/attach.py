"""`fmnist-tui attach [RUN]`: the dashboard, opened on a live run."""

from __future__ import annotations

import argparse

from fmnist_tui.cli.commands import dashboard
from fmnist_tui.cli.support import options
from fmnist_tui.runs.listing import list_runs, resolve
from fmnist_tui.util.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run [the newest live one]")
    dashboard.arguments(parser)


def run(args: argparse.Namespace) -> int:
    runs_dir = options.runs_dir(args)
    if args.run is not None:
        return dashboard.shown(args, resolve(runs_dir, args.run))
    live = [summary.run for summary in list_runs(runs_dir) if summary.is_live]
    if not live:
        raise UserError("no run is going on; `fmnist-tui runs list` shows those there are")
    return dashboard.shown(args, live[0])
