"""The keys that the benchmark presses on each screen, and the text that answers each.

An answer must be text that nothing else draws: a training in progress draws all the time.
"""

from __future__ import annotations

from dataclasses import dataclass

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
HOME = "\x1b[H"
# The row of a run, drawn when the cursor enters or leaves it. The bar above shows no state.
RUN_ROW = r"(?:running|finished) +two-conv"
# A letter that is on no screen
RARE_LETTER = "ж"


@dataclass(frozen=True, slots=True)
class KeyProbe:
    """`setup` opens the screen, `keys` are pressed in turn; each has the pattern of its answer."""

    screen: str
    setup: tuple[tuple[str, str], ...]
    keys: tuple[tuple[str, str], ...]


PROBES = (
    KeyProbe("data", (("1", "#0"),), ((RIGHT, r"#\d+ of "), (LEFT, r"#\d+ of "))),
    KeyProbe(
        "train",
        (("2", "name of the recipe"),),
        ((DOWN, "seed of"), (UP, "name of the recipe")),
    ),
    KeyProbe("runs", (("6", "finished"),), ((DOWN, RUN_ROW), (UP, RUN_ROW))),
    # The second run has ended: it has predictions.
    KeyProbe(
        "evaluate",
        (("6", "finished"), (HOME, "."), (DOWN, RUN_ROW), ("\r", "true .* predicted")),
        ((RIGHT, "true .* predicted "), (LEFT, "true .* predicted ")),
    ),
    KeyProbe("errors", (("4", r"#\d+ of "),), ((RIGHT, r"#\d+ of "), (LEFT, r"#\d+ of "))),
    KeyProbe("sweep", (("7", "complete"),), ((DOWN, "complete"), (UP, "complete"))),
    # Last, because no key leaves its text field
    KeyProbe("predict", (("5", "image file"), ("\r", ".")), ((RARE_LETTER, RARE_LETTER),)),
)
