"""Sweeps as files: a base, a search space, and how it is searched; TOML as recipes are.

    about = "what it is for"
    recipe = "two-conv"          # the base; [run] changes it
    [run]
    epochs = 3
    [sweep]
    trials = 40
    [space.lr]
    low = 1e-4
    high = 1e-1
    log = true
    [promote]                    # what is different when a trial is trained in full
    epochs = 12

A sweep's run folder holds a `config.toml` of the same form, complete, with a `[made_with]`
table; it can be given back to `fmnist-tui sweep`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fmnist_tui.config import recipes
from fmnist_tui.config import run_config as config
from fmnist_tui.config.problems import ConfigError, ConfigProblem, format_setting
from fmnist_tui.config.recipes import toml_value
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.sweeps.space import GRID_LIMIT, Dimension, dimension
from fmnist_tui.util.errors import UsageError, UserError, near, reason
from fmnist_tui.util.paths import expanded
from fmnist_tui.util.text import safe_text

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "hyperband", "none")
NAME_LIMIT = 60
NAMES = f"1 to {NAME_LIMIT} characters without a /"
_PARTS = ("about", "recipe", "run", "sweep", "space", "promote", "made_with")
NOTHING: Mapping[str, Any] = {}
NOT_PROMOTED = ("seed", "recipe", "dataset", "classes", "val_fraction", "split_seed")


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """A sweep: `base` with the `space` varied.

    `trials` is how many the study is to have in all, `startup` how many of them are drawn at
    random before the sampler and the pruner judge by what was found, `timeout` after how
    many seconds a worker begins no further trial. `promote` is what is different when a
    trial is trained in full.
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

    def config(self, params: Mapping[str, Any], number: int) -> RunConfig:
        """The settings of a trial."""
        return self.base.changed(**params, recipe=self._named(number))

    def promoted(self, params: Mapping[str, Any], number: int, **changes: Any) -> RunConfig:
        """The settings of a trial trained in full."""
        values = {**params, **self.promote, **changes, "recipe": self._named(number)}
        return self.base.changed(**values)

    def points(self) -> int | None:
        """How many points a grid over the space has; None where there is no end of them."""
        count = 1
        for dimension_ in self.space:
            values = dimension_.points()
            if values is None:
                return None
            count *= len(values)
        return count

    def differences(self, other: SweepSpec) -> list[str]:
        """In what two sweeps differ that must agree for their trials to be compared."""
        free = {key for key in config.FIELDS if config.group(key) == "machine"} | {"recipe"}
        free |= {part.key for part in self.space}
        changed = [
            f"{key} {format_setting(mine)} against {format_setting(theirs)}"
            for key, (mine, theirs) in self.base.differences(other.base).items()
            if key not in free
        ]
        mine, theirs = ({part.key: part for part in spec.space} for spec in (self, other))
        for key in dict.fromkeys((*mine, *theirs)):
            if mine.get(key) != theirs.get(key):
                ends = [
                    part.told() if part else "not varied"
                    for part in (mine.get(key), theirs.get(key))
                ]
                changed.append(f"{key} {ends[0]} against {ends[1]}")
        return changed

    def _named(self, number: int) -> str:
        tail = f"-{number}"
        return self.name[: NAME_LIMIT - len(tail)] + tail


def is_name(text: str) -> bool:
    """Whether a study may be called so: what has a / in it is taken for a path."""
    return 0 < len(text.strip()) <= NAME_LIMIT and "/" not in text


def names() -> tuple[str, ...]:
    """The sweeps that come with the program."""
    return tuple(sorted(path.stem for path in _shipped().glob("*.toml")))


def load(
    given: str, changes: Mapping[str, Any] = NOTHING, usual: Mapping[str, Any] = NOTHING
) -> SweepSpec:
    """A sweep by the name of a shipped one, or from a file; see `parse`."""
    path = expanded(given)
    if path.is_file() or "/" in given or given.endswith(".toml"):
        return read(path, changes, usual)
    if given in names():
        return read(_shipped() / f"{given}.toml", changes, usual)
    known = names()
    raise UserError(
        f"{safe_text(given, 80)} is neither a sweep file nor one that comes with the program"
        f"{near(given, known)} (there are {', '.join(known)})"
    )


