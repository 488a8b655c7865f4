"""The settings in the form on Train while they are edited: valid, or with problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fmnist_tui.config import recipes
from fmnist_tui.config import run_config as config
from fmnist_tui.config.run_config import FIELDS, RunConfig
from fmnist_tui.util.sequences import next_item
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A row of the form: a group heading (without `value`), or a field."""

    name: str
    is_heading: bool = False
    value: str = ""
    # The value that it is compared with, where that is another.
    base: str = ""
    problem: str = ""


class ConfigDraft:
    """A value for every field of RunConfig; some may be invalid."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self.problems: dict[str, str] = {}
        self.reset(values or default_values())

    def reset(self, values: Mapping[str, Any]) -> None:
        """Replace all values, and compare with these from now on."""
        self.values: dict[str, Any] = {
            name: values.get(name, field.default) for name, field in FIELDS.items()
        }
        self._base: Mapping[str, Any] = dict(self.values)
        self._check()

    def compare_with(self, values: Mapping[str, Any]) -> None:
        """Show which values differ from these."""
        self._base = values

    def set(self, name: str, text: str) -> str:
        """Set a field from typed text; returns what is wrong with it, or an empty string."""
        self.values[name] = config.parse_setting(name, text)
        self._check()
        return self.problems.get(name, "")

    def cycle(self, name: str, by: int) -> bool:
        """Select the next or previous choice of a field; False if it has no choices."""
        words = config.setting_choices(name)
        if config.setting_type(name) is bool:
            self.values[name] = not self.values[name]
        elif words:
            self.values[name] = next_item(words, str(self.values[name]), by)
        else:
            return False
        self._check()
        return True

    def config(self) -> RunConfig | None:
        """The config, or None while there are problems."""
        return None if self.problems else RunConfig.build(self.values)

    def format_value(self, name: str) -> str:
        """A field's value as the user would type it."""
        value = self.values[name]
        # With all digits if fewer would be another number.
        if isinstance(value, float) and float(format_setting(value)) != value:
            return repr(value)
        return format_setting(value, config.absent_word(name))

    def differences(self) -> list[DraftRow]:
        """The fields whose value is not the one that it is compared with."""
        return [row for row in self.rows() if row.base]

    def rows(self) -> list[DraftRow]:
        """The rows of the form: every field under its group's heading."""
        rows: list[DraftRow] = []
        for group, names in groupby(FIELDS, config.setting_group):
            rows.append(DraftRow(group, is_heading=True))
            for name in names:
                absent, value = config.absent_word(name), self.values[name]
                before = self._base.get(name, value)
                base = format_setting(before, absent) if before != value else ""
                problem = self.problems.get(name, "")
                rows.append(DraftRow(name, False, format_setting(value, absent), base, problem))
        return rows

    def _check(self) -> None:
        # One problem for each field is enough.
        self.problems = {}
        for problem in config.find_problems(self.values):
            self.problems.setdefault(problem.key, safe_text(problem.message, 200))


def default_values() -> dict[str, Any]:
    """The settings of the default recipe, changed by the environment.

    Raises ConfigError if the environment has an invalid value."""
    recipe = recipes.load_recipe(recipes.DEFAULT_RECIPE)
    return recipe.config(**recipes.settings_from_environment()).model_dump()


def format_setting(value: Any, absent: str = "none") -> str:
    """A value as the user would type it; `absent` is the word for no value."""
    if value is None or value == "":
        return absent
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return ", ".join(str(part) for part in value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return safe_text(value)
