"""Which augmentation the pictures of Data are shown under, and what it is in words."""

from __future__ import annotations

from fmnist_tui.config import run_config as settings
from fmnist_tui.config.run_config import FIELDS, RunConfig
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.config_draft import default_values
from fmnist_tui.util.text import safe_text


def in_use(app_state: AppState) -> tuple[RunConfig, str]:
    """The config of the run on the bench, or else of the form on Train, and whose it is.

    Where that form has not been opened yet, it is what the form would begin with; raises
    UserError where that is impossible."""
    feed = app_state.feed
    if feed is not None and feed.config is not None:
        return feed.config, f"run {feed.name}"
    form = app_state.form
    config = form.config() if form is not None else None
    if config is not None:
        return config, f"{safe_text(config.recipe, 40)} on Train"
    config = RunConfig.build(default_values())
    return config, f"recipe {safe_text(config.recipe, 40)}"


def described(config: RunConfig) -> str:
    """`flip, shift 2`; empty where a config augments nothing."""
    found = []
    for name, field in FIELDS.items():
        value = getattr(config, name)
        if settings.setting_group(name) == "augmentation" and value != field.default:
            found.append(name if value is True else f"{name} {value:g}")
    return ", ".join(found)
