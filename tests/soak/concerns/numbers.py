"""NaNs, spikes, too little memory, a failed GPU: named on the screen and in the record, with what
helps; the last good weights stay, and the command that is offered works.
"""

from __future__ import annotations

import asyncio
import random
import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.protocol.events import FAILED, FINISHED
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.jsonl_reader import replay
from tests.e2e.support import LIMIT, QUICK, Home
from tests.soak.concern import Concern, Tally, spread

# 6 steps an epoch; a checkpoint after every second or so step, and one after the first epoch.
SMALL = [*QUICK, "--limit", "400", "--epochs", "3"]
STEPS, STEPS_PER_EPOCH = 18, 6
WORKERS = 2
# No loss of an unbroken training is as high.
SPIKE = 10.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """A kind of trouble: the call that makes it at a step, and what the record says of it."""

    name: str
    call: str
    says: str
    options: tuple[str, ...] = ()


# The highest rate that there is; the optimiser has no bound of its own on a step.
HUGE = ("--model", "mlp", "--optimizer", "sgd", "--lr", "100", "--schedule", "constant")
LOWER = "try a lower lr"
HALF = "too little memory for batch_size = 64; try batch_size = 32"
TROUBLES = [
    Trouble("NaN", "poison({step}, float('nan'))", LOWER),
    Trouble("loss spike", "spike({step})", ""),
    Trouble("no memory", "fill_memory({step})", f"this machine has {HALF}"),
    Trouble("infinite", "poison({step}, float('inf'))", LOWER),
    Trouble("loss spike, SGD", "spike({step})", "", ("--optimizer", "sgd", "--lr", "0.01")),
    Trouble("no memory on the GPU", "fill_gpu({step})", f"the GPU has {HALF}"),
    Trouble("huge rate", "", LOWER, HUGE),
    Trouble("failed GPU", "break_gpu({step})", "device-side assert triggered): start fmnist-tui"),
]


def attempt(trouble: Trouble, folder: Path, step: int) -> str:
    """One training with this trouble at a step; returns what was lost."""
    home = Home(folder)
    try:
        call = trouble.call.format(step=step)
        code = f"from tests.soak.breaking import *\n{call}"
        process = home.start("train", *SMALL, *trouble.options, code=code)
        _, err = process.communicate(timeout=LIMIT)
        (run,) = home.runs.iterdir()
        state = replay(run / "events.jsonl")
        assert "Traceback" not in err, err.splitlines()[-1]
        if not trouble.says:
            assert process.wait() == 0, err.splitlines()[-1]
            check_spike(state, step)
        else:
            assert process.wait() == 1, f"status {process.wait()}"
            said = [line for line in err.splitlines() if line.startswith("fmnist-tui: ")]
            assert said == [f"fmnist-tui: the run failed: {state.message}"], said
            check_failure(state, trouble)
            check_weights(run)
            take_advice(home, state)
    except Exception as error:  # noqa: BLE001 - it is told in the table
        return f"{error}" or type(error).__name__
    return ""


def check_failure(state: RunState, trouble: Trouble) -> None:
    assert state.end_reason == FAILED and trouble.says in state.message, state.message


def check_spike(state: RunState, step: int) -> None:
    """The record shows the spike; what is judged is the best that there was."""
    losses = [loss for _, loss in state.series("train_loss")]
    assert state.end_reason == FINISHED and max(losses) > SPIKE, losses
    evaluated = state.evaluation("test")
    assert state.best is not None and evaluated is not None
    assert evaluated.step == state.best.step
    best = max(state.epochs, key=lambda epoch: (epoch.val_accuracy or 0, -(epoch.val_loss or 0)))
    assert evaluated.step == best.step


def check_weights(run: Path) -> None:
    """Everything that was saved consists of numbers."""
    from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore

    store = CheckpointStore(run / "checkpoints")
    for kind in ("last", "best"):
        if store.manifests(kind):
            assert store.load(kind)[2] == ()


def take_advice(home: Home, state: RunState) -> None:
    """The record names a command if anything was saved, and it goes on from where it says."""
    command = re.search(r"`fmnist-tui (.*)` goes on from step (\d+)$", state.message)
    assert (command is not None) == (state.record.newest("last") is not None), state.message
    if command is not None:
        done = home.run(*shlex.split(command[1]))
        assert done.returncode == 0, done.stderr.splitlines()[-1]
        # A fork with another batch size counts its steps anew.
        assert "--fork" in command[1] or f"from step {command[2]}" in done.stderr


@contextmanager
def broken(call: str) -> Iterator[None]:
    """Break the trainings of this process; afterwards it is as before."""
    from fmnist_tui.engine.run import failures
    from fmnist_tui.engine.training.trainer import Trainer
    from tests.soak import breaking

    execute = Trainer._execute_commands
    try:
        exec(call, vars(breaking))
        yield
    finally:
        setattr(Trainer, "_execute_commands", execute)  # noqa: B010
        failures._failed.clear()


async def show_in_dashboard(trouble: Trouble, folder: Path, step: int) -> None:
    """Train in a dashboard: it stays, names the trouble, and resumes the run."""
    from fmnist_tui.config.run_config import RunConfig
    from fmnist_tui.engine.session.session import Session
    from fmnist_tui.tui.app import Dashboard
    from fmnist_tui.tui.state.app_state import AppState
    from fmnist_tui.tui.state.settings import Settings
    from tests.tui.support import drawn_text, wait_until

    (folder / "runs").mkdir(parents=True)
    config = RunConfig.build(
        {"dataset": "sketches", "model": "linear", "limit": 400, "batch_size": 64, "epochs": 3}
        | {"threads": 1, "device": "cpu"}
    )
    with Session(folder / "runs", folder / "data") as session:
        app_state = AppState(folder / "runs", folder / "data", session, Settings())
        dashboard = Dashboard(app_state, "train")
        async with dashboard.run_test(size=(120, 36)) as pilot:
            with broken(trouble.call.format(step=step)):
                assert dashboard.start_run(config)
                feed = app_state.feed
                assert feed is not None
                await wait_until(pilot, lambda: feed.state.end is not None)
            check_failure(feed.state, trouble)
            seen = " ".join(drawn_text(dashboard.screen).split())
            assert feed.state.message.split(";")[0][:40] in seen, "the screen does not name it"
            await pilot.press("space", "u")
            await wait_until(pilot, lambda: app_state.feed is not feed)
            again = app_state.feed
            assert again is not None
            await wait_until(pilot, lambda: again.state.end is not None)
            assert again.state.end_reason == FINISHED, again.state.message
            assert dashboard.is_running


def run(tally: Tally, tries: int) -> None:
    draw = random.Random(tries)
    cases = [(each, draw.randrange(1, STEPS)) for each in spread(TROUBLES, tries)]
    with ThreadPoolExecutor(WORKERS) as pool:
        folders = (tally.folder / str(number) for number in range(tries))
        lost = pool.map(lambda case, folder: attempt(case[0], folder, case[1]), cases, folders)
        for (trouble, step), why in zip(cases, lost, strict=True):
            with tally.trial(f"{trouble.name} at step {step}"):
                assert not why, why
    failing = [each for each in TROUBLES if each.says and each.call and "memory(" not in each.call]
    for number, trouble in enumerate(spread(failing, max(1, tries // 10))):
        step = draw.randrange(STEPS_PER_EPOCH + 1, STEPS)
        with tally.trial(f"{trouble.name} at step {step}, in a dashboard"):
            asyncio.run(show_in_dashboard(trouble, tally.folder / f"shown-{number}", step))


CONCERN = Concern("numbers and memory", run, short=4, full=80)
