"""The networks, one file each: a file's name is the model's, its `build` makes one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model must fit: the images it is given and the classes it tells apart."""

    channels: int
    size: int
    classes: int
    width: float = 1.0
    dropout: float = 0.0

    def wide(self, count: int) -> int:
        """A hidden width, scaled by the config's `width`."""
        return max(1, round(count * self.width))
