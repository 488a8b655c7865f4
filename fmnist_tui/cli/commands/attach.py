"""`fmnist-tui attach [RUN]`: open the dashboard on a live run."""

from __future__ import annotations

import argparse

from fmnist_tui.cli.support import dashboard, options
from fmnist_tui.runs.listing import list_runs
from fmnist_tui.util.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run [the newest live one]")
    dashboard.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    if args.run is not None:
        return dashboard.open_dashboard(args, options.find_run(args))
    live = [summary.run for summary in list_runs(options.require_runs_dir(args)) if summary.is_live]
    if not live:
        raise UserError("no run is live; `fmnist-tui runs list` shows all runs")
    return dashboard.open_dashboard(args, live[0])
