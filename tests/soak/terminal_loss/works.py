"""What the program is doing when its terminal is lost, and what must be left of that."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.support import FORK_SERVER, QUICK, Home, events, wait_for
from tests.e2e.terminal import dashboard_env
from tests.soak.terminal_loss import processes
from tests.soak.terminal_loss.held import GO_ON, REACHED
from tests.soak.terminal_loss.lines import Line

IDLE, TRAINING, SAVING, EVALUATING = "idle", "training", "saving", "evaluating"
SWEEPING, ENSEMBLE = "sweeping", "making an ensemble"
STATES = (IDLE, TRAINING, SAVING, EVALUATING, SWEEPING, ENSEMBLE)
LAST_SECONDS = 60.0
SETTINGS = {
    "FMNIST_TUI_DATASET": "sketches",
    "FMNIST_TUI_MODEL": "linear",
    "FMNIST_TUI_LIMIT": "500",
    "FMNIST_TUI_BATCH_SIZE": "64",
    "FMNIST_TUI_THREADS": "1",
    "FMNIST_TUI_PATIENCE": "0",
    "FMNIST_TUI_EPOCHS": "100000",
    "OMP_NUM_THREADS": "1",
}
SWEEP = """
[run]
dataset = "sketches"
model = "linear"
limit = 500
batch_size = 64
epochs = 100000
patience = 0
threads = 1
[sweep]
trials = 2
[space.lr]
low = 1e-4
high = 1e-1
log = true
"""


@dataclass
class Work:
    """The program in one state, in the dashboard or as a command of its own.

    `members` are two finished runs to make an ensemble of."""

    folder: Path
    state: str
    is_command: bool
    members: Path
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.runs = self.folder / "runs"
        hold = {SAVING: SAVING, EVALUATING: EVALUATING}.get(self.state, "")
        if self.state == ENSEMBLE:
            hold = EVALUATING if self.is_command else ""
            shutil.copytree(self.members, self.runs)
        else:
            self.runs.mkdir()
        (self.folder / "search.toml").write_text(SWEEP)
        self.env = {
            **dashboard_env(self.folder),
            **SETTINGS,
            "HOLD": hold,
            "HOLD_IN": str(self.folder),
        }
        if self.state == EVALUATING:
            self.env["FMNIST_TUI_EPOCHS"] = "2"

    @property
    def words(self) -> tuple[str, ...]:
        """The command that does it."""
        if not self.is_command:
            return ()
        if self.state == SWEEPING:
            return ("sweep", str(self.folder / "search.toml"))
        if self.state == ENSEMBLE:
            return ("ensemble", *sorted(str(path) for path in self.runs.iterdir()))
        return ("train",)

    def reach(self, line: Line) -> None:
        """Have the program do it; returns once it does."""
        if not self.is_command:
            line.terminal.until("1 Data.*6 Runs")
            START_IN_DASHBOARD[self.state](self, line)
        if self.env["HOLD"]:
            wait_for((self.folder / REACHED).exists)
        elif self.state == TRAINING:
            wait_for(lambda: self._has_progress("*"))
        elif self.state == SWEEPING:
            wait_for(lambda: self._has_progress("*/trials/*"))
        elif self.state == ENSEMBLE:
            wait_for(lambda: processes.started_with(self.folder, "ensemble"))

    def go_on(self) -> None:
        """End the hold."""
        (self.folder / GO_ON).touch()

    def _has_progress(self, pattern: str) -> bool:
        return any(
            b'"Progress"' in path.read_bytes() for path in self.runs.glob(f"{pattern}/events.jsonl")
        )

    # -- in the dashboard --------------------------------------------------------------

    def _train(self, line: Line) -> None:
        line.terminal.press("2")
        line.terminal.until("Next run")
        line.terminal.press("space")

    def _sweep(self, line: Line) -> None:
        terminal = line.terminal
        terminal.press("7", "n")
        terminal.until("Which sweep")
        terminal.type("own\r")
        terminal.until("Path of the sweep file")
        terminal.paste(str(self.folder / "search.toml"))
        terminal.press("enter")
        terminal.until("how many trials")
        terminal.press("enter")
        terminal.until("how many workers")
        terminal.press("enter")

    def _combine(self, line: Line) -> None:
        terminal = line.terminal
        terminal.press("6")
        terminal.until("sketches")
        terminal.press("space", "down", "space", "m")
        terminal.until("Ensemble of 2 runs")
        terminal.press("n")

    # -- what is left ------------------------------------------------------------------

    def check_left(self, number: int) -> None:
        """Fail if anything of the work is lost after this signal. Ends what rightly goes on."""
        if self.state == ENSEMBLE and not self.is_command:
            wait_for(lambda: not processes.started_with(self.folder), LAST_SECONDS)
            assert len(list(self.runs.glob("*/events.jsonl"))) == 3, "the job made no ensemble"
        for run in sorted(self.runs.glob("*/")):
            if (run / "events.jsonl").exists() and not (self.members / run.name).exists():
                self._check_run(run, number)
        if self.state not in (IDLE, ENSEMBLE):
            assert list(self.runs.glob("*/events.jsonl")), "there is no run"
        if self.state == ENSEMBLE:
            self._check_members()
        if self.state == SWEEPING:
            shown = self._home().json("sweep", "show", "search")
            states = {trial["state"] for trial in shown["trials"]}
            assert states and "running" not in states, f"trials are {states}"

    def _check_run(self, run: Path, number: int) -> None:
        recorded = events(run)
        kind = starts(run)[0].get("kind")
        is_own = kind == "train"
        ended = next((event for event in recorded if event["is"] == "RunEnded"), None)
        if ended is not None and ended["reason"] == "detached":
            assert number == signal.SIGHUP, "the record says detached"
            wait_for(lambda: len(starts(run)) > 1, LAST_SECONDS)
            assert starts(run)[1]["step"] == ended["step"], "the successor has lost steps"
        elif number == signal.SIGHUP and is_own and not self.is_command:
            has_finished = ended is not None and ended["reason"] == "finished"
            assert has_finished, f"not handed over: {recorded[-1]}"
        elif ended is None and number == signal.SIGQUIT and is_own:
            # It ended at once, as after SIGKILL: the last checkpoint is what is left.
            self._resume(run)
            return
        if kind != "ensemble":
            self._end_successor(run)
        wait_for(lambda: events(run)[-1]["is"] == "RunEnded", LAST_SECONDS)
        end = events(run)[-1]
        assert end["reason"] in ("stopped", "finished"), end
        assert end["reason"] == "finished" or kind != "ensemble" or self.is_command, end
        if is_own and end["reason"] == "stopped":
            self._resume(run)
            saved = number != signal.SIGQUIT
            assert not saved or starts(run)[-1]["step"] == end["step"], "steps are lost"

    def _end_successor(self, run: Path) -> None:
        """End the process that goes on with a run, if the run has not ended."""
        if events(run)[-1]["is"] == "RunEnded":
            return
        pid = starts(run)[-1]["pid"]
        assert processes.is_alive(pid), f"no process goes on: {events(run)[-1]}"
        os.kill(pid, signal.SIGTERM)

    def _resume(self, run: Path) -> None:
        epochs = max(event.get("epoch", 0) for event in events(run)) + 2
        done = self._home().run("train", "--resume", str(run), "--epochs", str(epochs))
        assert done.returncode == 0, done.stderr
        assert events(run)[-1]["reason"] == "finished", events(run)[-1]

    def _check_members(self) -> None:
        for path in self.members.rglob("*"):
            if path.is_file() and path.suffix in (".pt", ".json"):
                kept = self.runs / path.relative_to(self.members)
                assert kept.read_bytes() == path.read_bytes(), f"{kept} has changed"

    def _home(self) -> Home:
        return Home(self.folder)


START_IN_DASHBOARD: dict[str, Callable[[Work, Line], None]] = {
    IDLE: lambda work, line: None,
    TRAINING: Work._train,
    SAVING: Work._train,
    EVALUATING: Work._train,
    SWEEPING: Work._sweep,
    ENSEMBLE: Work._combine,
}


def starts(run: Path) -> list[dict[str, Any]]:
    return [event for event in events(run) if event["is"] == "RunStarted"]


def train_members(folder: Path) -> Path:
    """Two finished runs, for ensembles."""
    home = Home(folder)
    for seed in ("1", "2"):
        words = ("train", *QUICK, "--epochs", "1", "--seed", seed)
        done = FORK_SERVER.run(words, home.environment)
        assert done.returncode == 0, done.stderr
    return home.runs
