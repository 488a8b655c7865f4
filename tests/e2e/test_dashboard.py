"""The dashboard in a real terminal, training for real."""

from __future__ import annotations

import base64
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.support import LIMIT, events, wait_for
from tests.e2e.terminal import Terminal, dashboard_env

SMALL = {
    "FMNIST_TUI_DATASET": "sketches",
    "FMNIST_TUI_MODEL": "linear",
    "FMNIST_TUI_LIMIT": "1000",
    "FMNIST_TUI_BATCH_SIZE": "64",
    "FMNIST_TUI_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
LONG = {**SMALL, "FMNIST_TUI_EPOCHS": "100000", "FMNIST_TUI_PATIENCE": "0"}

ALTERNATE_SCREEN = b"\x1b[?1049h"
SAMPLES = Path(__file__).parents[2] / "assets" / "samples"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "runs").mkdir()
    return dashboard_env(tmp_path)


def runs(env: dict[str, str]) -> list[Path]:
    return [path.parent for path in Path(env["FMNIST_TUI_RUNS"]).glob("*/events.jsonl")]


def only_run(env: dict[str, str]) -> Path:
    [run] = runs(env)
    return run


def training(
    env: dict[str, str], *words: str, size: tuple[int, int] = (120, 36), code: str | None = None
) -> Terminal:
    """The Train screen of the dashboard, with a run that does not end by itself."""
    terminal = Terminal(*words, env={**env, **LONG}, size=size, code=code)
    terminal.until("2 Train")
    terminal.press("2")
    terminal.until("Next run")
    terminal.press("space")
    terminal.until(r"step [\d,]{2,}/")
    return terminal


@pytest.fixture
def busy(env: dict[str, str]) -> Iterator[Terminal]:
    with training(env) as terminal:
        yield terminal


def test_the_first_paint_comes_before_torch_is_imported(env: dict[str, str]) -> None:
    with Terminal(env=env, cold=True) as terminal:
        terminal.until("1 Data.*6 Runs")
        assert "libtorch" not in Path(f"/proc/{terminal.pid}/maps").read_text()
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert terminal.is_restored()


def test_a_run_is_started_and_stopped_and_its_record_is_complete(
    env: dict[str, str], busy: Terminal
) -> None:
    busy.press("s")
    busy.until("○")  # in the navigation bar: the record is complete
    busy.press("q")
    assert busy.wait_for_exit() == 0
    assert busy.is_restored()
    kinds = [event["is"] for event in events(only_run(env))]
    assert kinds.count("RunEnded") == 1 and "CheckpointSaved" in kinds


@pytest.mark.parametrize(
    ("keys", "status"), [(("q", "s"), 0), (("ctrl+c", "s"), 130), (("ctrl+c", "ctrl+c"), 130)]
)
def test_quitting_with_a_stop_saves_and_restores_the_terminal(
    env: dict[str, str], busy: Terminal, keys: tuple[str, ...], status: int
) -> None:
    busy.press(keys[0])
    busy.until("What should happen to it")
    busy.press(keys[1])
    assert busy.wait_for_exit() == status
    assert busy.is_restored()
    last = events(only_run(env))[-1]
    assert (last["is"], last["reason"]) == ("RunEnded", "stopped")


CLOSED_WHILE_LEAVING = """
import os, signal
from fmnist_tui.tui.app import Dashboard

def quit_and_hang_up(self, *decided):
    quit_now(self, *decided)
    if not hung_up:
        hung_up.append(True)
        os.kill(os.getpid(), signal.SIGHUP)

hung_up, quit_now, Dashboard.quit_now = [], Dashboard.quit_now, quit_and_hang_up
"""


@pytest.mark.parametrize(("sent", "status"), [(None, 0), (signal.SIGTERM, 143)])
def test_a_terminal_that_is_closed_after_a_stop_does_not_continue_the_run(
    env: dict[str, str], sent: signal.Signals | None, status: int
) -> None:
    with training(env, code=CLOSED_WHILE_LEAVING) as busy:
        if sent is None:
            busy.press("q")
            busy.until("What should happen to it")
            busy.press("s")
        else:
            os.kill(busy.pid, sent)
        assert busy.wait_for_exit() == status
    ends = [event["reason"] for event in events(only_run(env)) if event["is"] == "RunEnded"]
    assert ends == ["stopped"]


def test_x_cancels_quitting(busy: Terminal) -> None:
    busy.press("q")
    busy.until("What should happen to it")
    busy.press("x")
    busy.until_gone("What should happen to it")
    assert busy.alive


