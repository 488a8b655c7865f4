"""The status of a run as a sign, a colour and a few words."""

from __future__ import annotations

from fmnist_tui.protocol.events import LRFIND
from fmnist_tui.protocol.validation import find_validation
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.status_line import ACCURACY, EPOCH, NAME, STATUS, StatusLine, job_status
from fmnist_tui.util.formatting import format_count, format_percent

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


def run_status(feed: RunFeed, jobs: str = "") -> StatusLine:
    """`● two-conv 7f3a  ep 3/5  91.2 % val`, after the running jobs."""
    state = feed.state
    words = [(feed.name, NAME)]
    if feed.is_live and feed.kind == LRFIND:
        words.append((format_percent(state.fraction, 0), EPOCH))
    elif state.started is not None and feed.is_live:
        epochs = state.started.epochs
        words.append((f"ep {min(state.epochs_done + 1, epochs)}/{epochs}", EPOCH))
    if feed.status.partition(",")[0] not in ("training", "validating"):
        words.append((feed.status, STATUS))
    if (val := find_validation(state)) is not None:
        words.append((f"{val.format(1)} val", ACCURACY))
    if state.unreadable_lines:
        words.append((format_count(state.unreadable_lines, "unreadable line"), NAME))
    return StatusLine(status_mark(feed.status), tuple(words), job_status(jobs) if jobs else None)
