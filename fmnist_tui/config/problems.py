"""Problems of a config, and the error that lists them."""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.util.errors import UsageError
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """A problem of a config: the key, its value, and what is allowed."""

    key: str
    value: object
    message: str

    def __str__(self) -> str:
        return f"{safe_text(self.key)} = {format_setting(self.value)}: {self.message}"


class ConfigError(UsageError):
    """A config that cannot be used, with all its problems, one per line."""

    def __init__(self, problems: list[ConfigProblem], where: str = "") -> None:
        self.problems = problems
        prefix = f"{where}: " if where else ""
        super().__init__("\n".join(f"{prefix}{problem}" for problem in problems))


def format_setting(value: object) -> str:
    """A setting's value as in TOML, shortened to fit a line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe_text(repr(value), 60)