def test_bytes_of_no_encoding_answers_and_a_huge_paste_leave_the_keys_working(
    env: dict[str, str],
) -> None:
    with Terminal(env=env) as terminal:
        terminal.until("1 Data.*6 Runs")
        for hostile in (
            b"\xff\xfe",
            b"\x1b[M \xff\xff",
            b"caf\xe9",
            b"\0",
            b"\x1b]11;rgb:q/q/q\x1b\\",
        ):
            terminal.send(hostile)
        terminal.paste("x" * (10 << 20))
        terminal.until("the paste was not taken")
        terminal.press("6")
        terminal.until("no runs yet|No runs yet")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert terminal.is_restored()


def test_a_signal_saves_and_restores_the_terminal_and_sets_the_exit_status(
    env: dict[str, str], busy: Terminal
) -> None:
    os.kill(busy.pid, signal.SIGINT)
    assert busy.wait_for_exit() == 130
    assert busy.is_restored()
    last = events(only_run(env))[-1]
    assert (last["is"], last["reason"]) == ("RunEnded", "stopped")


SAVING_LONG = """
import os, pathlib, time
from fmnist_tui.engine.run.training_handle import Training

def wait_late(self, seconds=None):
    while not pathlib.Path(os.environ["MAY_SAVE"]).exists():
        time.sleep(0.01)
    return wait(self, seconds)

wait, Training.wait = Training.wait, wait_late
from fmnist_tui.__main__ import main
raise SystemExit(main())
"""


def test_a_signal_while_the_run_is_saved_does_not_end_the_saving(
    env: dict[str, str], tmp_path: Path
) -> None:
    may_save = tmp_path / "may save"
    with training({**env, "MAY_SAVE": str(may_save)}, code=SAVING_LONG) as busy:
        os.kill(busy.pid, signal.SIGTERM)
        busy.until("saving …")
        for sent in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(busy.pid, sent)
        may_save.touch()
        assert busy.wait_for_exit() == 143
        assert "stopped at step" in busy.text()


HANGS = """
import threading
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.state import leaving

leaving.LIMIT_SECONDS = 0.5
Dashboard.quit_now = lambda *_: threading.Event().wait()
from fmnist_tui.__main__ import main
raise SystemExit(main())
"""


def test_a_screen_that_hangs_does_not_keep_the_run_from_being_handed_over(
    env: dict[str, str],
) -> None:
    with training(env, code=HANGS) as busy:
        os.kill(busy.pid, signal.SIGHUP)
        assert busy.wait_for_exit() == 129
        assert busy.is_restored()
        assert "the screen did not close in time" in busy.text()
        assert "continues in process" in busy.text()
    wait_for(lambda: len(starts(env)) == 2)
    stop_process(env)


DEAD_STORAGE = """
import threading
from fmnist_tui.tui.screens.sweep.study_list import StudyWatcher

def load(self, *args, **options):
    print("asked the database")
    threading.Event().wait()

StudyWatcher.load = load
from fmnist_tui.__main__ import main
raise SystemExit(main())
"""


def test_quitting_does_not_wait_for_a_dead_database(env: dict[str, str]) -> None:
    with Terminal(env=env, code=DEAD_STORAGE) as terminal:
        terminal.until("7 Sweep")
        terminal.press("7")
        terminal.until("loading sweeps")
        terminal.press("q")
        assert terminal.wait_for_exit(30) == 0
        assert terminal.is_restored()


def test_keys_typed_while_the_program_starts_are_handled_in_order(env: dict[str, str]) -> None:
    with Terminal(env=env, cold=True) as terminal:
        terminal.type("23456q")
        assert terminal.wait_for_exit() == 0
    with Terminal(env=env) as terminal:
        terminal.until("1 Data.*6 Runs")
        terminal.type("56")
        terminal.until("no runs yet")


def stop_process(env: dict[str, str]) -> None:
    """Stop the process that has taken the run over, and wait for the end of its record."""
    folder = only_run(env)
    pid = [event for event in events(folder) if event["is"] == "RunStarted"][-1]["pid"]
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: events(folder)[-1]["is"] == "RunEnded")


def starts(env: dict[str, str]) -> list[int]:
    return [event["step"] for event in events(only_run(env)) if event["is"] == "RunStarted"]


def test_a_detached_run_continues_without_a_terminal_and_attach_shows_it(
    env: dict[str, str], busy: Terminal
) -> None:
    busy.press("d")
    assert busy.wait_for_exit() == 0
    assert busy.is_restored()
    wait_for(lambda: len(starts(env)) == 2)
    assert starts(env)[1] > 0
    with Terminal("attach", env={**env, **LONG}) as other:
        other.until(r"process \d+")
        other.until(r"step [\d,]{2,}/")
        other.press("space")
        other.until("‖ ")
        other.press("space")
        other.until_gone("‖ ")
        other.press("s")
        other.until("stopped")
        other.press("q")
        assert other.wait_for_exit() == 0
    wait_for(lambda: events(only_run(env))[-1]["is"] == "RunEnded")


