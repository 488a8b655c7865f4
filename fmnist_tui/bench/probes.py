"""Which keys the benchmark presses on each screen, and how it knows that they were answered.

The answer to a key must be something that nothing else draws: a training that goes on
draws all the time.
"""

from __future__ import annotations

from dataclasses import dataclass

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
HOME, SHIFT_TAB = "\x1b[H", "\x1b[Z"
# The row of a run, as drawn when the cursor comes to it or goes; the bar above has no state.
NAME = r"(?:running|finished) +two-conv"
# A letter that no screen shows by itself.
TYPED = "ж"


@dataclass(frozen=True, slots=True)
class KeyProbe:
    """`before` leads to the screen, `keys` go round; each is a key and what it has drawn."""

    screen: str
    before: tuple[tuple[str, str], ...]
    keys: tuple[tuple[str, str], ...]


PROBES = (
    KeyProbe("data", (("1", "#0"),), ((RIGHT, r"#\d+ of "), (LEFT, r"#\d+ of "))),
    KeyProbe(
        "train",
        (("2", "settings"), (SHIFT_TAB, "."), (HOME, "name of the recipe")),
        ((DOWN, "seed of"), (UP, "name of the recipe")),
    ),
    KeyProbe("runs", (("6", "finished"),), ((DOWN, NAME), (UP, NAME))),
    # The run that has ended is the second: it has predictions to look at.
    KeyProbe(
        "evaluate",
        (("6", "finished"), (HOME, "."), (DOWN, NAME), ("\r", "true .* predicted")),
        ((RIGHT, "true .* predicted "), (LEFT, "true .* predicted ")),
    ),
    KeyProbe("errors", (("4", r"#\d+ of "),), ((RIGHT, r"#\d+ of "), (LEFT, r"#\d+ of "))),
    KeyProbe("sweep", (("7", "complete"),), ((DOWN, "complete"), (UP, "complete"))),
    # The last: from its line no key leads to another screen.
    KeyProbe("predict", (("5", "picture"), ("\r", ".")), ((TYPED, TYPED),)),
)
