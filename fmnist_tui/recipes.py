"""Recipes: configs with a story and a claim, one TOML file each.

A recipe has `about`, a `[run]` table of RunConfig's keys and any number of
`[[claim]]` tables saying what the recipe must reach. A run folder's `config.toml`
is of the same form, with a `[made_with]` table instead of claims, so that it can be
given back to `--config`.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmnist_tui.config import FIELDS, ConfigError, Problem, RunConfig, parse
from fmnist_tui.errors import UserError, near, reason
from fmnist_tui.text import safe_text

DEFAULT = "two-conv"
ENV_PREFIX = "FMNIST_TUI_"
METRICS = ("test_accuracy", "val_accuracy", "group_accuracy")
NOT_SETTINGS = ("RUNS", "DATA", "OFFLINE", "CONFIGS", "ASSETS", "SETTINGS")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a recipe must reach: `metric` at least `at_least`, with `run` changed so."""

    metric: str
    at_least: float
    about: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named config, what it is for, and what it claims."""

    name: str
    about: str
    values: Mapping[str, Any]
    claims: tuple[Claim, ...] = ()

    def config(self, **changes: Any) -> RunConfig:
        values = {"recipe": self.name, **self.values, **changes}
        return RunConfig.build(values, f"recipe {self.name}")


def shipped(part: str) -> Path:
    """The folder `configs` or `assets`, in a checkout or inside the installed wheel."""
    inside = Path(__file__).parent / "_shipped" / part
    return inside if inside.is_dir() else Path(__file__).parent.parent / part


def names() -> tuple[str, ...]:
    """The recipes that come with the program."""
    return tuple(sorted(path.stem for path in shipped("configs").glob("*.toml")))


def load(name: str) -> Recipe:
    """A recipe by name; a UserError offers the near names."""
    if name not in names():
        hint = near(name, names())
        raise UserError(
            f"recipe {safe_text(name)!r} is not known{hint} (there are {', '.join(names())})"
        )
    return read(shipped("configs") / f"{name}.toml")


def read(path: Path) -> Recipe:
    """A recipe or a run's config.toml from a file, its form checked, its values not yet."""
    where = safe_text(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except FileNotFoundError:
        raise UserError(f"{where}: there is no such config file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not a readable TOML file: {safe_text(reason(error))}") from None
    known = ("about", "run", "claim", "made_with")
    found = [
        Problem(
            key, value, f"no such part of a config file{near(key, known)} (settings go under [run])"
        )
        for key, value in document.items()
        if key not in known
    ]
    values = document.get("run", {})
    if not isinstance(values, dict):
        found.append(Problem("run", values, "must be a table: [run]"))
    if found:
        raise ConfigError(found, where)
    claims = document.get("claim", [])
    if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
        raise ConfigError([Problem("claim", claims, "must be tables: [[claim]]")], where)
    return Recipe(
        name=str(values.get("recipe", path.stem)),
        about=str(document.get("about", "")),
        values=values,
        claims=tuple(_claim(claim, where) for claim in claims),
    )


def _claim(claim: Mapping[str, Any], where: str) -> Claim:
    found = [
        Problem(f"claim.{key}", value, "no such part of a claim")
        for key, value in claim.items()
        if key not in ("metric", "at_least", "about", "run")
    ]
    if claim.get("metric") not in METRICS:
        found.append(
            Problem("claim.metric", claim.get("metric"), f"must be one of {', '.join(METRICS)}")
        )
    least = claim.get("at_least")
    if not isinstance(least, float) or not 0 <= least <= 1:
        found.append(Problem("claim.at_least", least, "must be a fraction from 0 to 1"))
    if not isinstance(claim.get("run", {}), dict):
        found.append(Problem("claim.run", claim["run"], "must be a table"))
    if found or not isinstance(least, float):
        raise ConfigError(found, where)
    return Claim(claim["metric"], least, str(claim.get("about", "")), claim.get("run", {}))


def from_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Settings given as FMNIST_TUI_LR=0.01 and the like."""
    values: dict[str, Any] = {}
    for name, text in sorted(environment.items()):
        key = name.removeprefix(ENV_PREFIX)
        if key == name or key in NOT_SETTINGS:
            continue
        if key.lower() not in FIELDS:
            hint = near(name, (f"{ENV_PREFIX}{known.upper()}" for known in FIELDS))
            raise ConfigError([Problem(name, text, f"no such setting{hint}")], "environment")
        values[key.lower()] = parse(key.lower(), text)
    return values


def to_toml(config: RunConfig, made_with: Mapping[str, str | int | float] | None = None) -> str:
    """A config as a file that `read` takes back; keys that are none are left out."""
    lines = ["[run]"]
    for key, value in config.model_dump().items():
        if value is not None:
            lines.append(f"{key} = {_toml(value)}")
    if made_with:
        lines += [
            "",
            "[made_with]",
            *(f"{key} = {_toml(value)}" for key, value in made_with.items()),
        ]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is a TOML string, but for DEL, which JSON leaves as it is, and for
        # JSON's pairs of escapes beyond 16 bits, which are therefore not asked for.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    return repr(value)
