"""The search space of a sweep: settings varied within a range or among choices."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fmnist_tui.config import run_config
from fmnist_tui.config.problems import ConfigProblem, format_setting
from fmnist_tui.util.errors import did_you_mean

Value = bool | int | float | str

# The largest number of grid points accepted.
GRID_LIMIT = 10_000
CHOICE_LIMIT = 1000
_BOUNDS = ("low", "high", "log", "step")
_NOT_VARIED = {
    "run": "names and seeds are fixed: `sweep promote` varies the seed",
    "data": "every trial must be evaluated on the same images: set it under [run]",
    "machine": "it does not change what is learned: set it under [run]",
}
_EPOCHS_FIXED = "trials are compared epoch by epoch: set it under [run]"


@dataclass(frozen=True, slots=True)
class Dimension:
    """A varied setting: one of `choices`, or a number from `low` to `high`."""

    key: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None

    @property
    def is_integer(self) -> bool:
        """Whether its values are integers in a range."""
        return not self.choices and run_config.setting_type(self.key) is int

    def position(self, value: object) -> float:
        """A value's position on a plot's axis, 0 to 1."""
        if self.choices:
            last = len(self.choices) - 1
            return self.choices.index(value) / last if last and value in self.choices else 0.5
        low, high, at = self.low, self.high, float(value) if _is_number(value) else self.low  # type: ignore[arg-type]
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(max(at, 1e-300))
        return min(1.0, max(0.0, (at - low) / (high - low)))

    def points(self) -> tuple[Value, ...] | None:
        """Every value it can have; None if they are continuous."""
        if self.choices:
            return self.choices
        step = self.step or (1 if self.is_integer and not self.log else None)
        if step is None:
            return None
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        if self.is_integer:
            return tuple(int(self.low + number * step) for number in range(count))
        # Rounded, because sums of decimal steps are inexact.
        return tuple(float(f"{self.low + number * step:.12g}") for number in range(count))

    def describe(self) -> str:
        """`1e-4 … 0.1, log` or `adamw, sgd`."""
        if self.choices:
            return ", ".join(format_value(choice) for choice in self.choices)
        extra = ", log" if self.log else ""
        extra += f", step {format_value(self.step)}" if self.step else ""
        return f"{format_value(self.low)} … {format_value(self.high)}{extra}"

    def to_table(self) -> dict[str, Any]:
        """Its table in a sweep file."""
        if self.choices:
            return {"choices": self.choices}
        number = int if self.is_integer else float
        table: dict[str, Any] = {"low": number(self.low), "high": number(self.high)}
        table |= {"log": True} if self.log else {}
        return table | ({"step": number(self.step)} if self.step else {})


def format_value(value: object) -> str:
    """A parameter's value in few characters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return format_setting(value).strip("'") if isinstance(value, str) else format_setting(value)


def parse_dimension(
    key: str, table: object, base: Mapping[str, Any]
) -> Dimension | list[ConfigProblem]:
    """The dimension that `[space.KEY]` describes, or the problems with it."""
    problems = list(_key_problems(key, table))
    if problems or not isinstance(table, Mapping):
        return problems
    if "choices" in table:
        problems = list(_choice_problems(key, table, base))
        return problems or Dimension(key, tuple(_typed(key, value) for value in table["choices"]))
    problems = list(_range_problems(key, table, base))
    if problems:
        return problems
    step = table.get("step")
    return Dimension(
        key,
        low=float(table["low"]),
        high=float(table["high"]),
        log=bool(table.get("log", False)),
        step=float(step) if step is not None else None,
    )


def _key_problems(key: str, table: object) -> Iterator[ConfigProblem]:
    """Keys that cannot be varied, values that are not tables, unknown parts."""
    where = f"space.{key}"
    if key not in run_config.FIELDS:
        yield ConfigProblem(where, table, f"no such setting{did_you_mean(key, run_config.FIELDS)}")
    elif key == "epochs":
        yield ConfigProblem(where, table, _EPOCHS_FIXED)
    elif why := _NOT_VARIED.get(run_config.setting_group(key)):
        yield ConfigProblem(where, table, f"cannot be varied: {why}")
    elif not isinstance(table, Mapping):
        why = f"must be a table [{where}] with low and high, or choices"
        yield ConfigProblem(where, table, why)
    else:
        known = (*_BOUNDS, "choices")
        for name, value in table.items():
            if name not in known:
                hint = did_you_mean(name, known)
                yield ConfigProblem(f"{where}.{name}", value, f"unknown key{hint}")
        others = [name for name in table if name in _BOUNDS]
        if "choices" in table and others:
            why = f"choices cannot be combined with {', '.join(others)}"
            yield ConfigProblem(where, dict(table), why)


