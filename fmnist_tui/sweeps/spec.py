"""Sweep files: a base config, a search space and how to search it, as TOML.

    about = "its purpose"
    recipe = "two-conv"          # the base; [run] changes it
    [run]
    epochs = 3
    [sweep]
    trials = 40
    [space.lr]
    low = 1e-4
    high = 1e-1
    log = true
    [promote]                    # settings that differ when a trial is trained in full
    epochs = 12

A sweep's run folder holds a `config.toml` of this form with every setting and a `[made_with]`
table; `fmnist-tui sweep` accepts it too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from fmnist_tui.config import recipes
from fmnist_tui.config import run_config as config
from fmnist_tui.config.problems import SHOWN, ConfigError, ConfigProblem, format_setting
from fmnist_tui.config.recipes import format_toml_value
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.sweeps.space import GRID_LIMIT, Dimension, parse_dimension
from fmnist_tui.util.errors import UsageError, UserError, did_you_mean, format_error
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text
from fmnist_tui.util.text_file import parse_toml, read_text

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "hyperband", "none")
NAME_LIMIT = 60
NAME_RULE = f"1 to {NAME_LIMIT} characters without a /"
_TABLES = ("about", "recipe", "run", "sweep", "space", "promote", "made_with")
NO_SETTINGS: Mapping[str, Any] = {}
NOT_PROMOTED = ("seed", "recipe", "dataset", "classes", "val_fraction", "split_seed")


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """A sweep: `base` with the settings in `space` varied.

    `trials` is the study's planned total, `startup` the number of random trials before the
    sampler and the pruner use earlier results, `timeout` the seconds after which a worker
    starts no further trial, `promote` the settings that differ when a trial is trained in full.
    """

    name: str
    base: RunConfig
    space: tuple[Dimension, ...]
    about: str = ""
    trials: int = 50
    sampler: str = "tpe"
    pruner: str = "median"
    startup: int = 8
    seed: int = 0
    timeout: float | None = None
    promote: Mapping[str, Any] = field(default_factory=dict)

    def trial_config(self, params: Mapping[str, Any], number: int) -> RunConfig:
        """The settings of a trial."""
        return self.base.changed(**params, recipe=self._trial_name(number))

    def promoted_config(self, params: Mapping[str, Any], number: int, **changes: Any) -> RunConfig:
        """The settings for training a trial in full."""
        values = {**params, **self.promote, **changes, "recipe": self._trial_name(number)}
        return self.base.changed(**values)

    def grid_size(self) -> int | None:
        """The number of points in a grid over the space; None if a dimension is continuous."""
        points = [dimension.points() for dimension in self.space]
        return None if None in points else math.prod(len(values or ()) for values in points)

    def differences(self, other: SweepSpec) -> list[str]:
        """The differences that keep the trials of two sweeps from being compared."""
        free = {key for key in config.FIELDS if config.setting_group(key) == "machine"} | {"recipe"}
        free |= {dimension.key for dimension in self.space}
        changed = [
            f"{key} {format_setting(mine)} against {format_setting(theirs)}"
            for key, (mine, theirs) in self.base.differences(other.base).items()
            if key not in free
        ]
        mine, theirs = (
            {dimension.key: dimension for dimension in spec.space} for spec in (self, other)
        )
        for key in dict.fromkeys((*mine, *theirs)):
            if mine.get(key) != theirs.get(key):
                values = [
                    dimension.describe() if dimension else "not varied"
                    for dimension in (mine.get(key), theirs.get(key))
                ]
                changed.append(f"{key} {values[0]} against {values[1]}")
        return changed

    def _trial_name(self, number: int) -> str:
        suffix = f"-{number}"
        return self.name[: NAME_LIMIT - len(suffix)] + suffix


def is_valid_name(text: str) -> bool:
    """Whether a study may have this name; a word with a / in it is read as a path."""
    return 0 < len(text.strip()) <= NAME_LIMIT and "/" not in text


def shipped_names() -> tuple[str, ...]:
    """The sweeps that come with the program."""
    return tuple(sorted(path.stem for path in _shipped().glob("*.toml")))


def load(
    source: str, changes: Mapping[str, Any] = NO_SETTINGS, defaults: Mapping[str, Any] = NO_SETTINGS
) -> SweepSpec:
    """A sweep from a file or by the name of a shipped one; see `parse`."""
    path, names = expand_home(source), shipped_names()
    if path.is_file() or "/" in source or source.endswith(".toml"):
        return read_file(path, changes, defaults)
    if source in names:
        return read_file(_shipped() / f"{source}.toml", changes, defaults)
    raise UserError(
        f"{safe_text(source, 80)} is neither a sweep file nor one that comes with the program"
        f"{did_you_mean(source, names)} (there are {', '.join(names)})"
    )


def read_file(
    path: Path, changes: Mapping[str, Any] = NO_SETTINGS, defaults: Mapping[str, Any] = NO_SETTINGS
) -> SweepSpec:
    """A sweep from a file; a ConfigError lists every problem with it."""
    where = safe_text(path)
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise UserError(f"{where}: there is no such sweep file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{where}: cannot be read: {format_error(error)}") from None
    return parse(text, where, path.stem, changes, defaults)


def parse(
    text: str,
    where: str,
    default_name: str = "sweep",
    changes: Mapping[str, Any] = NO_SETTINGS,
    defaults: Mapping[str, Any] = NO_SETTINGS,
) -> SweepSpec:
    """A sweep from the text of its file; `where` names the file in error messages.

    `changes` override settings of the base and must not be among those varied. `defaults` (from
    the environment) apply below the file's; varied settings in them are ignored."""
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise UserError(f"{where}: not a readable TOML file: {format_error(error)}") from None
    problems = list(islice(_layout_problems(document), SHOWN + 1))
    if problems:
        raise ConfigError(problems, where)
    base = _parse_base(document, where, {**defaults, **changes})
    table = document.get("sweep", {})
    problems += _sweep_problems(table)
    values = base.model_dump()
    parsed = [parse_dimension(key, part, values) for key, part in document["space"].items()]
    space = tuple(part for part in parsed if isinstance(part, Dimension))
    problems += [p for part in parsed if not isinstance(part, Dimension) for p in part]
    problems += [
        ConfigProblem(key, value, "is varied by this sweep")
        for key, value in changes.items()
        if key in document["space"]
    ]
    if not base.val_fraction:
        why = "validation decides which trial is best: must be above 0"
        problems.append(ConfigProblem("val_fraction", base.val_fraction, why))
    if base.devices > 1:
        why = "a trial has one device: must be 1 (--workers N trains N trials at the same time)"
        problems.append(ConfigProblem("devices", base.devices, why))
    promote, more = _parse_promote(document.get("promote", {}), base, document["space"])
    problems += more
    if problems:
        raise ConfigError(problems, where)
    values = {key: table[key] for key in _SWEEP_KEYS if key in table}
    spec = SweepSpec(
        base=base,
        space=space,
        about=str(document.get("about", "")),
        promote=promote,
        **{"name": default_name[:NAME_LIMIT], **values},
    )
    return _limit_grid(spec, where, has_trials="trials" in table)


