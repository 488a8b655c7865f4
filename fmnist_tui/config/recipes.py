"""Recipes: configs with a description and claims, one TOML file each.

A recipe has `about`, a `[run]` table with settings and `[[claim]]` tables with results that it
must reach. It may also have

- `[gpu]`: changes for training on an NVIDIA GPU;
- `[[stage]]` tables, each with a `name` and changes (`run`): a run per stage, each
  starting from the weights of the previous one, or from new ones (`start = "none"`);
- `[ensemble]`: a number of `seeds` to train and combine;
- `seeds`: the number of seeds that its claims are checked with.

A run folder's `config.toml` has the same format, with a `[made_with]` table instead of claims.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from itertools import islice, starmap
from pathlib import Path
from typing import Any, TypeGuard

from fmnist_tui.config import gpu_detect, run_config
from fmnist_tui.config.measurement import SECONDS, Measurement, add_up
from fmnist_tui.config.problems import SHOWN, ConfigError, ConfigProblem
from fmnist_tui.config.run_config import FIELDS, RunConfig, parse_setting
from fmnist_tui.util.errors import UserError, did_you_mean, format_error
from fmnist_tui.util.text import safe_text
from fmnist_tui.util.text_file import read_toml

DEFAULT_RECIPE = "two-conv"
ENV_PREFIX = "FMNIST_TUI_"
FROZEN = "frozen_unchanged"
METRICS = ("test_accuracy", "val_accuracy", "group_accuracy", *SECONDS, FROZEN)
KEYS = ("about", "seeds", "run", "gpu", "stage", "ensemble", "claim", "measured", "made_with")
MAX_SEEDS = 64
DEFAULT_SEEDS = 3
NOT_SETTINGS = (
    *("RUNS", "DATA", "OFFLINE", "CONFIGS", "ASSETS", "SETTINGS", "STEPS", "STORAGE"),
    *("NOTIFY_URL", "SWEEP_GROUP", "ANSWER_SECONDS"),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A bound on a metric of a stage (of the last run if empty), with changes (`run`).

    With `gpu` it is about runs on an NVIDIA GPU, or about those without one; None is any run. A
    `goal` is what the recipe is to reach and has not been measured to reach."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    about: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)
    stage: str = ""
    gpu: bool | None = None
    goal: bool = False

    def is_about(self, *, uses_gpu: bool) -> bool:
        """Whether it is about a run that uses a GPU, or one that does not."""
        return self.gpu in (None, uses_gpu)

    @property
    def bound(self) -> float:
        """The least or the greatest value that meets the claim."""
        bound = self.at_most if self.at_least is None else self.at_least
        return math.nan if bound is None else bound

    @property
    def bound_kind(self) -> str:
        return "at most" if self.at_least is None else "at least"

    def is_met_by(self, value: float) -> bool:
        return value <= self.bound if self.at_least is None else value >= self.bound


@dataclass(frozen=True, slots=True)
class Stage:
    """One of several linked runs, with its changes to the settings."""

    name: str
    run: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EnsembleMembers:
    """An ensemble of one training with several seeds, and its test-time augmentation."""

    seeds: int
    tta: str = "none"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named config with a description, claims, and the runs that it consists of."""

    name: str
    about: str
    values: Mapping[str, Any]
    claims: tuple[Claim, ...] = ()
    measured: tuple[Measurement, ...] = ()
    gpu: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    ensemble: EnsembleMembers | None = None
    seeds: int | None = None

    @property
    def summary(self) -> str:
        """What it is in a few words: the description up to its first colon."""
        return self.about.strip().split("\n")[0].partition(":")[0].removesuffix(".")

    @property
    def uses_gpu(self) -> bool:
        """Whether its settings for a GPU apply on this machine."""
        return bool(self.gpu) and gpu_detect.will_use_gpu(str(self.values.get("device", "auto")))

    @property
    def result(self) -> Measurement | None:
        """What was measured on a machine like this one; of a recipe with stages the last one, after
        the seconds of all. None if nothing was."""
        return add_up([each for each in self.measured if each.gpu == self.uses_gpu])

    def variants(self, device: str) -> list[list[Claim]]:
        """The claims about runs on a device, grouped by the training that they need."""
        groups: dict[str, list[Claim]] = {}
        uses_gpu = gpu_detect.will_use_gpu(device)
        for claim in self.claims:
            if claim.is_about(uses_gpu=uses_gpu):
                groups.setdefault(repr(sorted(claim.run.items())), []).append(claim)
        return list(groups.values())

    def config(self, **changes: Any) -> RunConfig:
        """The settings: the recipe's own, those for a GPU if one is used, and `changes`."""
        values = {"recipe": self.name, **self.values}
        device = changes.get("device", values.get("device", "auto"))
        if self.gpu and gpu_detect.will_use_gpu(str(device)):
            values.update(self.gpu)
        return RunConfig.build({**values, **changes}, f"recipe {safe_text(self.name, 60)}")


