"""The status of a run as a sign, a colour and a few words."""

from __future__ import annotations

from textual.content import Content

from fmnist_tui.protocol.events import LRFIND
from fmnist_tui.protocol.validation import find_validation
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.formatting import format_count, format_percent
from fmnist_tui.util.text import safe_text

_ENDS = {
    "finished": ("✓", "$success"),
    "stopped": ("○", "$warning"),
    "detached": ("▸", "$warning"),
    "failed": ("✗", "$error"),
    "crashed": ("✗", "$error"),
    "not started": ("✗", "$error"),
    "empty": ("○", "$foreground-muted"),
    "paused": ("‖", "$warning"),
    "stopping": ("○", "$warning"),
}


def status_mark(status: str) -> tuple[str, str]:
    """A sign and a colour for a run's status; the sign alone tells them apart."""
    return _ENDS.get(status, ("●", "$success"))


def run_status(feed: RunFeed) -> Content:
    """`● two-conv 7f3a ep 3/5 91.2 % val`."""
    state = feed.state
    sign, colour = status_mark(feed.status)
    parts = [feed.name]
    if feed.is_live and feed.kind == LRFIND:
        parts.append(format_percent(state.fraction, 0))
    elif state.started is not None and feed.is_live:
        epochs = state.started.epochs
        parts.append(f"ep {min(state.epochs_done + 1, epochs)}/{epochs}")
    if feed.status not in ("training", "validating"):
        parts.append(feed.status)
    if (val := find_validation(state)) is not None:
        parts.append(f"{val.format(1)} val")
    if state.unreadable_lines:
        parts.append(format_count(state.unreadable_lines, "unreadable line"))
    return Content.assemble((sign, colour), " ", safe_text("  ".join(parts)), " ")
