"""What is wrong with a config: problems, and the error that lists them."""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.util.errors import UsageError
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong with a config: the key, its value, and what would be right."""

    key: str
    value: object
    message: str

    def __str__(self) -> str:
        return f"{safe_text(self.key)} = {format_setting(self.value)}: {self.message}"


class ConfigError(UsageError):
    """A config that cannot be used, with every problem found in it, one a line."""

    def __init__(self, problems: list[ConfigProblem], where: str = "") -> None:
        self.problems = problems
        prefix = f"{where}: " if where else ""
        super().__init__("\n".join(f"{prefix}{problem}" for problem in problems))


def format_setting(value: object) -> str:
    """A config value as TOML would have it, short enough for a line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe_text(repr(value), 60)
