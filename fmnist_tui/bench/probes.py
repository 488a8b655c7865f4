"""Which keys the benchmark presses on each screen, and how it knows that they were answered.

The answer to a key must be something that nothing else draws: a training that goes on
draws all the time.
"""

from __future__ import annotations

from dataclasses import dataclass

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
# A letter that no screen shows by itself.
TYPED = "ж"


@dataclass(frozen=True, slots=True)
class Probe:
    """`before` leads to the screen, `keys` go round; each is a key and what it has drawn."""

    screen: str
    before: tuple[tuple[str, str], ...]
    keys: tuple[tuple[str, str], ...]


PROBES = (
    Probe("data", (("1", "#0"),), ((RIGHT, r"#\d+ of "), (LEFT, r"#\d+ of "))),
    Probe(
        "train",
        (("2", "name of the recipe"), ("\x1b[Z", "."), ("\x1b[H", "name of the recipe")),
        ((DOWN, "seed of weights"), (UP, "name of the recipe")),
    ),
    Probe("runs", (("6", "finished"),), ((DOWN, "finished"), (UP, "finished"))),
    Probe(
        "evaluate",
        (("3", "true.*pred"),),
        ((RIGHT, "true .* predicted "), (LEFT, "true .* predicted ")),
    ),
    Probe("errors", (("4", "wrong"),), ((RIGHT, r"#\d+ of "), (LEFT, r"#\d+ of "))),
    Probe("predict", (("5", "picture"), ("\r", ".")), ((TYPED, TYPED),)),
)
