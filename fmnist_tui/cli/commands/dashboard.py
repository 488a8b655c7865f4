"""`fmnist-tui` and `fmnist-tui dashboard`: open the dashboard."""

from fmnist_tui.cli.support.dashboard import add_arguments, open_dashboard

__all__ = ["add_arguments", "run"]

run = open_dashboard
