"""What the Runs screen does with the run under the cursor, and the dialogs before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fmnist_tui.config import dataset_catalog, recipes
from fmnist_tui.config import run_config as settings
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.runs import archive, checkpoints
from fmnist_tui.runs.checkpoints import CheckpointEntry
from fmnist_tui.runs.folder import REPORT_FILE, RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import BROKEN, RunSummary
from fmnist_tui.runs.log import send_command
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, PickerDialog, PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.shared.run_names import (
    command_refusal,
    ensemble_summary,
    run_name,
    stopping_message,
)
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.formatting import format_size
from fmnist_tui.util.paths import format_path
from fmnist_tui.util.text import safe_text

STOP_REASON = "stopped from the Runs screen"
# The names are the values of --tta.
TTA_CHOICES = [
    Choice("n", "none", "each image as it is"),
    Choice("f", "flip", "two views: also mirrored"),
    Choice("s", "flip+shift", "six views: also moved by a pixel, and mirrored"),
    Choice("u", "selective", "two views, six where they leave an image unsure"),
]


class RunActions:
    """Acts on one run at a time; `on_changed` is called when the list of runs has changed.

    The methods are dialog flows and raise UserError."""

    def __init__(self, screen: DashboardScreen, on_changed: Callable[[], None]) -> None:
        self._screen, self._on_changed = screen, on_changed

    async def resume(self, run: RunSummary) -> None:
        """Resume the run in this process, a finished one for more epochs; follow a live one."""
        if run.is_live:
            await self._follow(run)
            return
        config = _read_config(run, "resumed")
        if run.state == FINISHED:
            parse = partial(_with_epochs, config, run.epochs_done)
            dialog = PromptDialog(
                f"{run_name(run)} has finished {run.epochs_done} epochs: continue to",
                str(2 * run.epochs_done),
                "total number of epochs",
                validate=first_problem(parse),
            )
            text = await self._screen.ask(dialog)
            if text is None:
                return
            config = parse(text)
        state = await self._screen.in_thread(partial(replay, run.run.events))
        context = self._screen.context
        if context.resume_run(run.run, config, state):
            context.select_run(run.run)
            if self._screen.is_current:
                context.show("train")

    async def _follow(self, run: RunSummary) -> None:
        context = self._screen.context
        feed = context.app_state.feed
        if feed is None or not feed.is_own or feed.folder != run.run:
            dialog = ChoiceDialog(
                f"{run_name(run)} is running",
                f"It is trained by {run.holder} and cannot be resumed until it ends.",
                [Choice("f", "follow", "show it on Train"), Choice("x", "cancel")],
            )
            if await self._screen.ask(dialog) != "f":
                return
            context.select_run(run.run)
            context.follow_run(run.run)
        context.show("train")

    async def stop(self, run: RunSummary) -> None:
        """Have a live run end, whichever process trains it."""
        if not run.is_live:
            raise UserError(f"{run_name(run)} is not running")
        if refusal := command_refusal(run.kind, run_name(run)):
            raise UserError(refusal)
        command = Stop(time.time(), STOP_REASON)
        await self._screen.in_thread(lambda: send_command(run.run, command))
        self._screen.notify(f"{run_name(run)}: {stopping_message(run.kind)}")

    async def fork(self, run: RunSummary) -> None:
        """Start a new run from a checkpoint, with changed settings."""
        config = _read_config(run, "forked")
        entries = await self._screen.in_thread(partial(checkpoints.list_checkpoints, run.run))
        if not entries:
            raise UserError(f"{run_name(run)} has no checkpoint to fork from")
        context = self._screen.context
        items = [(entry.name, _format_checkpoint(entry)) for entry in entries]
        name = await self._screen.ask(PickerDialog(f"Fork {run_name(run)} from", items))
        if name is None:
            return
        entry = next(entry for entry in entries if entry.name == name)
        is_complete = entry.is_resumable and entry.epoch >= config.epochs
        dialog = PromptDialog(
            f"New run from {name}: changed settings",
            f"epochs={entry.epoch + config.epochs}" if is_complete else "",
            "lr=0.001 epochs=10; empty for the same settings",
            validate=first_problem(partial(_with_changes, config)),
        )
        text = await self._screen.ask(dialog)
        if text is None:
            return
        if context.fork_run(run.run, f"{name}.pt", _with_changes(config, text)):
            context.show("train")

    async def report(self, run: RunSummary) -> None:
        """Write an HTML report into the run's folder, in a background job."""
        context = self._screen.context
        folder = run.run.path.absolute()
        file = folder / REPORT_FILE

        def on_done(document: Any) -> None:
            missing = ", ".join(str(item["what"]) for item in document["missing"])
            without = f" (without {missing})" if missing else ""
            context.notify(f"{run_name(run)}: {format_path(file)}{without}")

        words = ["report", str(folder), f"--out={file}", "--force"]
        words.append(f"--data={context.app_state.data_dir}")
        context.start_job(f"report {safe_text(run.run.id)}", words, on_done)

    async def ensemble(self, runs: Sequence[RunSummary]) -> None:
        """Make an ensemble of the runs in a background job, then select it."""
        if len(runs) < 2:
            raise UserError("mark at least two runs with {runs.mark} to make an ensemble of them")
        tta, context = "none", self._screen.context
        datasets = [dataset_catalog.find_dataset_info(run.dataset) for run in runs]
        if all(info is None or info.mirror for info in datasets):
            dialog = ChoiceDialog(
                f"Ensemble of {len(runs)} runs",
                "The probabilities of the members are averaged. Models that were trained with"
                " flips and shifts gain from several views of each image.",
                TTA_CHOICES,
            )
            key = await self._screen.ask(dialog)
            if key is None:
                return
            tta = next(choice.name for choice in TTA_CHOICES if choice.key == key)

        def on_result(document: Any) -> None:
            context.select_run(RunFolder(Path(document["path"])))
            self._on_changed()
            context.notify(ensemble_summary(document))

        words = ["ensemble", *(str(run.run.path.absolute()) for run in runs), f"--tta={tta}"]
        words += context.app_state.folder_options
        context.start_job(f"ensemble of {len(runs)}", words, on_result)

    async def archive(self, run: RunSummary) -> None:
        """Move the run into the archive, after asking."""
        _refuse_live(run, "archived")
        dialog = ChoiceDialog(
            f"Archive {run_name(run)}?",
            "The run moves to the subfolder archive and is no longer listed here."
            f" `fmnist-tui runs unarchive {safe_text(run.run.id)}` moves it back.",
            [Choice("n", "cancel"), Choice("y", "archive")],
        )
        if await self._screen.ask(dialog) == "y":
            moved = await self._screen.in_thread(partial(archive.archive, run.run))
            self._forget(run.run, moved)
            self._screen.notify(f"{run_name(run)} is in {safe_text(moved.path.parent)}")

    async def delete(self, run: RunSummary) -> None:
        """Delete the run, after asking."""
        _refuse_live(run, "deleted")
        size = await self._screen.in_thread(run.run.size)
        dialog = ChoiceDialog(
            f"Delete {run_name(run)}?",
            f"{safe_text(run.run.name)}, {format_size(size)} with its checkpoints."
            " This cannot be undone.",
            [Choice("n", "keep"), Choice("y", "delete")],
        )
        if await self._screen.ask(dialog) == "y":
            await self._screen.in_thread(partial(archive.delete, run.run))
            self._forget(run.run, None)

    def _forget(self, folder: RunFolder, moved: RunFolder | None) -> None:
        """Drop references to a folder that is gone, or point them to where it has moved."""
        context = self._screen.context
        feed, was_selected = context.app_state.feed, context.selected_run == folder
        # The newest run is current without having been chosen: another one takes its place.
        was_chosen = context.app_state.chosen_run == folder
        if feed is not None and feed.folder == folder and not feed.is_live:
            context.show_run(None)
        if was_selected:
            context.select_run(moved if was_chosen else None)
        self._on_changed()


