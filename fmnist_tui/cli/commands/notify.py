"""`fmnist-tui notify`: who is told that a run has ended, has failed or stalls."""

from __future__ import annotations

import argparse
from dataclasses import replace

from fmnist_tui.cli.support import console, options
from fmnist_tui.config import notifications
from fmnist_tui.config.notifications import Notifications
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.formatting import format_duration
from fmnist_tui.util.paths import format_path

TEST = "this is how you are told of your runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for name, part in options.add_actions(parser, ACTIONS):
        if name == "set":
            about = (
                "the address to tell, by a POST: a topic of ntfy gets text, any other JSON with"
                " event, run, host, accuracies and text; empty for none."
                f" {notifications.VARIABLE} replaces it"
            )
            part.add_argument("--url", metavar="URL", help=about)
            about = "what the dashboard's terminal does: ring, or show a notification"
            part.add_argument("--terminal", choices=notifications.TERMINAL, help=about)
            default = f"[{notifications.STALL_SECONDS:.0f}]"
            about = f"a run without progress for so long stalls; 0: none does {default}"
            part.add_argument("--stall", type=float, metavar="SECONDS", help=about)
        options.add_json(part)


def run(args: argparse.Namespace) -> int | None:
    return ACTIONS[args.action][1](args)


def _show(args: argparse.Namespace) -> None:
    settings = notifications.load_notifications()
    if settings.problem:
        console.note(settings.problem)
    if args.json:
        document = console.pick(settings, "terminal", "stall_seconds")
        console.print_json({"place": settings.place or None, **document})
        return
    stall = format_duration(settings.stall_seconds, units=True)
    console.line(f"address   {settings.place or 'none'}")
    console.line(f"terminal  {settings.terminal}")
    console.line(f"stalls    {f'after {stall}' if settings.stall_seconds else 'not watched'}")
    console.line(f"settings  {format_path(notifications.notifications_file())}")


def _set(args: argparse.Namespace) -> None:
    # The file, not what the environment says.
    settings = notifications.load_notifications({})
    if settings.problem:
        raise UserError(settings.problem)
    if args.url is not None:
        url = notifications.check_url(args.url.strip()) if args.url.strip() else ""
        settings = replace(settings, url=url)
    if args.terminal is not None:
        settings = replace(settings, terminal=args.terminal)
    if args.stall is not None:
        settings = replace(settings, stall_seconds=notifications.check_stall(args.stall))
    if settings == notifications.load_notifications({}):
        raise UsageError("nothing to change: give --url URL, --terminal MODE or --stall SECONDS")
    notifications.save_notifications(settings)
    _show(args)


def _test(args: argparse.Namespace) -> None:
    """Tell the address and the terminal now."""
    settings = notifications.load_notifications()
    if settings.problem:
        raise UserError(settings.problem)
    if not settings.url and settings.terminal == notifications.OFF:
        raise UserError("nobody is told yet: `fmnist-tui notify set --url URL` or --terminal bell")
    console.attract(settings.terminal, TEST)
    if settings.url:
        _send_test(settings)
    message = f"told {settings.place}" if settings.url else f"terminal: {settings.terminal}"
    document = {"place": settings.place or None, "terminal": settings.terminal}
    console.print_done(args.json, document, message)


def _send_test(settings: Notifications) -> None:
    from fmnist_tui.engine.run import notifier

    message = {"program": "fmnist-tui", "event": "test", "text": f"fmnist-tui: {TEST}"}
    if problem := notifier.send(settings, message):
        raise UserError(f"{settings.place}: {problem}")


ACTIONS: options.Actions = {
    "show": ("show who is told, without the secret part of the address", _show),
    "set": ("change who is told of the end, the failure or the stall of a run", _set),
    "test": ("tell them now that this works", _test),
}