BREAKS = """
import sys
from fmnist_tui.tui.screens.train.progress import RunProgress

def broken(self, feed):
    if feed is not None and feed.state.step > 50:
        raise ValueError("a widget is broken")
    return original(self, feed)

original, RunProgress.show = RunProgress.show, broken
from fmnist_tui.__main__ import main
sys.exit(main())
"""


def test_an_exception_in_a_widget_restores_the_terminal_and_keeps_the_run(
    env: dict[str, str],
) -> None:
    with Terminal(env={**env, **LONG}, code=BREAKS) as terminal:
        terminal.until("2 Train")
        terminal.press("2")
        terminal.until("Next run")
        terminal.press("space")
        assert terminal.wait_for_exit() == 1
        assert terminal.is_restored()
        assert "the dashboard failed: ValueError: a widget is broken" in terminal.text()
        assert "Traceback" not in terminal.text()
        assert "continues in process" in terminal.text()
    wait_for(lambda: len(starts(env)) == 2)
    stop_process(env)


def test_it_quits_after_sigcont(env: dict[str, str]) -> None:
    """A second reader of the keys would never end."""
    with Terminal(env=env) as terminal:
        terminal.until("1 Data.*6 Runs")
        os.kill(terminal.pid, signal.SIGCONT)
        wait_for(lambda: terminal.raw.count(ALTERNATE_SCREEN) == 2)
        terminal.press("2")
        terminal.until("Next run")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert terminal.is_restored()


def test_keys_that_arrive_together_are_handled_one_after_the_other(
    busy: Terminal, env: dict[str, str]
) -> None:
    """A slow connection sends several keys in one packet."""
    busy.type("3\x10zqzq")
    busy.until(" zqzq ")
    busy.until("No predictions")
    busy.press("escape")
    busy.until_gone(" zqzq ")
    busy.type("qs")
    assert busy.wait_for_exit() == 0
    last = events(runs(env)[0])[-1]
    assert (last["is"], last["reason"]) == ("RunEnded", "stopped")


QUESTION = "What should happen to"


def quit_dashboard(terminal: Terminal) -> None:
    """Close all dialogs and quit, stopping the run and jobs, once the keys before are handled.

    A busy program reads escape and a key right after it as one key (alt), so there is a pause
    between them."""
    terminal.until("6 Runs", 2 * LIMIT)

    def is_asked() -> bool:
        return QUESTION in terminal.text()

    def has_changed(was_asked: bool) -> bool:
        return not terminal.alive or is_asked() != was_asked

    end = time.monotonic() + LIMIT
    while terminal.alive:
        assert time.monotonic() < end, f"cannot quit:\n{terminal.text()}"
        was_asked = is_asked()
        with suppress(OSError):  # it has just ended
            if was_asked:
                terminal.press("e" if f"{QUESTION} them" in terminal.text() else "s")
            else:
                terminal.press("escape", pause=0.5)
                terminal.press("q")
        with suppress(AssertionError):  # it closed a dialog, or q was typed into an input
            wait_for(partial(has_changed, was_asked), 5)
    assert terminal.wait_for_exit() == 0, terminal.text()


def test_a_tour_of_the_screens(env: dict[str, str]) -> None:
    """Browse, train, stop, evaluate, copy, open the images of a cell, classify a file."""
    with Terminal(env={**env, **LONG}) as terminal:
        terminal.until("look at the sketches")
        terminal.press("S")
        terminal.until("#0")
        terminal.press("pagedown")
        terminal.until(r"#\d\d")
        terminal.press("2")
        terminal.until("Next run")
        terminal.press("space")
        terminal.until(r"step [\d,]{3,}/")
        terminal.press("s")
        terminal.until("stopped")
        terminal.press("3")
        terminal.until("No predictions")
        terminal.press("e")
        # Not the title of the matrix on Train, part of which may still be on the screen.
        terminal.until(r"true \w.* → predicted \w")
        assert re.search(rb"\x1b\]2;[^\a\x1b]* % val\a", terminal.raw), "no title of the terminal"
        terminal.press("y")
        terminal.until("to the clipboard")
        terminal.press("c")
        terminal.until("copied, if the terminal allows it: fmnist-tui evaluate")
        copied = re.search(rb"\x1b\]52;c;([^\a]*)\a", terminal.raw)
        assert copied and base64.b64decode(copied[1]).startswith(b"fmnist-tui evaluate ")
        terminal.press("enter")
        terminal.until(r"#\d+ of ")
        terminal.press("5")
        terminal.until("image file")
        terminal.paste(str(SAMPLES / "bag-cut-out.png"))
        terminal.until("1 upright")
        terminal.until(r"\d\.\d %")
        quit_dashboard(terminal)
        assert terminal.is_restored()