def refuse_broken(run: RunSummary) -> None:
    if run.state == BROKEN:
        raise UserError(f"{run_name(run)} is broken: {safe_text(run.reason)}")


def _refuse_live(run: RunSummary, action: str) -> None:
    if run.is_live:
        why = f"cannot be {action} while {run.holder} trains it; {key_name('runs.stop')} stops it"
        raise UserError(f"{run_name(run)} {why}")


def _read_config(run: RunSummary, action: str) -> RunConfig:
    """The config of a run that is to be resumed or forked (`action`), if it can be."""
    refuse_broken(run)
    if refusal := run.refusal(action):
        raise UserError(refusal)
    return recipes.read_recipe(run.run.config).config()


def _with_epochs(config: RunConfig, done: int, text: str) -> RunConfig:
    epochs = settings.parse_setting("epochs", text)
    if isinstance(epochs, int) and epochs <= done:
        raise UsageError(f"must be more than {done}, the epochs already trained")
    return config.changed(epochs=epochs)


def _with_changes(config: RunConfig, text: str) -> RunConfig:
    """The config with changes such as `lr=0.001 epochs=10`."""
    values: dict[str, Any] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{safe_text(word, 40)}: write a change as lr=0.001")
        values[name] = settings.parse_setting(name, value) if name in settings.FIELDS else value
    return config.changed(**values) if values else config


def first_problem(parse: Callable[[str], object]) -> Callable[[str], str]:
    """A `validate` for PromptDialog: the first line of the error that `parse` raises."""

    def validate(text: str) -> str:
        try:
            parse(text)
        except UserError as error:
            return str(error).split("\n")[0]
        return ""

    return validate


def _format_checkpoint(entry: CheckpointEntry) -> str:
    effect = "continues from there" if entry.is_resumable else "weights only, starts at epoch 0"
    return f"{entry.kind:<4}  step {entry.step:>7,}  epoch {entry.epoch:>4}  {effect}"