def to_toml(spec: SweepSpec, made_with: Mapping[str, str | int | float] | None = None) -> str:
    """The text of a file with every setting, which `parse` reads back."""
    tables: dict[str, Mapping[str, Any]] = {
        "sweep": {key: getattr(spec, key) for key in _SWEEP_KEYS},
        **{f"space.{dimension.key}": dimension.to_table() for dimension in spec.space},
        "promote": {key: "none" if value is None else value for key, value in spec.promote.items()},
        "made_with": made_with or {},
    }
    lines = [f"about = {format_toml_value(spec.about)}", "", recipes.to_toml(spec.base)]
    for name, table in tables.items():
        if table:
            values = {key: value for key, value in table.items() if value is not None}
            lines += [f"[{name}]"]
            lines += [f"{key} = {format_toml_value(value)}" for key, value in values.items()]
            lines += [""]
    return "\n".join(lines)


def _shipped() -> Path:
    return recipes.shipped_folder("configs") / "sweeps"


# -- the tables of a file -----------------------------------------------------------------


def _layout_problems(document: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    for key, value in document.items():
        if key not in _TABLES:
            hint = did_you_mean(key, _TABLES)
            yield ConfigProblem(key, value, f"unknown key in a sweep file{hint}")
    for key in ("run", "sweep", "space", "promote"):
        if not isinstance(document.get(key, {}), dict):
            yield ConfigProblem(key, document[key], f"must be a table: [{key}]")
    if not isinstance(document.get("recipe", ""), str):
        yield ConfigProblem("recipe", document["recipe"], "must be a recipe's name")
    space = document.get("space", {})
    if isinstance(space, dict) and not space:
        yield ConfigProblem("space", {}, "is empty: vary at least one setting, as in [space.lr]")


def _parse_base(document: Mapping[str, Any], where: str, changes: Mapping[str, Any]) -> RunConfig:
    varied = document["space"]
    free = {key: value for key, value in changes.items() if key not in varied}
    run = document.get("run", {}) | free
    if "recipe" not in document:
        return RunConfig.build(run, where)
    recipe = recipes.load_recipe(document["recipe"])
    if recipe.stages:
        why = "consists of several runs, none of which can be varied alone"
        raise ConfigError([ConfigProblem("recipe", recipe.name, why)], where)
    device = {"device": run["device"]} if "device" in run else {}
    return RunConfig.build({**recipe.config(**device).model_dump(), **run}, where)


def _is_within(minimum: float, maximum: float, *types: type) -> Callable[[Any], bool]:
    # Not isinstance: True is an int.
    return lambda value: type(value) in types and minimum <= value <= maximum


# The keys of [sweep]: a check of the value, and what it must be.
_SWEEP_KEYS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "name": (lambda value: isinstance(value, str) and is_valid_name(value), NAME_RULE),
    "trials": (_is_within(1, 100_000, int), "a whole number from 1 to 100,000"),
    "sampler": (SAMPLERS.__contains__, f"one of {', '.join(SAMPLERS)}"),
    "pruner": (PRUNERS.__contains__, f"one of {', '.join(PRUNERS)}"),
    "startup": (_is_within(0, 100_000, int), "a whole number from 0 to 100,000"),
    "seed": (_is_within(0, 2**32 - 1, int), "a whole number from 0 to 4,294,967,295"),
    "timeout": (_is_within(1e-9, 1e9, int, float), "seconds, a number above 0"),
}


