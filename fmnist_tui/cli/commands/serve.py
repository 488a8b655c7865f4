"""`fmnist-tui serve`: the dashboard in a browser, on loopback, with a token."""

from __future__ import annotations

import argparse
import contextlib
import sys

from fmnist_tui.cli.support import console, options
from fmnist_tui.util.errors import UsageError, UserError

PORT, VISITORS = 8000, 4
_LAST_PORT = 65_535


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=int, default=PORT, metavar="N", help=f"port [{PORT}]; 0 for any free one"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address of this machine alone [127.0.0.1]",
    )
    parser.add_argument(
        "--visitors",
        type=int,
        default=VISITORS,
        metavar="N",
        help=f"dashboards open at once, at most [{VISITORS}]",
    )
    options.folders(parser)
    options.as_json(parser)


def run(args: argparse.Namespace) -> int:
    if not 0 <= args.port <= _LAST_PORT:
        raise UsageError(f"--port {args.port} must be from 0 to {_LAST_PORT}")
    if args.visitors < 1:
        raise UsageError(f"--visitors {args.visitors} must be 1 or more")
    try:
        from fmnist_tui.serve.server import ListenAddress, serve
    except ModuleNotFoundError as error:
        raise UserError(
            f"serving needs the package textual-serve ({error}); pip install textual-serve"
        ) from error

    def listening(place: ListenAddress) -> None:
        if args.json:
            console.document({"url": place.url, "token": place.token, "port": place.port})
        else:
            print(place.url)
            console.note(
                "open this address in a browser on this machine; Ctrl-C ends the server, runs go on"
            )
        sys.stdout.flush()

    def told(message: str) -> None:
        # The terminal may have gone, and the visitors are still to be seen off.
        with contextlib.suppress(OSError, ValueError):
            console.note(message)

    return serve(
        args.host,
        args.port,
        args.visitors,
        options.runs_dir(args),
        options.data_dir(args),
        listening,
        told,
    )
