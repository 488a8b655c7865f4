"""`fmnist-tui tour`: two minutes through all screens of the dashboard."""

from __future__ import annotations

import argparse

from fmnist_tui.cli.support import dashboard, options

run = dashboard.open_tour


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_common(parser, runs=False, json=False)
    dashboard.add_ascii(parser)