def shipped_folder(part: str) -> Path:
    """The folder `configs` or `assets`, in a checkout or inside the installed wheel."""
    inside = Path(__file__).parents[1] / "_shipped" / part
    return inside if inside.is_dir() else Path(__file__).parents[2] / part


def recipe_names() -> tuple[str, ...]:
    """The names of the shipped recipes and of those in the user's folder."""
    paths = (path for folder in _folders() for path in folder.glob("*.toml"))
    return tuple(sorted({path.stem for path in paths if path.is_file()}))


def load_recipe(name: str) -> Recipe:
    """A recipe by name; a UserError suggests similar names."""
    if name not in recipe_names():
        hint = did_you_mean(name, recipe_names())
        raise UserError(
            f"unknown recipe {safe_text(name)!r}{hint} (there are {', '.join(recipe_names())})"
        )
    paths = (folder / f"{name}.toml" for folder in _folders())
    return read_recipe(next(path for path in paths if path.is_file()))


def _folders() -> tuple[Path, ...]:
    """The folders of recipes; the user's recipes replace shipped ones of the same name."""
    folder = os.environ.get(f"{ENV_PREFIX}CONFIGS")
    if not folder:
        return (shipped_folder("configs"),)
    if not Path(folder).is_dir():
        raise UserError(f"{ENV_PREFIX}CONFIGS = {safe_text(folder)}: there is no such folder")
    return (Path(folder), shipped_folder("configs"))


def read_recipe(path: Path) -> Recipe:
    """A recipe or a run's config.toml; its structure is checked, its settings are not."""
    where = safe_text(path)
    try:
        document = read_toml(path)
    except FileNotFoundError:
        raise UserError(f"{where}: there is no such config file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{where}: not a readable TOML file: {format_error(error)}") from None
    if "space" in document:
        raise UserError(f"{where}: is a sweep, not the settings of a run; use `fmnist-tui sweep`")
    problems = _first(_find_structure_problems(document)) or _first(_find_problems(document))
    if problems:
        raise ConfigError(list(starmap(ConfigProblem, problems)), where)
    values = document.get("run", {})
    members = document.get("ensemble")
    return Recipe(
        name=str(values.get("recipe", path.stem)),
        about=str(document.get("about", "")),
        values=values,
        claims=tuple(Claim(**claim) for claim in document.get("claim", [])),
        measured=tuple(Measurement(**each) for each in document.get("measured", [])),
        gpu=document.get("gpu", {}),
        stages=tuple(Stage(stage["name"], stage["run"]) for stage in document.get("stage", [])),
        ensemble=EnsembleMembers(**members) if members else None,
        seeds=document.get("seeds"),
    )


# A key, its value and what is allowed.
Problem = tuple[str, object, str]


def _first(problems: Iterator[Problem]) -> list[Problem]:
    """No more than are shown: a file may have any number."""
    return [*islice(problems, SHOWN + 1)]


