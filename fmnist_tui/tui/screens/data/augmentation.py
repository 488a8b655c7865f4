"""Which augmentation the pictures of Data are shown under, and what it is in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmnist_tui.config import run_config as settings
from fmnist_tui.config.run_config import FIELDS, RunConfig
from fmnist_tui.tui.state.config_draft import ConfigDraft, usual
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.tui.app import Dashboard


def in_use(context: Dashboard) -> tuple[RunConfig, str]:
    """The config of the run on the bench, or else of the form on Train, and whose it is.

    Where that form has not been opened yet, it is what the form would begin with; raises
    UserError where that is impossible."""
    feed = context.app_state.feed
    if feed is not None and feed.config is not None:
        return feed.config, f"run {feed.name}"
    draft = _draft(context)
    config = draft.config() if draft is not None else None
    if config is not None:
        return config, f"{safe_text(config.recipe, 40)} on Train"
    config = RunConfig.build(usual())
    return config, f"recipe {safe_text(config.recipe, 40)}"


def described(config: RunConfig) -> str:
    """`flip, shift 2`; empty where a config augments nothing."""
    found = []
    for name, field in FIELDS.items():
        value = getattr(config, name)
        if settings.group(name) == "augmentation" and value != field.default:
            found.append(name if value is True else f"{name} {value:g}")
    return ", ".join(found)


def _draft(context: Dashboard) -> ConfigDraft | None:
    try:
        screens = context.get_screen_stack("train")
    except KeyError:
        return None
    drafts = (getattr(screen, "draft", None) for screen in screens)
    return next((draft for draft in drafts if isinstance(draft, ConfigDraft)), None)
