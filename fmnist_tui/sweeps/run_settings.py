"""The settings of a run of any kind, as its config file has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE, SWEEP
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import spec as specs

# What an ensemble shares with all its members, or decides itself. The rest of its config is that
# of its first member.
_OF_AN_ENSEMBLE = (
    *("recipe", "dataset", "classes", "val_fraction", "split_seed", "input_size", "colour"),
    *("tta", "device"),
)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The config of a run; `varied` maps the settings that a sweep varies to their ranges."""

    kind: str
    config: RunConfig
    varied: Mapping[str, str] = field(default_factory=dict)

    @property
    def own(self) -> dict[str, Any]:
        """The settings that hold for the run as a whole, ranges as text."""
        values = self.config.model_dump()
        if self.kind == ENSEMBLE:
            return {name: values[name] for name in _OF_AN_ENSEMBLE}
        return {**values, **self.varied}


def read_run_settings(folder: RunFolder, kind: str) -> RunSettings:
    """The settings of a run of this kind; a UserError if they cannot be read."""
    if kind == SWEEP:
        spec = specs.read_file(folder.config)
        return RunSettings(kind, spec.base, {part.key: part.describe() for part in spec.space})
    return RunSettings(kind, recipes.read_recipe(folder.config).config())


def differing_settings(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of the settings that are not the same in all runs that have them."""
    first: dict[str, Any] = {}
    settings = [setting for values in runs for setting in values.items()]
    names = {name for name, value in settings if first.setdefault(name, value) != value}
    return [name for name in RunConfig.model_fields if name in names]
