"""`fmnist-tui --plain`: a prompt that takes the actions of the dashboard as words.

Every word is one of the program's commands, or short for one about the run that is followed. A
training runs in a process of its own, so that the prompt can be left at any time.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fmnist_tui.cli import main
from fmnist_tui.cli.plain.follower import RunFollower
from fmnist_tui.cli.support import console, options
from fmnist_tui.config import recipes
from fmnist_tui.protocol.commands import ScaleLearningRate
from fmnist_tui.protocol.validation import find_validation
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary, list_runs, resolve
from fmnist_tui.runs.log import send_command
from fmnist_tui.util import paths
from fmnist_tui.util.errors import UserError, did_you_mean
from fmnist_tui.util.formatting import format_count, format_duration, format_number, format_percent

PROMPT = "> "
# Between two lines about an epoch in progress.
SECONDS = 30.0
_RATES = {"half": 0.5, "double": 2.0}
# Words about the current run, with the commands that they are short for.
_ABOUT_RUN = {
    "stop": ("runs", "stop"),
    "pause": ("runs", "pause"),
    "checkpoint": ("runs", "checkpoint"),
    "show": ("runs", "show"),
    "evaluate": ("evaluate",),
    "errors": ("errors",),
    "export": ("export",),
    "report": ("report",),
}
_SHORT = {"compare": ("runs", "compare"), "data": ("data", "list"), "runs": ("runs", "list"),
          "recipes": ("recipes", "list")}  # fmt: skip
_NOT_HERE = ("dashboard", "serve", "tour")
HELP = """\
help              this list; COMMAND --help describes a command
data              the datasets; data get NAME fetches one, data show NAME counts its images
recipes           the recipes; recipes show NAME
train [RECIPE]    train, with settings such as --epochs 3; it goes on if you quit
status            what the run is doing
pause, resume     the run; resume RUN goes on with one that has ended
rate [RATE]       say or set the learning rate; rate half, rate double
checkpoint, stop  save the run; save and end it
wait              until the run has ended
runs              all runs; compare RUN RUN compares some, follow RUN makes one current
show, evaluate, errors, export, report [RUN]
                  about the current run, or another: errors --true Shirt --pred Coat
