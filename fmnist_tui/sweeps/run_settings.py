"""The settings of a run of any kind, as its config file has them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmnist_tui.config import recipes
from fmnist_tui.config.problems import format_setting
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE, SWEEP
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps.spec import SweepSpec
from fmnist_tui.util.formatting import format_count, format_duration
from fmnist_tui.util.text_file import read_toml

# The beginning of what an ensemble's config says of each of its members.
MEMBER = "member_"
# What an ensemble shares with all its members, or decides itself. The rest of its config is that
# of its first member.
_OF_AN_ENSEMBLE = (
    *("recipe", "dataset", "classes", "val_fraction", "split_seed", "input_size", "colour"),
    *("tta", "device"),
)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The config of a run; `varied` maps the settings that a sweep varies to their ranges.

    `search` says in words how a sweep searches, `members` are the names of an ensemble's runs,
    each with its checkpoint."""

    kind: str
    config: RunConfig
    varied: Mapping[str, str] = field(default_factory=dict)
    search: Mapping[str, str] = field(default_factory=dict)
    members: tuple[tuple[str, str], ...] = ()

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
        varied = {part.key: part.describe() for part in spec.space}
        return RunSettings(kind, spec.base, varied, _describe_search(spec))
    config = recipes.read_recipe(folder.config).config()
    members = tuple(_read_members(folder)) if kind == ENSEMBLE else ()
    return RunSettings(kind, config, members=members)


def _describe_search(spec: SweepSpec) -> dict[str, str]:
    words = {
        "sampler": spec.sampler,
        "pruner": spec.pruner,
        "startup": format_count(spec.startup, "random trial"),
    }
    if spec.timeout is not None:
        words["timeout"] = format_duration(spec.timeout, units=True)
    if spec.promote:
        changes = (f"{name} {format_setting(value)}" for name, value in spec.promote.items())
        words["promote"] = ", ".join(changes)
    return words


def _read_members(folder: RunFolder) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(OSError, ValueError):
        made_with = read_toml(folder.config).get("made_with", {})
        for key, value in made_with.items() if isinstance(made_with, dict) else ():
            if key.startswith(MEMBER) and (words := str(value).split()):
                yield Path(words[0]).name, "".join(words[1:2])


def differing_settings(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of the settings that are not the same in all runs that have them."""
    first: dict[str, Any] = {}
    settings = [setting for values in runs for setting in values.items()]
    names = {name for name, value in settings if first.setdefault(name, value) != value}
    return [name for name in RunConfig.model_fields if name in names]