def _choice_problems(
    key: str, table: Mapping[str, Any], base: Mapping[str, Any]
) -> Iterator[ConfigProblem]:
    where, choices = f"space.{key}.choices", table["choices"]
    allowed = run_config.describe_allowed(key)
    if not isinstance(choices, list) or not choices:
        yield ConfigProblem(where, choices, f"must be a list, each item {allowed}")
        return
    if len(choices) > CHOICE_LIMIT:
        yield ConfigProblem(where, choices[:3], f"has more than {CHOICE_LIMIT:,} choices")
        return
    typed = [_typed(key, choice) for choice in choices]
    for index, choice in enumerate(typed):
        if any(type(other) is type(choice) and other == choice for other in typed[:index]):
            yield ConfigProblem(where, choice, "is listed twice")
        elif not isinstance(choice, (bool, int, float, str)):
            yield ConfigProblem(where, choice, f"must be {allowed}")
        else:
            yield from _value_problems(where, key, choice, base)


def _range_problems(
    key: str, table: Mapping[str, Any], base: Mapping[str, Any]
) -> Iterator[ConfigProblem]:
    where = f"space.{key}"
    if run_config.setting_type(key) not in (int, float):
        why = f"needs choices, each {run_config.describe_allowed(key)}"
        yield ConfigProblem(where, dict(table), why)
        return
    kind = "a whole number" if run_config.setting_type(key) is int else "a number"
    missing = [name for name in ("low", "high") if name not in table]
    if missing:
        yield ConfigProblem(where, dict(table), f"needs {' and '.join(missing)}, or choices")
    for name in ("low", "high", "step"):
        value = table.get(name)
        if name in table and not _is_valid_number(key, value):
            yield ConfigProblem(f"{where}.{name}", value, f"must be {kind}")
            return
    if not isinstance(table.get("log", False), bool):
        yield ConfigProblem(f"{where}.log", table["log"], "must be true or false")
        return
    if missing:
        return
    low, high, step = table["low"], table["high"], table.get("step")
    if low >= high:
        yield ConfigProblem(f"{where}.low", low, f"must be below high ({format_setting(high)})")
        return
    if table.get("log") and low <= 0:
        yield ConfigProblem(f"{where}.low", low, "must be above 0 when log = true")
        return
    if step is not None and table.get("log"):
        yield ConfigProblem(f"{where}.step", step, "cannot be used with log = true")
    elif step is not None and not 0 < step <= high - low:
        yield ConfigProblem(f"{where}.step", step, "must be above 0, at most high − low")
    for name in ("low", "high"):
        yield from _value_problems(f"{where}.{name}", key, _typed(key, table[name]), base)


def _value_problems(
    where: str, key: str, value: Value, base: Mapping[str, Any]
) -> Iterator[ConfigProblem]:
    """RunConfig's problems with this value, the other settings being those of the base."""
    for problem in run_config.find_problems({**base, key: value}):
        if problem.key == key:
            yield ConfigProblem(where, value, problem.message)


def _typed(key: str, value: Any) -> Any:
    """The value, an int converted where the setting is a float."""
    is_int = isinstance(value, int) and not isinstance(value, bool) and _fits_float(value)
    return float(value) if is_int and run_config.setting_type(key) is float else value


def _is_valid_number(key: str, value: object) -> bool:
    is_whole = isinstance(value, int) or run_config.setting_type(key) is not int
    return _is_number(value) and is_whole and _fits_float(value)  # type: ignore[arg-type]


def _fits_float(value: float) -> bool:
    """Whether it is finite, and not a whole number that is too large for a float."""
    return abs(value) <= sys.float_info.max


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