def _find_structure_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in document.items():
        if key not in KEYS:
            yield key, value, f"no such key{did_you_mean(key, KEYS)} (settings go under [run])"
    for key in ("run", "gpu", "ensemble"):
        if not isinstance(document.get(key, {}), dict):
            yield key, document[key], f"must be a table: [{key}]"
    for key in ("stage", "claim", "measured"):
        tables = document.get(key, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            yield key, tables, f"must be tables: [[{key}]]"


def _find_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems in the tables of a recipe, except for its settings."""
    stages, members = document.get("stage", []), document.get("ensemble")
    names = [stage.get("name") for stage in stages]
    if not _is_seed_count(document.get("seeds", 1), 1):
        yield "seeds", document["seeds"], f"must be a whole number from 1 to {MAX_SEEDS}"
    for stage in stages:
        yield from _find_unknown_keys("stage", stage, ("name", "run"))
        name, run = stage.get("name"), stage.get("run")
        if not isinstance(name, str) or not re.fullmatch(r"[\w-]{1,30}", name):
            yield "stage.name", name, "must be a word of 1 to 30 letters, digits, _ and -"
        elif names.count(name) > 1:
            yield "stage.name", name, "is the name of more than one stage"
        if not isinstance(run, dict):
            yield "stage.run", run, "must be a table of changed settings"
    if members is not None:
        yield from _find_unknown_keys("ensemble", members, ("seeds", "tta"))
        seeds, tta = members.get("seeds"), members.get("tta", "none")
        if not _is_seed_count(seeds, 2):
            yield "ensemble.seeds", seeds, f"must be a whole number from 2 to {MAX_SEEDS}"
        if tta not in run_config.setting_choices("tta"):
            yield "ensemble.tta", tta, f"must be {run_config.describe_allowed('tta')}"
        if stages:
            yield "ensemble", dict(members), "cannot be combined with stages"
    for claim in document.get("claim", []):
        yield from _find_claim_problems(claim, names)
    for measured in document.get("measured", []):
        yield from _find_measurement_problems(measured, names)


def _find_measurement_problems(
    measured: Mapping[str, Any], stages: list[object]
) -> Iterator[Problem]:
    parts = {part.name: part for part in fields(Measurement)}
    yield from _find_unknown_keys("measured", measured, tuple(parts))
    for key, part in parts.items():
        value = measured.get(key, part.default)
        if key in ("test_accuracy", "sd"):
            if not (_is_number(value) and 0 <= value <= 1):
                yield f"measured.{key}", measured.get(key), "must be a fraction from 0 to 1"
        elif key in SECONDS:
            if value is not None and not (_is_number(value) and 0 < value < math.inf):
                yield f"measured.{key}", measured.get(key), "must be a number of seconds"
        elif key == "seeds":
            if not _is_seed_count(value, 1):
                yield f"measured.{key}", value, f"must be a whole number from 1 to {MAX_SEEDS}"
        elif key == "parameters":
            if type(value) is not int or value < 0:
                yield "measured.parameters", value, "must be a whole number"
        elif key == "gpu":
            if not isinstance(value, bool):
                yield f"measured.{key}", value, "must be true or false"
        elif value is MISSING or not isinstance(value, str):
            yield f"measured.{key}", measured.get(key), "must be text"
    if not any(kind in measured for kind in SECONDS):
        yield "measured.warm_seconds", None, "set warm_seconds, train_seconds or both"
    if measured.get("stage", "") not in ("", *stages):
        yield "measured.stage", measured["stage"], "no such stage"


def _find_claim_problems(claim: Mapping[str, Any], stages: list[object]) -> Iterator[Problem]:
    yield from _find_unknown_keys("claim", claim, tuple(part.name for part in fields(Claim)))
    metric = claim.get("metric")
    if metric not in METRICS:
        yield "claim.metric", metric, f"must be one of {', '.join(METRICS)}"
    bounds = [key for key in ("at_least", "at_most") if key in claim]
    if len(bounds) != 1:
        yield "claim.at_least", claim.get("at_least"), "set either at_least or at_most"
    for key in bounds:
        value = claim[key]
        is_number = _is_number(value)
        if metric in SECONDS and not (is_number and 0 < value < math.inf):
            yield f"claim.{key}", value, "must be a number of seconds"
        elif metric not in SECONDS and not (is_number and 0 <= value <= 1):
            yield f"claim.{key}", value, "must be a fraction from 0 to 1"
    for key in ("gpu", "goal"):
        if not isinstance(claim.get(key, False), bool):
            yield f"claim.{key}", claim[key], "must be true or false"
    if not isinstance(claim.get("run", {}), dict):
        yield "claim.run", claim["run"], "must be a table"
    if not isinstance(claim.get("about", ""), str):
        yield "claim.about", claim["about"], "must be text"
    if claim.get("stage", "") not in ("", *stages):
        names = ", ".join(str(name) for name in stages) or "none"
        yield "claim.stage", claim["stage"], f"no such stage (there are {names})"


def _find_unknown_keys(
    part: str, table: Mapping[str, Any], keys: tuple[str, ...]
) -> Iterator[Problem]:
    for key, value in table.items():
        if key not in keys:
            yield f"{part}.{key}", value, f"no such key of a {part}{did_you_mean(key, keys)}"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_seed_count(value: object, least: int) -> bool:
    return type(value) is int and least <= value <= MAX_SEEDS


def settings_from_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Settings from variables such as FMNIST_TUI_LR=0.01."""
    values: dict[str, Any] = {}
    for name, text in sorted(environment.items()):
        key = name.removeprefix(ENV_PREFIX)
        if key == name or key in NOT_SETTINGS:
            continue
        if key.lower() not in FIELDS:
            hint = did_you_mean(name, (f"{ENV_PREFIX}{setting.upper()}" for setting in FIELDS))
            raise ConfigError([ConfigProblem(name, text, f"no such setting{hint}")], "environment")
        values[key.lower()] = parse_setting(key.lower(), text)
    return values


def to_toml(config: RunConfig, made_with: Mapping[str, str | int | float] | None = None) -> str:
    """A config as a file that `read_recipe` reads; settings that are none are left out."""
    values = {key: value for key, value in config.model_dump().items() if value is not None}
    text = f"[run]\n{format_toml_lines(values)}\n"
    return text + (f"\n[made_with]\n{format_toml_lines(made_with)}\n" if made_with else "")


def format_toml_lines(values: Mapping[str, object], prefix: str = "") -> str:
    """Keys and values of a TOML table."""
    return "\n".join(f"{prefix}{key} = {format_toml_value(value)}" for key, value in values.items())


def format_toml_value(value: object) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is a TOML string, except for DEL, which JSON does not escape, and for
        # surrogate pairs, which ensure_ascii=False avoids.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(format_toml_value(part) for part in value) + "]"
    return repr(value)
