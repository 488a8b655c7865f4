"""What can be done with sweeps and their trials from the screen, and the questions before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps import storage, trial_states
from fmnist_tui.sweeps.snapshot import Snapshot, SnapshotReader, StudySummary, TrialView
from fmnist_tui.sweeps.spec import SweepSpec
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, PickerDialog, PromptDialog
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.tui.base.screen import DashboardScreen

OWN = "a file"
MORE_TRIALS = 10


class SweepActions:
    """Acts on one study at a time. What takes long is an errand; `after` is called when
    something is other than before, `begun` with the name of a study that will be there."""

    def __init__(
        self,
        screen: DashboardScreen,
        reader: SnapshotReader,
        after: Callable[[], None],
        begun: Callable[[str], None],
    ) -> None:
        self._screen, self._reader = screen, reader
        self._after, self._begun = after, begun

    # -- a trial ------------------------------------------------------------------------

    def open(self, trial: TrialView) -> None:
        """Take the trial's run in hand, as any other."""
        path = Path(trial.run) if trial.run else None
        if path is None:
            self._screen.notify_error(f"trial {trial.number} has no run yet: it is {trial.state}")
            return

        def found() -> RunFolder:
            if not path.is_dir():
                on = f" on {trial.host}" if trial.host else ""
                raise UserError(f"the run of trial {trial.number} is not here: {path}{on}")
            return RunFolder.open(path)

        self._screen.later(found, self._screen.context.open_run, group="open")

    def kill(self, study: StudySummary, trial: TrialView) -> None:
        """End a running trial, if the user means it."""
        if trial.state != trial_states.RUNNING:
            self._screen.notify_error(f"trial {trial.number} is not running: it is {trial.state}")
            return

        def work() -> str:
            from fmnist_tui.sweeps import remote_control

            return remote_control.kill(self._reader, study.location, study.name, trial.number)

        def told(said: str) -> None:
            self._screen.notify(said)
            self._after()

        def answered(choice: str | None) -> None:
            if choice == "k":
                self._screen.later(work, told, group="kill")

        question = ChoiceDialog(
            f"Kill trial {trial.number}?",
            "Its training ends with its next step; the sweep goes on with another trial.",
            [Choice("k", "kill"), Choice("x", "leave it")],
        )
        self._screen.over(question, answered)

    def promote(self, study: StudySummary, trial: TrialView, shown: Snapshot) -> None:
        """Train the trial's settings in full, with as many seeds as are asked for."""
        if len(trial.params) < len(shown.spec.space):
            self._screen.notify_error(f"trial {trial.number} has no settings yet")
            return

        def given(text: str | None) -> None:
            if text is None:
                return
            seeds = self._count(text, "seeds")
            if seeds is None:
                self.promote(study, trial, shown)
                return
            words = ["sweep", "promote", study.name, f"--trial={trial.number}", f"--seeds={seeds}"]
            self._errand(f"promote trial {trial.number}", words, study, then)

        def then(document: Any) -> None:
            test, sd = document["test_mean"], document["test_sd"]
            spread = f" ± {100 * sd:.2f}" if sd is not None else ""
            runs = len(document["runs"])
            self._screen.context.notify(
                f"trial {trial.number} in full: test {format_percent(test)}{spread},"
                f" {runs} runs (6 Runs)"
            )

        title = (
            f"Train trial {trial.number} ({format_percent(trial.value)}) in full: how many seeds?"
        )
        self._screen.over(PromptDialog(title, "3", "runs, one for each seed"), given)

    # -- a sweep ------------------------------------------------------------------------

    def new(self) -> None:
        """Begin a sweep: one that comes along, or a file."""
        items = [(name, f"{name}  {_about(name)}") for name in specs.shipped_names()]
        items.append((OWN, "a sweep file of your own …"))

        def picked(name: str | None) -> None:
            if name == OWN:
                self._ask_path("")
            elif name is not None:
                self._read(name)

        self._screen.over(PickerDialog("Sweep what", items), picked)

    def _ask_path(self, value: str) -> None:
        def given(text: str | None) -> None:
            if text and text.strip():
                self._read(str(expand_home(text.strip()).absolute()), value=text)

        hint = "search.toml; see configs/sweeps for one"
        self._screen.over(PromptDialog("Path of the sweep file", value, hint), given)

    def _read(self, given: str, value: str = "") -> None:
        def failed(why: str) -> None:
            self._screen.notify_error(why)
            if value:
                self._ask_path(value)

        self._screen.later(
            lambda: specs.load(given),
            lambda spec: self._ask_trials(given, spec),
            failed,
            group="new",
        )

    def _ask_trials(self, given: str, spec: SweepSpec) -> None:
        def answered(text: str | None) -> None:
            if text is None:
                return
            count, _, storage = text.strip().partition(" ")
            trials = self._count(count, "trials")
            if trials is None:
                self._ask_trials(given, spec)
                return
            elsewhere = [f"--storage={storage.strip()}"] if storage.strip() else []
            self._begun(spec.name)
            self._errand(
                f"sweep {safe_text(spec.name, 20)}",
                ["sweep", "start", given, f"--trials={trials}", *elsewhere],
                None,
            )

        title = f"{safe_text(spec.name, 30)}: how many trials?"
        hint = f"of {spec.base.epochs} epochs each; another storage's URL may follow"
        self._screen.over(PromptDialog(title, str(spec.trials), hint), answered)

    def worker(self, study: StudySummary) -> None:
        """Have one more process work on the study."""
        left = max(0, study.total - study.done - study.running) or MORE_TRIALS

        def answered(text: str | None) -> None:
            if text is None:
                return
            trials = self._count(text, "trials")
            if trials is None:
                self.worker(study)
                return
            words = ["sweep", "start", f"--name={study.name}", f"--trials={trials}"]
            self._errand(f"sweep {safe_text(study.name, 20)}", words, study)

        title = f"One more worker on {safe_text(study.name, 30)}: how many trials?"
        self._screen.over(PromptDialog(title, str(left), "it stops when they are done"), answered)

    def stop(self, study: StudySummary) -> None:
        """Have every worker of the study stop, if the user means it."""
        if not study.running:
            self._screen.notify_error(f"nobody works on {safe_text(study.name, 40)}")
            return

        def work() -> int:
            from fmnist_tui.sweeps import remote_control

            return remote_control.stop(self._reader, study.location, study.name)

        def answered(choice: str | None) -> None:
            if choice == "s":
                self._screen.later(work, told, group="stop")

        def told(running: int) -> None:
            self._screen.notify(f"{safe_text(study.name, 40)}: {running} trials are told to end")
            self._after()

        question = ChoiceDialog(
            f"Stop {safe_text(study.name, 40)}?",
            "All its workers end, wherever they are. What their trials try is tried again when"
            " the sweep goes on (w).",
            [Choice("s", "stop"), Choice("x", "let it go on")],
        )
        self._screen.over(question, answered)

    # -- common to them -------------------------------------------------------------------

    def _errand(
        self,
        title: str,
        words: list[str],
        study: StudySummary | None,
        then: Callable[[Any], None] | None = None,
    ) -> None:
        app_state = self._screen.app_state

        def done(document: Any) -> None:
            self._after()
            if then is not None:
                then(document)
            else:
                best = document["best"]
                value = format_percent(best["value"]) if best else "none is complete"
                self._screen.context.notify(
                    f"{title}: {document['trials_here']} trials done, best {value}"
                )

        places = [
            f"--runs={app_state.runs_dir.absolute()}",
            f"--data={app_state.data_dir.absolute()}",
        ]
        if study is not None:
            places += self._storage(study)
        self._screen.context.start_job(title, [*words, *places], done, lambda _: self._after())
        self._after()

    def _storage(self, study: StudySummary) -> list[str]:
        """Where the other process is to look; what it finds by itself may hold a password."""
        usual = storage.parse_location(None, self._screen.app_state.runs_dir)
        return (
            []
            if usual.public_url == study.location.public_url
            else [f"--storage={study.location.public_url}"]
        )

    def _count(self, text: str, what: str) -> int | None:
        word = text.strip()
        if word.isdecimal() and 1 <= int(word) <= 100_000:
            return int(word)
        self._screen.notify_error(f"{safe_text(word, 20)!r} is no number of {what}")
        return None


def _about(name: str) -> str:
    try:
        return safe_text(specs.load(name).about, 60)
    except UserError as error:
        return safe_text(error, 60)
