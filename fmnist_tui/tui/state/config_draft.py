"""The settings of a run to come, as they are being written: right, or wrong with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fmnist_tui.config import recipes
from fmnist_tui.config import run_config as config
from fmnist_tui.config.run_config import FIELDS, RunConfig
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A line of the form: a heading (no `value`), or a field."""

    name: str
    heading: bool = False
    value: str = ""
    changed: bool = False
    problem: str = ""


class ConfigDraft:
    """Values for every field of RunConfig, some perhaps not (yet) possible."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self.values: dict[str, Any] = {}
        self._base: dict[str, Any] = {}
        self.problems: dict[str, str] = {}
        self.take(values or usual())

    def take(self, values: Mapping[str, Any]) -> None:
        """Begin anew from these values; what differs from them later is shown as changed."""
        defaults = {name: field.default for name, field in FIELDS.items()}
        self.values = {**defaults, **{name: values[name] for name in FIELDS if name in values}}
        self._base = dict(self.values)
        self._check()

    def set(self, name: str, text: str) -> str:
        """Give a field a value as it is typed; what is wrong with it, if anything is."""
        self.values[name] = config.parse(name, text)
        self._check()
        return self.problems.get(name, "")

    def step(self, name: str, by: int) -> bool:
        """Go to the next or previous choice of a field; False where it has none."""
        words: tuple[str, ...] = config.choices(name)
        if config.kind(name) is bool:
            self.values[name] = not self.values[name]
        elif words:
            now = str(self.values[name])
            place = words.index(now) + by if now in words else 0
            self.values[name] = words[place % len(words)]
        else:
            return False
        self._check()
        return True

    def config(self) -> RunConfig | None:
        """The config, if all is right."""
        return None if self.problems else RunConfig.build(self.values)

    def text(self, name: str) -> str:
        """A field's value as it is typed."""
        value = self.values[name]
        # With all its digits where fewer would be another number.
        if isinstance(value, float) and float(shown(value)) != value:
            return repr(value)
        return shown(value)

    def rows(self) -> list[DraftRow]:
        """The form's lines: every field under its group's heading."""
        rows: list[DraftRow] = []
        group = ""
        for name in FIELDS:
            if config.group(name) != group:
                group = config.group(name)
                rows.append(DraftRow(group, heading=True))
            rows.append(
                DraftRow(
                    name,
                    value=shown(self.values[name]),
                    changed=self.values[name] != self._base[name],
                    problem=self.problems.get(name, ""),
                )
            )
        return rows

    def _check(self) -> None:
        # Where several fields do not go together the first reason for each is enough.
        self.problems = {}
        for problem in config.problems(self.values):
            self.problems.setdefault(problem.key, safe_text(problem.message, 200))


def usual() -> dict[str, Any]:
    """What a run is made of where nobody says otherwise: the default recipe, changed by the
    environment. Raises ConfigError where that holds something impossible."""
    recipe = recipes.load(recipes.DEFAULT)
    return recipe.config(**recipes.from_environment()).model_dump()


def shown(value: Any) -> str:
    """A value as a person would type it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return ", ".join(str(part) for part in value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return safe_text(value)
