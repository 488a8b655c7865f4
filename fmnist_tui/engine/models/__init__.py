"""The models, one file each: the file name is the model's name, its `build` builds one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model is built for: its images and classes, and its hidden width and dropout."""

    channels: int
    size: int
    classes: int
    width: float = 1.0
    dropout: float = 0.0

    def wide(self, count: int) -> int:
        """Scale a hidden width by the config's `width`."""
        return max(1, round(count * self.width))
