"""`python -m fmnist_tui` and the `fmnist-tui` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; the value is the exit status."""
    from fmnist_tui.util.standard_streams import prepare_streams

    prepare_streams()
    from fmnist_tui.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
