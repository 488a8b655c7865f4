"""What can be copied from Train."""

from __future__ import annotations

from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import FIELDS
from fmnist_tui.protocol.events import LRFIND
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.protocol.validation import find_validation
from fmnist_tui.tui.base.copying import CopyTable, ToCopy, repeat_command
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.config_draft import ConfigDraft
from fmnist_tui.util.formatting import format_number, format_percent

HEADINGS = ("epoch", "step", "train loss", "train accuracy", "val loss", "val accuracy", "seconds")


def training_to_copy(app_state: AppState, draft: ConfigDraft, field: str) -> ToCopy:
    """The form's `field` if it has the keyboard, or else the run's figure; the table of epochs,
    and `train` for the same settings."""
    feed = app_state.feed
    value = f"{field} = {draft.format_value(field)}" if field else ""
    if feed is None or feed.folder is None:
        return ToCopy(value, command=_train_command(app_state, draft))
    if not field and (validation := find_validation(feed.state)) is not None:
        value = f"{feed.name}: {validation.format()} val"
    command = "train" if feed.kind != LRFIND else "lrfind"
    config = f"--config={feed.folder.config.absolute()}"
    words = repeat_command(app_state, command, config, data=True)
    return ToCopy(value, _epoch_table(feed.state), feed.folder.path, words)


def _epoch_table(state: RunState) -> CopyTable:
    rows = [
        (
            epoch.epoch,
            epoch.step,
            format_number(epoch.train_loss),
            format_percent(epoch.train_accuracy),
            format_number(epoch.val_loss),
            format_percent(epoch.val_accuracy),
            f"{epoch.seconds:.2f}",
        )
        for epoch in state.epochs
    ]
    return CopyTable(HEADINGS, rows)


def _train_command(app_state: AppState, draft: ConfigDraft) -> list[str]:
    """The recipe, and a flag for each setting that differs from it."""
    config = draft.config()
    if config is None:
        return []
    known = config.recipe in recipes.recipe_names()
    recipe = recipes.load_recipe(config.recipe if known else recipes.DEFAULT_RECIPE)
    base = recipe.config().model_dump()
    flags = [
        f"--{key.replace('_', '-')}={draft.format_value(key)}"
        for key, value in config.model_dump().items()
        if value != base[key] and key in FIELDS
    ]
    return repeat_command(app_state, "train", recipe.name, *flags, data=True)
