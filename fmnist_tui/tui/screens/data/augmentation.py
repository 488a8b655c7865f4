"""The augmentation that the Data screen shows."""

from __future__ import annotations

from fmnist_tui.config import run_config
from fmnist_tui.config.run_config import FIELDS, RunConfig
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.config_draft import default_values
from fmnist_tui.util.text import safe_text


def current_config(app_state: AppState) -> tuple[RunConfig, str]:
    """The config of the followed run, else of Train's form, else its defaults; and its source.

    Raises UserError if the defaults are invalid."""
    if app_state.feed is not None and app_state.feed.config is not None:
        return app_state.feed.config, f"run {app_state.feed.name}"
    config = app_state.form.config() if app_state.form is not None else None
    if config is not None:
        return config, f"{safe_text(config.recipe, 40)} on Train"
    config = RunConfig.build(default_values())
    return config, f"recipe {safe_text(config.recipe, 40)}"


def describe_augmentation(config: RunConfig) -> str:
    """`flip, shift 2`; empty for a config without augmentation."""
    values = {name: getattr(config, name) for name in FIELDS}
    return ", ".join(
        name if value is True else f"{name} {value:g}"
        for name, value in values.items()
        if run_config.setting_group(name) == "augmentation" and value != FIELDS[name].default
    )
