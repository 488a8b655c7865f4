"""`fmnist-tui serve`: serve the dashboard to browsers on this machine, protected by a token."""

from __future__ import annotations

import argparse
import contextlib
import sys

from fmnist_tui.cli.support import console, options
from fmnist_tui.util.errors import UsageError, UserError

_LAST_PORT = 65_535
NOTICE = "open this address in a browser on this machine; Ctrl-C stops the server, runs continue"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_int(parser, "--port", 8000, "port; 0 picks a free one")
    about = "address to listen on, on this machine only [127.0.0.1]"
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=about)
    options.add_int(parser, "--visitors", 4, "most dashboards open at once")
    options.add_common(parser)


def run(args: argparse.Namespace) -> int:
    if not 0 <= args.port <= _LAST_PORT:
        raise UsageError(f"--port {args.port} must be from 0 to {_LAST_PORT}")
    if args.visitors < 1:
        raise UsageError(f"--visitors {args.visitors} must be 1 or more")
    try:
        from fmnist_tui.serve.server import ListenAddress, serve
    except ModuleNotFoundError as error:
        raise UserError(
            f"`serve` needs the package textual-serve ({error}): pip install textual-serve"
        ) from error

    def on_listening(address: ListenAddress) -> None:
        if args.json:
            console.print_json({"url": address.url, "token": address.token, "port": address.port})
        else:
            console.line(address.url)
            console.note(NOTICE)
        sys.stdout.flush()

    def on_message(message: str) -> None:
        # Without a terminal left to print to, the open dashboards must still be closed.
        with contextlib.suppress(OSError, ValueError):
            console.note(message)

    folders = (options.runs_dir(args), options.data_dir(args))
    return serve(args.host, args.port, args.visitors, *folders, on_listening, on_message)
