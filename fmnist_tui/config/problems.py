"""Problems of a config, and the error that lists them."""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.util.errors import UsageError
from fmnist_tui.util.text import safe_text

# Problems in a message, and characters of one; some list all models or settings.
SHOWN, MESSAGE_LIMIT = 20, 800


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """A problem of a config: the key, its value, and what is allowed."""

    key: str
    value: object
    message: str

    def __str__(self) -> str:
        key, message = safe_text(self.key, 80), safe_text(self.message, MESSAGE_LIMIT)
        return f"{key} = {format_setting(self.value)}: {message}"


class ConfigError(UsageError):
    """A config that cannot be used, with its problems, one per line: the first ones of many."""

    def __init__(self, problems: list[ConfigProblem], where: str = "") -> None:
        self.problems = problems
        prefix = f"{where}: " if where else ""
        lines = [f"{prefix}{problem}" for problem in problems[:SHOWN]]
        if len(problems) > SHOWN:
            lines.append(f"{prefix}and more problems like these")
        super().__init__("\n".join(lines))


def format_setting(value: object) -> str:
    """A setting's value as in TOML, shortened to fit a line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe_text(repr(value), 60)
