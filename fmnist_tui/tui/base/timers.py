"""One-shot timers that always fire.

Textual drops a one-shot timer if more than its delay passes while it starts, because the process
got no CPU time or collected garbage. A change of screens holds back all drawing until such a
timer fires: if it is dropped, nothing is drawn any more.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from textual.message_pump import MessagePump
from textual.timer import Timer


def keep_one_shot_timers() -> None:
    """Let the timers of `set_timer` fire late rather than never, those of Textual as well."""
    set_timer = MessagePump.set_timer

    @wraps(set_timer)
    def set_kept_timer(self: MessagePump, *args: Any, **options: Any) -> Timer:
        timer = set_timer(self, *args, **options)
        timer._skip = False  # read when the timer's task begins
        return timer

    MessagePump.set_timer = set_kept_timer  # type: ignore[method-assign]