def _sweep_problems(table: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    for key, value in table.items():
        where = f"sweep.{key}"
        if key not in _SWEEP_KEYS:
            hint = did_you_mean(key, _SWEEP_KEYS)
            yield ConfigProblem(where, value, f"unknown key in [sweep]{hint}")
        elif not _SWEEP_KEYS[key][0](value):
            yield ConfigProblem(where, value, f"must be {_SWEEP_KEYS[key][1]}")


def _parse_promote(
    table: Mapping[str, Any], base: RunConfig, varied: Mapping[str, Any]
) -> tuple[dict[str, Any], list[ConfigProblem]]:
    """The settings in [promote]; TOML has no null, so "none" stands for it."""
    refused = dict.fromkeys(varied, "is varied by this sweep")
    refused |= dict.fromkeys(NOT_PROMOTED, "must be the same as in the trials")
    problems = [
        ConfigProblem(f"promote.{key}", value, refused[key])
        for key, value in table.items()
        if key in refused
    ]
    values = {
        key: config.parse_setting(key, value)
        if isinstance(value, str) and key in config.FIELDS and config.is_optional(key)
        else value
        for key, value in table.items()
    }
    if not problems:
        problems = [
            replace(problem, key=f"promote.{problem.key}")
            for problem in config.find_problems({**base.model_dump(), **values})
        ]
    return values, problems


def _limit_grid(spec: SweepSpec, where: str, *, has_trials: bool) -> SweepSpec:
    """A grid has as many trials as points, unless the file asks for fewer."""
    if spec.sampler != "grid":
        return spec
    continuous = [dimension.key for dimension in spec.space if dimension.points() is None]
    if continuous:
        why = "a grid needs choices or a step"
        raise ConfigError([ConfigProblem(f"space.{key}", "", why) for key in continuous], where)
    size = spec.grid_size() or 0
    if size > GRID_LIMIT:
        raise UsageError(
            f"{where}: this grid has {size:,} points, more than {GRID_LIMIT:,}: use larger steps"
        )
    return replace(spec, trials=min(size, spec.trials) if has_trials else size)
