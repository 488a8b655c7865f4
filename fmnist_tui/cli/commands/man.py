"""`fmnist-tui man`: show the manual page, or print its source where there is no terminal."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile

from fmnist_tui.cli.main import build_parser
from fmnist_tui.cli.reference.man_page import format_page
from fmnist_tui.cli.support import console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    about = "print the page as a file for man: fmnist-tui.1"
    parser.add_argument("--source", action="store_true", help=about)


def run(args: argparse.Namespace) -> int:
    page = format_page(build_parser)
    if args.source or not sys.stdout.isatty() or shutil.which("man") is None:
        console.drawing([page.rstrip("\n")])
        return 0
    with tempfile.NamedTemporaryFile("w", suffix=".1", encoding="utf-8") as file:
        file.write(page)
        file.flush()
        return subprocess.run(["man", file.name], check=False).returncode
