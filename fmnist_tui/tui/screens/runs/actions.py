"""What can be done with a run of the list, and the questions that come before."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from fmnist_tui.config import recipes
from fmnist_tui.config import run_config as settings
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.runs import archive as shelf
from fmnist_tui.runs import checkpoints
from fmnist_tui.runs.checkpoints import CheckpointEntry
from fmnist_tui.runs.folder import REPORT, RunFolder
from fmnist_tui.runs.listing import BROKEN, RunSummary
from fmnist_tui.runs.log import CommandBox
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, PickerDialog, PromptDialog
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.formatting import format_size
from fmnist_tui.util.paths import format_path
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.tui.base.screen import DashboardScreen

WHY_STOPPED = "told to from the list of runs"


def changed(config: RunConfig, text: str) -> RunConfig:
    """A config with changes as they are typed: `lr=0.001 epochs=10`."""
    values: dict[str, Any] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{safe_text(word, 40)} is no change: write it as lr=0.001")
        values[name] = settings.parse(name, value) if name in settings.FIELDS else value
    return config.changed(**values) if values else config


class RunActions:
    """Acts on one run at a time. `after` is called when the list is another than before."""

    def __init__(self, screen: DashboardScreen, after: Callable[[], None]) -> None:
        self._screen, self._after = screen, after

    # -- going on -----------------------------------------------------------------------

    def resume(self, run: RunSummary) -> None:
        """Take the run up again in this process; more epochs are asked for where it is done."""
        if run.is_live:
            self._follow(run)
            return
        config = self._config(run, "resumed")
        if config is None:
            return
        if run.state == FINISHED:
            self._ask_epochs(run, config, str(2 * run.epochs_done))
        else:
            self._resume(run.run, config)

    def _resume(self, folder: RunFolder, config: RunConfig) -> None:
        context = self._screen.context
        if context.resume_run(folder, config):
            context.select_run(folder)
            context.show("train")

    def _ask_epochs(self, run: RunSummary, config: RunConfig, value: str) -> None:
        title = f"{run_name(run)} has finished {run.epochs_done} epochs: go on to"

        def given(text: str | None) -> None:
            if text is None:
                return
            epochs = settings.parse("epochs", text)
            try:
                if isinstance(epochs, int) and epochs <= run.epochs_done:
                    raise UsageError(f"{epochs} epochs are behind it already: give more")
                longer = config.changed(epochs=epochs)
            except UserError as error:
                self._refuse(error)
                self._ask_epochs(run, config, text)
            else:
                self._resume(run.run, longer)

        self._screen.over(PromptDialog(title, value, "epochs in all"), given)

    def _follow(self, run: RunSummary) -> None:
        context = self._screen.context
        feed = context.app_state.feed
        if feed is not None and feed.own and feed.folder == run.run:
            context.show("train")
            return

        def answered(choice: str | None) -> None:
            if choice == "f":
                context.select_run(run.run)
                context.follow_run(run.run)
                context.show("train")

        self._screen.over(
            ChoiceDialog(
                f"{run_name(run)} is going on",
                f"It is trained by {run.holder}; it cannot be taken up a second time.",
                [Choice("f", "follow", "show it on Train"), Choice("x", "leave it")],
            ),
            answered,
        )

    def stop(self, run: RunSummary) -> None:
        """Have a live run save and end, in whatever process it lives."""
        if not run.is_live:
            self._screen.notify_error(f"{run_name(run)} is not going on: there is nothing to stop")
            return

        def tell() -> None:
            CommandBox.send(run.run, Stop(time.time(), WHY_STOPPED))

        self._screen.later(
            tell, lambda _: self._screen.notify(f"{run_name(run)}: saves and stops"), group="stop"
        )

    # -- a new run from a checkpoint ------------------------------------------------------

    def fork(self, run: RunSummary) -> None:
        """Choose a checkpoint and what is to be different, then begin a new run from it."""
        config = self._config(run, "forked")
        if config is None:
            return

        def listed(found: list[CheckpointEntry]) -> None:
            if not found:
                self._screen.notify_error(f"{run_name(run)} has no checkpoint to begin from")
                return
            known = {one.name: one for one in found}
            items = [(one.name, _about(one)) for one in found]
            picker = PickerDialog(f"Fork {run_name(run)} from", items)

            def picked(name: str | None) -> None:
                if name is not None:
                    one = known[name]
                    longer = one.whole and one.epoch >= config.epochs
                    self._ask_changes(
                        run, config, one, f"epochs={one.epoch + config.epochs}" if longer else ""
                    )

            self._screen.over(picker, picked)

        self._screen.later(partial(checkpoints.kept, run.run), listed, group="fork")

    def _ask_changes(
        self, run: RunSummary, config: RunConfig, one: CheckpointEntry, value: str
    ) -> None:
        def given(text: str | None) -> None:
            if text is None:
                return
            try:
                new = changed(config, text)
            except UserError as error:
                self._refuse(error)
                self._ask_changes(run, config, one, text)
                return
            context = self._screen.context
            if context.fork_run(run.run, f"{one.name}.pt", new):
                context.show("train")

        title = f"New run from {one.name}: what is different?"
        hint = "lr=0.001 epochs=10; nothing for the same settings"
        self._screen.over(PromptDialog(title, value, hint), given)

    def report(self, run: RunSummary) -> None:
        """Write the run as a page into its folder."""
        folder, context = run.run, self._screen.context
        page = folder.path.absolute() / REPORT

        def written(document: Any) -> None:
            missing = ", ".join(str(gap["what"]) for gap in document["missing"])
            without = f" (without {missing})" if missing else ""
            context.notify(f"{run_name(run)}: {format_path(page)}{without}")

        words = ["report", str(folder.path.absolute()), f"--out={page}", "--force"]
        context.start_job(
            f"report {safe_text(folder.id)}",
            [*words, f"--data={context.app_state.data_dir}"],
            written,
        )

    # -- putting away ---------------------------------------------------------------------

    def archive(self, run: RunSummary) -> None:
        """Move a run into the archive, if the user means it."""
        if self._is_live(run, "archived"):
            return
        question = ChoiceDialog(
            f"Archive {run_name(run)}?",
            "It goes into the folder archive beside the runs, whole, and off this list.",
            [Choice("a", "archive"), Choice("x", "leave it")],
        )

        def answered(choice: str | None) -> None:
            if choice == "a":
                self._screen.later(
                    partial(shelf.archive, run.run), gone, group=f"shelf {run.run.id}"
                )

        def gone(moved: RunFolder) -> None:
            self._let_go(run.run, moved)
            self._screen.notify(f"{run_name(run)} is in {safe_text(moved.path.parent)}")

        self._screen.over(question, answered)

    def delete(self, run: RunSummary) -> None:
        """Remove a run for good, if the user means it."""
        if self._is_live(run, "deleted"):
            return

        def ask(size: int) -> None:
            question = ChoiceDialog(
                f"Delete {run_name(run)}?",
                f"{safe_text(run.run.name)}: {format_size(size)} with its checkpoints,"
                " gone for good.",
                [Choice("y", "delete"), Choice("n", "keep it")],
            )
            self._screen.over(question, answered)

        def answered(choice: str | None) -> None:
            if choice == "y":
                self._screen.later(
                    partial(shelf.delete, run.run), gone, group=f"shelf {run.run.id}"
                )

        def gone(_: None) -> None:
            self._let_go(run.run, None)
            self._screen.notify(f"{run_name(run)} is deleted")

        self._screen.later(run.run.size, ask, group="size")

    def _let_go(self, folder: RunFolder, moved: RunFolder | None) -> None:
        """Nothing on the desk is to lead to where the run was."""
        context = self._screen.context
        feed = context.app_state.feed
        if feed is not None and feed.folder == folder and not feed.live:
            context.show_run(None)
        if context.app_state.selected_run == folder:
            context.select_run(moved)
        self._after()

    # -- common to them -------------------------------------------------------------------

    def _config(self, run: RunSummary, what: str) -> RunConfig | None:
        """The settings of a run that is to be resumed or forked (`what`); None, with the
        reason said, where that cannot be."""
        try:
            if run.state == BROKEN:
                raise UserError(f"{run_name(run)} is broken: {safe_text(run.reason)}")
            if refused := run.refusal(what):
                raise UserError(refused)
            return recipes.read(run.run.config).config()
        except UserError as error:
            self._refuse(error)
            return None

    def _is_live(self, run: RunSummary, what: str) -> bool:
        if run.is_live:
            self._screen.notify_error(
                f"{run_name(run)} cannot be {what}: it is trained by {run.holder}; s stops it"
            )
        return run.is_live

    def _refuse(self, error: UserError) -> None:
        self._screen.notify_error(str(error).split("\n")[0])


def _about(one: CheckpointEntry) -> str:
    what = "goes on from there" if one.whole else "its weights, from the beginning"
    return f"{one.kind:<4}  step {one.step:>7,}  epoch {one.epoch:>4}  {what}"
