"""Recipes: configs with a story and a claim, one TOML file each.

A recipe has `about`, a `[run]` table of RunConfig's keys and any number of `[[claim]]`
tables saying what the recipe must reach. Beyond that it may have

- `[gpu]`: what is different where the training is done by an NVIDIA GPU;
- `[[stage]]` tables, each with a `name` and changes (`run`): as many runs one after
  another, the later beginning with the weights of the one before;
- `[ensemble]`: so many `seeds`, trained one after another and then asked as one;
- `seeds`: over how many seeds its claims are checked.

What such a recipe comes to is a `plans.Plan`. A run folder's `config.toml` is of the same
form, with a `[made_with]` table instead of claims, so that it can be given back to
`--config`.
"""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fmnist_tui.config import gpu_detect
from fmnist_tui.config.problems import ConfigError, ConfigProblem
from fmnist_tui.config.run_config import (
    FIELDS,
    RunConfig,
    allowed,
    choices,
    parse,
)
from fmnist_tui.util.errors import UserError, did_you_mean, reason
from fmnist_tui.util.text import safe_text

DEFAULT = "two-conv"
ENV_PREFIX = "FMNIST_TUI_"
METRICS = (
    "test_accuracy",
    "val_accuracy",
    "group_accuracy",
    "train_seconds",
    "frozen_unchanged",
)
SECONDS = "train_seconds"
PARTS = ("about", "seeds", "run", "gpu", "stage", "ensemble", "claim", "made_with")
MOST_SEEDS = 64
# So many runs show whether a claim is kept, where a recipe does not say otherwise.
SEEDS = 3
NOT_SETTINGS = ("RUNS", "DATA", "OFFLINE", "CONFIGS", "ASSETS", "SETTINGS", "STEPS", "STORAGE")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a recipe must reach: a metric at least or at most so much, of its stage of that
    name (of the whole where there is none), with `run` changed so."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    about: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)
    stage: str = ""

    @property
    def bound(self) -> float:
        """The figure that is claimed, the least or the most that may be."""
        found = self.at_most if self.at_least is None else self.at_least
        return math.nan if found is None else found

    def kept_by(self, value: float) -> bool:
        return value <= self.bound if self.at_least is None else value >= self.bound


@dataclass(frozen=True, slots=True)
class Stage:
    """One of several linked runs, by what is different in it."""

    name: str
    run: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Members:
    """An ensemble of one training with so many seeds, asked by these views of an image."""

    seeds: int
    tta: str = "none"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named config, what it is for, what it claims, and how many runs make it."""

    name: str
    about: str
    values: Mapping[str, Any]
    claims: tuple[Claim, ...] = ()
    gpu: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    ensemble: Members | None = None
    seeds: int | None = None

    @property
    def variants(self) -> list[list[Claim]]:
        """The claims, together where the same training shows them."""
        found: dict[str, list[Claim]] = {}
        for claim in self.claims:
            found.setdefault(repr(sorted(claim.run.items())), []).append(claim)
        return list(found.values())

    def config(self, **changes: Any) -> RunConfig:
        """The settings of one training: the recipe's own, those for a GPU where one will
        train, then the changes."""
        values = {"recipe": self.name, **self.values}
        device = changes.get("device", values.get("device", "auto"))
        if self.gpu and gpu_detect.trains(str(device)):
            values.update(self.gpu)
        return RunConfig.build({**values, **changes}, f"recipe {self.name}")


def shipped(part: str) -> Path:
    """The folder `configs` or `assets`, in a checkout or inside the installed wheel."""
    inside = Path(__file__).parents[1] / "_shipped" / part
    return inside if inside.is_dir() else Path(__file__).parents[2] / part


def names() -> tuple[str, ...]:
    """The recipes that come with the program, and those in a folder of the user's own."""
    return tuple(sorted({path.stem for folder in _folders() for path in folder.glob("*.toml")}))


def load(name: str) -> Recipe:
    """A recipe by name; a UserError offers the near names."""
    if name not in names():
        hint = did_you_mean(name, names())
        raise UserError(
            f"recipe {safe_text(name)!r} is not known{hint} (there are {', '.join(names())})"
        )
    paths = (folder / f"{name}.toml" for folder in _folders())
    return read(next(path for path in paths if path.is_file()))


def _folders() -> tuple[Path, ...]:
    """Where recipes are looked for; the user's come before the program's of the same name."""
    own = os.environ.get(f"{ENV_PREFIX}CONFIGS")
    if not own:
        return (shipped("configs"),)
    if not Path(own).is_dir():
        raise UserError(f"{ENV_PREFIX}CONFIGS = {safe_text(own)}: there is no such folder")
    return (Path(own), shipped("configs"))