def read(
    path: Path, changes: Mapping[str, Any] = NOTHING, usual: Mapping[str, Any] = NOTHING
) -> SweepSpec:
    """A sweep from a file; ConfigError with every problem found in it."""
    where = safe_text(path)
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        raise UserError(f"{where}: there is no such sweep file") from None
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {safe_text(reason(error))}") from None
    return parse(text, where, path.stem, changes, usual)


def parse(
    text: str,
    where: str,
    otherwise: str = "sweep",
    changes: Mapping[str, Any] = NOTHING,
    usual: Mapping[str, Any] = NOTHING,
) -> SweepSpec:
    """A sweep from its text; `otherwise` is its name where it says none itself.

    `changes` are settings of the base that have been asked for besides, which must not be
    among those varied; of `usual` ones (the environment's) those that are varied are passed
    over."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not a readable TOML file: {safe_text(reason(error))}") from None
    found = list(_misplaced(document))
    if found:
        raise ConfigError(found, where)
    base = _base(document, where, {**usual, **changes})
    table = document.get("sweep", {})
    found += _wrong_parts(table)
    space, wrong = _space(document["space"], base)
    found += wrong
    found += [
        ConfigProblem(key, value, "is varied by this sweep")
        for key, value in changes.items()
        if key in document["space"]
    ]
    if not base.val_fraction:
        why = "validation decides which trial is best: must be above 0"
        found.append(ConfigProblem("val_fraction", base.val_fraction, why))
    promote, wrong = _promote(document.get("promote", {}), base, document["space"])
    found += wrong
    if found:
        raise ConfigError(found, where)
    spec = SweepSpec(
        name=str(table.get("name", otherwise))[:NAME_LIMIT],
        base=base,
        space=tuple(space),
        about=str(document.get("about", "")),
        promote=promote,
        **{key: table[key] for key in _LIMITS if key in table},
    )
    return _counted(spec, where, "trials" in table)


def to_toml(spec: SweepSpec, made_with: Mapping[str, str | int | float] | None = None) -> str:
    """A sweep as a file that `read` takes back, with every setting in it."""
    parts: dict[str, Mapping[str, Any]] = {
        "sweep": {key: getattr(spec, key) for key in ("name", *_LIMITS)},
        **{f"space.{dimension_.key}": dimension_.table() for dimension_ in spec.space},
        "promote": {key: "none" if value is None else value for key, value in spec.promote.items()},
        "made_with": made_with or {},
    }
    lines = [f"about = {toml_value(spec.about)}", "", recipes.to_toml(spec.base)]
    for name, table in parts.items():
        if table:
            lines.append(f"[{name}]")
            lines += [
                f"{key} = {toml_value(value)}" for key, value in table.items() if value is not None
            ]
            lines.append("")
    return "\n".join(lines)


def _shipped() -> Path:
    return recipes.shipped("configs") / "sweeps"


# -- the parts of a file -----------------------------------------------------------------


def _misplaced(document: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    for key, value in document.items():
        if key not in _PARTS:
            hint = near(key, _PARTS)
            yield ConfigProblem(key, value, f"no such part of a sweep file{hint}")
    for key in ("run", "sweep", "space", "promote"):
        if not isinstance(document.get(key, {}), dict):
            yield ConfigProblem(key, document[key], f"must be a table: [{key}]")
    if not isinstance(document.get("recipe", ""), str):
        yield ConfigProblem("recipe", document["recipe"], "must be a recipe's name")
    space = document.get("space", {})
    if isinstance(space, dict) and not space:
        yield ConfigProblem("space", {}, "is empty: vary at least one setting, as in [space.lr]")


def _base(document: Mapping[str, Any], where: str, changes: Mapping[str, Any]) -> RunConfig:
    varied = document["space"]
    run = {**document.get("run", {})}
    run |= {key: value for key, value in changes.items() if key not in varied}
    if "recipe" not in document:
        return RunConfig.build(run, where)
    recipe = recipes.load(document["recipe"])
    if recipe.stages:
        why = "is made of several runs, of which none can be varied alone"
        raise ConfigError([ConfigProblem("recipe", recipe.name, why)], where)
    device = {key: value for key, value in run.items() if key == "device"}
    return RunConfig.build({**recipe.config(**device).model_dump(), **run}, where)


_LIMITS: Mapping[str, tuple[type, float, str]] = {
    "trials": (int, 1, "a whole number from 1 to 100,000"),
    "sampler": (str, 0, f"one of {', '.join(SAMPLERS)}"),
    "pruner": (str, 0, f"one of {', '.join(PRUNERS)}"),
    "startup": (int, 0, "a whole number from 0 to 100,000"),
    "seed": (int, 0, "a whole number from 0 to 4,294,967,295"),
    "timeout": (float, 1e-9, "seconds, a number above 0"),
}
_MOST = {"trials": 100_000, "startup": 100_000, "seed": 2**32 - 1, "timeout": 1e9}
_WORDS = {"sampler": SAMPLERS, "pruner": PRUNERS}


def _wrong_parts(table: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    known = ("name", *_LIMITS)
    for key, value in table.items():
        where = f"sweep.{key}"
        if key not in known:
            yield ConfigProblem(where, value, f"no such part of [sweep]{near(key, known)}")
        elif key == "name":
            if not isinstance(value, str) or not is_name(value):
                yield ConfigProblem(where, value, f"must be {NAMES}")
        elif key in _WORDS:
            if value not in _WORDS[key]:
                yield ConfigProblem(where, value, f"must be {_LIMITS[key][2]}")
        elif not _within(key, value):
            yield ConfigProblem(where, value, f"must be {_LIMITS[key][2]}")


def _within(key: str, value: object) -> bool:
    kind, least, _ = _LIMITS[key]
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
        return False
    return least <= value <= _MOST[key]


def _space(
    table: Mapping[str, Any], base: RunConfig
) -> tuple[list[Dimension], list[ConfigProblem]]:
    space: list[Dimension] = []
    wrong: list[ConfigProblem] = []
    values = base.model_dump()
    for key, part in table.items():
        found = dimension(key, part, values)
        if isinstance(found, Dimension):
            space.append(found)
        else:
            wrong += found
    return space, wrong


def _promote(
    table: Mapping[str, Any], base: RunConfig, varied: Mapping[str, Any]
) -> tuple[dict[str, Any], list[ConfigProblem]]:
    """What [promote] changes; "none" stands for none, which TOML has no word for."""
    wrong = [
        ConfigProblem(f"promote.{key}", value, "must be as in the trials, or it is another task")
        for key, value in table.items()
        if key in NOT_PROMOTED
    ]
    wrong += [
        ConfigProblem(f"promote.{key}", value, "is varied by this sweep")
        for key, value in table.items()
        if key in varied
    ]
    values = {
        key: config.parse(key, value)
        if isinstance(value, str) and key in config.FIELDS and config.optional(key)
        else value
        for key, value in table.items()
    }
    if not wrong:
        wrong = [
            replace(problem, key=f"promote.{problem.key}")
            for problem in config.problems({**base.model_dump(), **values})
        ]
    return values, wrong


def _counted(spec: SweepSpec, where: str, said: bool) -> SweepSpec:
    """A grid has as many trials as it has points, unless fewer are asked for."""
    if spec.sampler != "grid":
        return spec
    endless = [part.key for part in spec.space if part.points() is None]
    if endless:
        why = "a grid needs choices or a step"
        raise ConfigError([ConfigProblem(f"space.{key}", "", why) for key in endless], where)
    points = spec.points() or 0
    if points > GRID_LIMIT:
        why = f"this grid has {points:,} points, {GRID_LIMIT:,} at most: use larger steps"
        raise UsageError(f"{where}: {why}")
    return replace(spec, trials=min(points, spec.trials) if said else points)