predict FILE      classify images with the current run
quit              leave; a run goes on"""


class PlainPrompt:
    """Reads words from standard input until `quit` or its end."""

    def __init__(self, runs_dir: Path, seconds: float = SECONDS) -> None:
        self._runs_dir = runs_dir
        self._lock = threading.Lock()
        # Whether the prompt has been printed and nothing after it.
        self._is_prompting = False
        self._follower = RunFollower(self.say, seconds)
        self._own: Mapping[str, Callable[[list[str]], int]] = {
            "help": self._help,
            "train": self._train,
            "status": self._status,
            "resume": self._resume,
            "rate": self._rate,
            "follow": self._follow,
            "attach": self._follow,
            "predict": self._predict,
            "wait": self._wait,
        }

    def run(self, attach: RunFolder | None = None) -> int:
        """Take words to the end; the exit status is that of the last one."""
        console.use_plain()
        self.say("fmnist-tui, plain: help lists what can be done, quit leaves")
        self._open(attach)
        status = 0
        while (line := self._read()) is not None:
            try:
                words = shlex.split(line, comments=True)
            except ValueError as error:
                self.say(f"not understood: {str(error).lower()}")
                continue
            if words[:1] in (["quit"], ["exit"]):
                break
            status = self._do(words) if words else status
            if status > 128 and status != 130:
                return status  # a signal asked for the end
        else:
            # Nobody can type any more: with the last word the work is done.
            if not sys.stdin.isatty():
                status = self._wait([]) or status
        self._leave()
        return status

    def say(self, line: str) -> None:
        """Print a line, also while something is being typed; any thread may call it."""
        with self._lock:
            if self._is_prompting:
                console.drawing([""])
            console.line(line)
            if self._is_prompting:
                self._print_prompt()

    def _read(self) -> str | None:
        """The next line, or None at the end of the input."""
        with self._lock:
            self._is_prompting = sys.stdin.isatty()
            if self._is_prompting:
                self._print_prompt()
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            return ""
        finally:
            with self._lock:
                self._is_prompting = False
        if line and not sys.stdin.isatty():
            self.say(f"{PROMPT}{line.rstrip()}")
        return line or None

    def _print_prompt(self) -> None:
        sys.stdout.write(PROMPT)
        sys.stdout.flush()

    def _open(self, attach: RunFolder | None) -> None:
        """Follow a run: the given one, or one that is live, or else the newest."""
        with contextlib.suppress(UserError):
            runs = list_runs(self._runs_dir)
            live: list[RunSummary] = [run for run in runs if run.is_live]
            newest = (live or runs)[0].run if runs else None
            if (folder := attach or newest) is not None:
                self._follower.follow(folder)
        self._status([])

    def _leave(self) -> None:
        if self._follower.is_live and self._follower.folder is not None:
            name = self._follower.folder.id
            self.say(f"{self._follower.name} goes on; fmnist-tui attach {name} --plain follows it")
        self._follower.close()

    # -- words ------------------------------------------------------------------------

    def _do(self, words: list[str]) -> int:
        name, *rest = words
        try:
            if name in self._own:
                return self._own[name](rest)
            return self._command(name, rest)
        except UserError as error:
            console.error(str(error))
            return error.exit_code
        except KeyboardInterrupt:
            return 130

    def _command(self, name: str, rest: list[str]) -> int:
        known = [*self._own, *_ABOUT_RUN, *_SHORT, *main.COMMANDS, "quit"]
        if name in _NOT_HERE:
            raise UserError(f"{name} draws a screen: quit first")
        if name in _ABOUT_RUN:
            run = [] if rest and not rest[0].startswith("-") else [self._current()]
            return main.run([*_ABOUT_RUN[name], *run, *rest])
        if name in _SHORT and (not rest or name == "compare"):
            return main.run([*_SHORT[name], *rest])
        if name not in main.COMMANDS:
            hint = did_you_mean(name, known) or " (help lists all)"
            raise UserError(f"there is no word {name!r}{hint}")
        if name == "data" and rest[:1] == ["show"] and "--count" not in rest:
            rest = [*rest, "--count=0"]  # the counts of classes, no pictures
        return main.run([name, *rest])

    def _current(self) -> str:
        if self._follower.folder is None:
            raise UserError("there is no run yet: train makes one")
        return str(self._follower.folder.path)

    def _help(self, _: Sequence[str]) -> int:
        for line in HELP.splitlines():
            self.say(line)
        others = sorted(set(main.COMMANDS) - {*self._own, *_ABOUT_RUN, *_SHORT, *_NOT_HERE})
        self.say(f"{'others':<18}{', '.join(others)}")
        return 0

    def _train(self, words: list[str]) -> int:
        """Start a training in a process of its own, and follow it."""
        if any(word in ("-h", "--help") for word in words):
            return main.run(["train", *words])
        self._refuse_if_live()
        self.say("starting …")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            own = [word for word in words if word not in ("--detach", "--json")]
            status = main.run(["train", *own, f"--runs={self._runs_dir}", "--detach", "--json"])
        if status == 0 and output.getvalue():
            self._follower.follow(RunFolder(Path(json.loads(output.getvalue())["path"])))
            self._status([])
        return status

    def _refuse_if_live(self) -> None:
        if self._follower.is_live:
            raise UserError(f"{self._follower.name} is in progress: stop ends it")

    def _resume(self, words: list[str]) -> int:
        if self._follower.is_live and not words:
            return main.run(["runs", "resume", self._current()])
        run, *rest = words or [self._current()]
        return self._train([f"--resume={run}", *rest])

    def _rate(self, words: list[str]) -> int:
        state = self._follower.state
        if not words:
            self.say(f"learning rate {format_number(state.lr, 8)}")
            return 0
        if words[0] in _RATES and self._follower.folder is not None:
            command = ScaleLearningRate(time.time(), _RATES[words[0]])
            send_command(self._follower.folder, command)
            return 0
        return main.run(["runs", "set", self._current(), f"lr={words[0]}"])

    def _follow(self, words: list[str]) -> int:
        self._follower.follow(resolve(self._runs_dir, words[0] if words else "last"))
        return self._status([])

    def _predict(self, words: list[str]) -> int:
        """Classify files with the current run, unless a run or a model file comes first."""
        first = paths.expand_home(next((word for word in words if not word.startswith("-")), ""))
        is_model = first.suffix in options.MODEL_SUFFIXES or (first / "events.jsonl").exists()
        if first.exists() and not is_model:
            words = [self._current(), *words]
        return main.run(["predict", *words])

    def _wait(self, _: Sequence[str]) -> int:
        while not self._follower.wait(0.2):
            pass
        end = self._follower.state.end
        return 1 if end is not None and end.reason == "failed" else 0

    def _status(self, _: Sequence[str]) -> int:
        follower, state = self._follower, self._follower.state
        if follower.folder is None:
            names = ", ".join(recipes.recipe_names())
            self.say(f"no run yet; train starts {recipes.DEFAULT_RECIPE} (recipes: {names})")
            return 0
        parts = [follower.name]
        if state.started is not None and follower.is_live:
            epoch = min(state.epochs_done + 1, state.started.epochs)
            parts += ["paused" if state.paused else state.phase or "starting"]
            parts += [f"epoch {epoch} of {format_count(state.started.epochs, 'epoch')}"]
            if state.lr is not None:
                parts.append(f"learning rate {format_number(state.lr, 8)}")
            parts.append(f"{format_duration(state.eta_seconds)} left")
        else:
            parts.append(state.end.outcome if state.end is not None else "not in progress")
        if (val := find_validation(state)) is not None:
            parts.append(f"validation {val.format()}")
        if (test := state.evaluation("test")) is not None:
            parts.append(f"test {format_percent(test.accuracy)}")
        self.say(", ".join(parts))
        return 0