def read(path: Path) -> Recipe:
    """A recipe or a run's config.toml from a file, its form checked, its values not yet."""
    where = safe_text(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except FileNotFoundError:
        raise UserError(f"{where}: there is no such config file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not a readable TOML file: {safe_text(reason(error))}") from None
    if "space" in document:
        raise UserError(
            f"{where}: is a sweep, not the settings of one run; `fmnist-tui sweep` takes it"
        )
    found = [
        ConfigProblem(
            key,
            value,
            f"no such part of a config file{did_you_mean(key, PARTS)} (settings go under [run])",
        )
        for key, value in document.items()
        if key not in PARTS
    ]
    for part in ("run", "gpu", "ensemble"):
        if not isinstance(document.get(part, {}), dict):
            found.append(ConfigProblem(part, document[part], f"must be a table: [{part}]"))
    for part in ("stage", "claim"):
        tables = document.get(part, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            found.append(ConfigProblem(part, tables, f"must be tables: [[{part}]]"))
    if not found:
        found = list(_faults(document))
    if found:
        raise ConfigError(found, where)
    values = document.get("run", {})
    members = document.get("ensemble")
    return Recipe(
        name=str(values.get("recipe", path.stem)),
        about=str(document.get("about", "")),
        values=values,
        claims=tuple(Claim(**claim) for claim in document.get("claim", [])),
        gpu=document.get("gpu", {}),
        stages=tuple(Stage(stage["name"], stage["run"]) for stage in document.get("stage", [])),
        ensemble=Members(**members) if members else None,
        seeds=document.get("seeds"),
    )


def _faults(document: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """What is wrong inside the parts of a recipe that say how it is trained and checked."""
    stages, members = document.get("stage", []), document.get("ensemble")
    stage_names = [stage.get("name") for stage in stages]
    if not _count(document.get("seeds", 1), 1):
        yield ConfigProblem(
            "seeds", document["seeds"], f"must be a whole number from 1 to {MOST_SEEDS}"
        )
    for stage in stages:
        yield from _unknown("stage", stage, ("name", "run"))
        name = stage.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[\w-]{1,30}", name):
            yield ConfigProblem(
                "stage.name", name, "must be a word of 1 to 30 letters, digits, _ and -"
            )
        elif stage_names.count(name) > 1:
            yield ConfigProblem("stage.name", name, "is the name of two stages")
        if not isinstance(stage.get("run"), dict):
            yield ConfigProblem(
                "stage.run", stage.get("run"), "must be a table of what is different"
            )
    if members is not None:
        yield from _unknown("ensemble", members, ("seeds", "tta"))
        if not _count(members.get("seeds"), 2):
            least = f"must be a whole number from 2 to {MOST_SEEDS}"
            yield ConfigProblem("ensemble.seeds", members.get("seeds"), least)
        if members.get("tta", "none") not in choices("tta"):
            yield ConfigProblem("ensemble.tta", members["tta"], f"must be {allowed('tta')}")
        if stages:
            yield ConfigProblem("ensemble", dict(members), "is not for recipes with stages")
    for claim in document.get("claim", []):
        yield from _claim_faults(claim, stage_names)


def _claim_faults(claim: Mapping[str, Any], stages: list[object]) -> Iterator[ConfigProblem]:
    yield from _unknown("claim", claim, tuple(part.name for part in fields(Claim)))
    metric = claim.get("metric")
    if metric not in METRICS:
        yield ConfigProblem("claim.metric", metric, f"must be one of {', '.join(METRICS)}")
    bounds = [key for key in ("at_least", "at_most") if key in claim]
    if len(bounds) != 1:
        yield ConfigProblem(
            "claim.at_least", claim.get("at_least"), "give it, or at_most; one of them"
        )
    for key in bounds:
        number = isinstance(claim[key], (int, float)) and not isinstance(claim[key], bool)
        if metric == SECONDS and not (number and 0 < claim[key] < math.inf):
            yield ConfigProblem(f"claim.{key}", claim[key], "must be a number of seconds")
        elif metric != SECONDS and not (number and 0 <= claim[key] <= 1):
            yield ConfigProblem(f"claim.{key}", claim[key], "must be a fraction from 0 to 1")
    if not isinstance(claim.get("run", {}), dict):
        yield ConfigProblem("claim.run", claim["run"], "must be a table")
    if not isinstance(claim.get("about", ""), str):
        yield ConfigProblem("claim.about", claim["about"], "must be text")
    if claim.get("stage", "") not in ("", *stages):
        known = ", ".join(str(name) for name in stages) or "none"
        yield ConfigProblem("claim.stage", claim["stage"], f"no such stage (there are {known})")


def _unknown(
    part: str, table: Mapping[str, Any], known: tuple[str, ...]
) -> Iterator[ConfigProblem]:
    for key, value in table.items():
        if key not in known:
            yield ConfigProblem(
                f"{part}.{key}", value, f"no such part of a {part}{did_you_mean(key, known)}"
            )


def _count(value: object, least: int) -> bool:
    return type(value) is int and least <= value <= MOST_SEEDS


def from_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Settings given as FMNIST_TUI_LR=0.01 and the like."""
    values: dict[str, Any] = {}
    for name, text in sorted(environment.items()):
        key = name.removeprefix(ENV_PREFIX)
        if key == name or key in NOT_SETTINGS:
            continue
        if key.lower() not in FIELDS:
            hint = did_you_mean(name, (f"{ENV_PREFIX}{known.upper()}" for known in FIELDS))
            raise ConfigError([ConfigProblem(name, text, f"no such setting{hint}")], "environment")
        values[key.lower()] = parse(key.lower(), text)
    return values


def to_toml(config: RunConfig, made_with: Mapping[str, str | int | float] | None = None) -> str:
    """A config as a file that `read` takes back; keys that are none are left out."""
    lines = ["[run]"]
    for key, value in config.model_dump().items():
        if value is not None:
            lines.append(f"{key} = {toml_value(value)}")
    if made_with:
        lines += [
            "",
            "[made_with]",
            *(f"{key} = {toml_value(value)}" for key, value in made_with.items()),
        ]
    return "\n".join(lines) + "\n"


def toml_value(value: object) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is a TOML string, but for DEL, which JSON leaves as it is, and for
        # JSON's pairs of escapes beyond 16 bits, which are therefore not asked for.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(toml_value(part) for part in value) + "]"
    return repr(value)
