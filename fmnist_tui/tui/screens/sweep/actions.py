"""What the Sweep screen does with studies and trials, and the dialogs before it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from fmnist_tui.config import gpu_detect
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps import storage, trial_states
from fmnist_tui.sweeps.snapshot import Snapshot, SnapshotReader, StudySummary, TrialView
from fmnist_tui.sweeps.spec import SweepSpec
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog, PickerDialog, PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.shared.counts import parse_count
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import format_count, format_percent
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

OWN_FILE = "a file"
MORE_TRIALS = 10
MAX_COUNT = 100_000


class SweepActions:
    """Acts on one study at a time. `on_changed` is called when something has changed,
    `on_start` with the name of a study that is about to be created.

    The methods are dialog flows and raise UserError."""

    def __init__(
        self,
        screen: DashboardScreen,
        reader: SnapshotReader,
        on_changed: Callable[[], None],
        on_start: Callable[[str], None],
    ) -> None:
        self._screen, self._reader = screen, reader
        self._on_changed, self._on_start = on_changed, on_start

    async def open(self, trial: TrialView) -> None:
        """Open the trial's run."""
        self._screen.context.open_run(await self._screen.in_thread(partial(_find_run, trial)))

    async def kill(self, study: StudySummary, trial: TrialView) -> None:
        """End a running trial, after asking."""
        if trial.state != trial_states.RUNNING:
            raise UserError(f"trial {trial.number} is not running: it is {trial.state}")
        dialog = ChoiceDialog(
            f"Kill trial {trial.number}?",
            "Its training ends after the next step; the sweep continues with another trial.",
            [Choice("n", "cancel"), Choice("y", "kill")],
        )
        if await self._screen.ask(dialog) != "y":
            return

        def kill() -> str:
            from fmnist_tui.sweeps import remote_control

            return remote_control.kill(self._reader, study.location, study.name, trial.number)

        self._screen.notify(await self._screen.in_thread(kill, ends_with_app=True))
        self._on_changed()

    async def promote(self, study: StudySummary, trial: TrialView, snapshot: Snapshot) -> None:
        """Train the trial's settings in full with several seeds, in a background job."""
        if len(trial.params) < len(snapshot.spec.space):
            raise UserError(f"trial {trial.number} has no settings yet")
        name = f"trial {trial.number}"
        title = f"Train {name} ({format_percent(trial.value)}) in full: how many seeds?"
        seeds = await self._ask_count("seeds", title, 3, "one run for each seed")
        if seeds is None:
            return

        def summarise(document: Any) -> str:
            test, sd = document["test_mean"], document["test_sd"]
            spread = f" ± {100 * sd:.2f}" if sd is not None else ""
            runs = format_count(len(document["runs"]), "run")
            where = key_name("show.runs") + " Runs"
            return f"{name} in full: test {format_percent(test)}{spread}, {runs} ({where})"

        words = ["sweep", "promote", study.name, f"--trial={trial.number}", f"--seeds={seeds}"]
        self._start_job(f"promote {name}", words, summarise, study)

    async def new(self) -> None:
        """Start a sweep in a background job: a shipped one, or one from a file."""
        chosen = await self._choose_sweep()
        if chosen is None:
            return
        source, spec = chosen
        prompt = PromptDialog(
            f"{safe_text(spec.name, 30)}: how many trials?",
            str(spec.trials),
            f"of {spec.base.epochs} epochs each; a storage URL may follow",
            validate=lambda text: _check_count("trials", text.strip().partition(" ")[0]),
        )
        text = await self._screen.ask(prompt)
        if text is None:
            return
        trials, _, url = text.strip().partition(" ")
        count = parse_count(trials, 1, MAX_COUNT)
        workers = await self._ask_workers(spec) if count != 1 else 1
        if workers is None:
            return
        words = ["sweep", "start", source, f"--trials={count}", f"--workers={workers}"]
        words += [f"--storage={url.strip()}"] if url.strip() else []
        self._on_start(spec.name)
        self._start_sweep(spec.name, words)

    async def _ask_workers(self, spec: SweepSpec) -> int | None:
        """How many processes share the trials out: one for each GPU, unless the user says more."""

        def count_gpus() -> int:
            uses_gpus = gpu_detect.will_use_gpu(spec.base.device)
            return len(gpu_detect.visible_gpus()) if uses_gpus else 0

        gpus = await self._screen.in_thread(count_gpus)
        shared = format_count(gpus, "GPU") if gpus else "the CPUs"
        title = f"{safe_text(spec.name, 30)}: how many workers share {shared}?"
        return await self._ask_count("workers", title, max(1, gpus), "trials at the same time")

    async def _choose_sweep(self) -> tuple[str, SweepSpec] | None:
        """A shipped sweep or a file; asks again for a file that cannot be read."""
        items = [(name, f"{name}  {_about(name)}") for name in specs.shipped_names()]
        items.append((OWN_FILE, "a sweep file of your own …"))
        name = await self._screen.ask(PickerDialog("Which sweep", items))
        if name is None:
            return None
        if name != OWN_FILE:
            return name, await self._screen.in_thread(partial(specs.load, name))
        text, hint = "", "search.toml; see configs/sweeps for one"
        while True:
            answer = await self._screen.ask(PromptDialog("Path of the sweep file", text, hint))
            if answer is None or not answer.strip():
                return None
            text = answer
            path = str(expand_home(answer.strip()).absolute())
            try:
                return path, await self._screen.in_thread(partial(specs.load, path))
            except UserError as error:
                self._screen.notify_error(str(error))

    async def add_worker(self, study: StudySummary) -> None:
        """Run more trials of the study in a background job."""
        remaining = max(0, study.total - study.done - study.running) or MORE_TRIALS
        title = f"One more worker on {safe_text(study.name, 30)}: how many trials?"
        trials = await self._ask_count("trials", title, remaining, "it ends after these")
        if trials is not None:
            words = ["sweep", "start", f"--name={study.name}", f"--trials={trials}"]
            self._start_sweep(study.name, words, study)

    async def stop(self, study: StudySummary) -> None:
        """Stop every worker of the study, after asking."""
        name = safe_text(study.name, 40)
        if not study.running:
            raise UserError(f"no worker is running on {name}")
        dialog = ChoiceDialog(
            f"Stop {name}?",
            "All its workers end, on every machine. Their running trials are tried again when the"
            f" sweep continues ({key_name('sweep.worker')}).",
            [Choice("n", "cancel"), Choice("y", "stop")],
        )
        if await self._screen.ask(dialog) != "y":
            return

        def stop() -> int:
            from fmnist_tui.sweeps import remote_control

            return remote_control.stop(self._reader, study.location, study.name)

        running = await self._screen.in_thread(stop, ends_with_app=True)
        self._screen.notify(f"{name}: stopping {format_count(running, 'trial')}")
        self._on_changed()

    async def _ask_count(self, what: str, title: str, default: int, hint: str) -> int | None:
        prompt = PromptDialog(title, str(default), hint, validate=partial(_check_count, what))
        text = await self._screen.ask(prompt)
        return parse_count(text or "", 1, MAX_COUNT)

    def _start_sweep(self, name: str, words: list[str], study: StudySummary | None = None) -> None:
        title = f"sweep {safe_text(name, 20)}"

        def summarise(document: Any) -> str:
            best = document["best"]
            value = f"best {format_percent(best['value'])}" if best else "none complete"
            return f"{title}: {document['trials_here']} trials done, {value}"

        self._start_job(title, words, summarise, study)

    def _start_job(
        self,
        title: str,
        words: list[str],
        summarise: Callable[[Any], str],
        study: StudySummary | None,
    ) -> None:
        """Start a command; `summarise` turns its JSON document into a toast."""
        context = self._screen.context
        runs_dir, data_dir = context.app_state.runs_dir, context.app_state.data_dir

        def on_done(document: Any) -> None:
            self._on_changed()
            context.notify(summarise(document))

        words = [*words, f"--runs={runs_dir.absolute()}", f"--data={data_dir.absolute()}"]
        words += self._storage_option(study) if study is not None else []
        context.start_job(title, words, on_done, lambda _: self._on_changed())
        self._on_changed()

    def _storage_option(self, study: StudySummary) -> list[str]:
        """Nothing for the default location: its URL in the environment may hold a password."""
        default = storage.parse_location(None, self._screen.app_state.runs_dir)
        url = study.location.public_url
        return [f"--storage={url}"] if url != default.public_url else []


def _find_run(trial: TrialView) -> RunFolder:
    if not trial.run:
        raise UserError(f"trial {trial.number} has no run yet: it is {trial.state}")
    path = Path(trial.run)
    if not path.is_dir():
        host = f" on {trial.host}" if trial.host else ""
        raise UserError(f"the run of trial {trial.number} is not on this machine: {path}{host}")
    return RunFolder.open(path)


def _check_count(what: str, text: str) -> str:
    """What is wrong with a number of trials, workers or seeds (`what`)."""
    if parse_count(text, 1, MAX_COUNT) is not None:
        return ""
    return f"{safe_text(text.strip(), 20)!r} is not a number of {what}"


def _about(name: str) -> str:
    try:
        return safe_text(specs.load(name).about, 60)
    except UserError as error:
        return safe_text(error, 60)
