"""Starts processes that are detached from this one and from any terminal, to train a run.

Such a process has a session of its own, ignores SIGHUP, reads nothing and writes to a file.
A shell that ends at once starts it, so that no parent has to reap it. It has taken a run over
once it has recorded the start: until then it may find that it cannot.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from fmnist_tui.protocol.events import RunStarted
from fmnist_tui.runs.folder import RunFolder, list_run_folders
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.util.atomic_write import atomic_write, create_temporary, remove_stale_temporaries
from fmnist_tui.util.errors import ERROR_PREFIX, UserError, format_error
from fmnist_tui.util.paths import program_command
from fmnist_tui.util.text import safe_text

OUTPUT_FILE = "output.log"
PLAN_FILE = "plan.json"

# The process writes to the shell's standard error; the shell prints its process id.
_SHELL = 'trap "" HUP; (exec "$@" </dev/null >&2) & echo "$!"'
_SHELL_SECONDS = 30
# A busy machine takes long to import torch and to load the data.
START_SECONDS = 60.0
POLL_SECONDS = 0.1
# Never through a link, which might lead to a file of someone else.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW


# The exit status of one of its processes, as torchrun prints it; negative for a signal.
_TORCHRUN_CODE = re.compile(r"^\s*exitcode\s*: (-?\d+)")


@dataclass(frozen=True, slots=True)
class Launch:
    """How this program is started: with a command and variables of the environment. See
    `engine/distributed/launch.py` for several processes."""

    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


# As one process.
ALONE = Launch()

# The run that the process with this ID has started, or None if it has not yet.
FindRun = Callable[[int], RunFolder | None]


def resume_detached(
    folder: RunFolder, data_dir: Path, plan: str = "", *, seconds: float = START_SECONDS
) -> int:
    """Resume the run from its last checkpoint in a detached process; returns its id once it
    trains. A UserError says that it does not, or not within `seconds`; 0 does not wait.

    The run's lock must be free. `plan` is the plan that the run is a step of, as JSON: the
    process continues with the rest of it too. Its output is appended to the run's
    `output.log`.
    """
    options = [f"--resume={folder.path.absolute()}", *_folder_options(folder, data_dir)]
    if plan:
        options.append(_save_plan(folder, plan))
    find_run = run_finder(folder.path.absolute().parent, folder)
    return _start_confirmed(options, folder, find_run, seconds)


def continue_detached(
    folder: RunFolder, data_dir: Path, plan: str, *, seconds: float = START_SECONDS
) -> int:
    """Run the rest of a plan, whose last completed step is this run, as `resume_detached` does."""
    options = [*_folder_options(folder, data_dir), _save_plan(folder, plan)]
    find_run = run_finder(folder.path.absolute().parent, None)
    return _start_confirmed(options, folder, find_run, seconds)


def _start_confirmed(
    options: list[str], folder: RunFolder, find_run: FindRun, seconds: float
) -> int:
    with HandoverOutput.for_run(folder) as output:
        process = start_detached(["train", *options], output)
        deadline = time.monotonic() + seconds
        if seconds and not wait_for_run(
            process, find_run, output, lambda: time.monotonic() > deadline
        ):
            raise UserError(
                f"process {process} was started to continue the run, but does not train after"
                f" {seconds:.0f} s; its output is in {safe_text(output.path)}"
            )
        return process


def _folder_options(folder: RunFolder, data_dir: Path) -> list[str]:
    return [f"--runs={folder.path.absolute().parent}", f"--data={data_dir.absolute()}"]


def _save_plan(folder: RunFolder, plan: str) -> str:
    """Write the plan into the run's folder; returns the option that names the file."""
    file = folder.path.absolute() / PLAN_FILE
    try:
        atomic_write(file, plan.encode())
    except OSError as error:
        raise UserError(f"cannot write {safe_text(file)}: {format_error(error)}") from error
    return f"--plan={file}"


def run_finder(runs_dir: Path, resumed: RunFolder | None) -> FindRun:
    """Make a FindRun, for a process that resumes a run or starts one in `runs_dir`, and then
    others: each call finds the next.

    Call this before the process starts: runs and events that exist by then are not its own. A
    process that torchrun is has others train the run."""
    seen = {folder.name for folder in list_run_folders(runs_dir)}
    awaited, host = resumed, socket.gethostname()
    offset = resumed.events.stat().st_size if resumed and resumed.events.exists() else 0
    family: set[int] = set()

    def began(folder: RunFolder) -> float | None:
        for event in EventReader(folder.events, offset if awaited else 0).read():
            if isinstance(event, RunStarted) and event.host == host and event.pid in family:
                return event.t
        return None

    def find_run(pid: int) -> RunFolder | None:
        nonlocal awaited
        family.update(_process_family(pid))
        new = [folder for folder in list_run_folders(runs_dir) if folder.name not in seen]
        begun = {folder: t for folder in ([awaited] if awaited else new) if (t := began(folder))}
        if not begun:
            return None
        folder = min(begun, key=lambda folder: begun[folder])
        seen.add(folder.name)
        awaited = None
        return folder

    return find_run


def wait_for_run(
    process: int,
    find_run: FindRun,
    output: HandoverOutput,
    is_enough: Callable[[], bool],
    on_line: Callable[[str], None] = lambda _: None,
) -> RunFolder | None:
    """The run of a detached process once it has started, or None after `is_enough`; `on_line`
    gets what the process prints. The error lines of a process that ends instead are the error."""
    errors: list[str] = []
    last, code = "without any output", None
    while not is_enough():
        # Checked first, so that all the process did before it ended is seen.
        is_alive = has_process(process)
        folder = find_run(process)
        if folder is not None:
            return folder
        for last in output.read_lines():
            if last.startswith(ERROR_PREFIX):
                # Of several processes each may say the same.
                if (error := last.removeprefix(ERROR_PREFIX)) not in errors:
                    errors.append(error)
            elif not errors:
                # After an error torchrun only tells that it has seen it.
                on_line(last)
            # The last is that of the process which failed first.
            code = _TORCHRUN_CODE.search(last) or code
        if not is_alive:
            ended = f"the run's process ended: {safe_text(last)}"
            if code is not None:
                by = (
                    f"by signal {code[1][1:]}"
                    if code[1].startswith("-")
                    else f"with status {code[1]}"
                )
                ended = f"a process of the run has ended {by}"
            raise UserError("\n".join(errors) or ended)
        time.sleep(POLL_SECONDS)
    return None


def _process_family(process: int) -> set[int]:
    """The process, and those that it has started."""
    import psutil

    try:
        children = psutil.Process(process).children(recursive=True)
    except psutil.Error:
        return {process}
    return {process, *(child.pid for child in children)}


def has_process(process: int) -> bool:
    """Whether the process lives. In a container there may be no init process to reap it."""
    import psutil

    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def start_detached(arguments: list[str], output: HandoverOutput, launch: Launch = ALONE) -> int:
    """Run this program in a detached process; returns its id."""
    try:
        shell = subprocess.run(
            ["/bin/sh", "-c", _SHELL, "sh", *(launch.command or program_command()), *arguments],
            env={**os.environ, **launch.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output.descriptor,
            start_new_session=True,
            timeout=_SHELL_SECONDS,
            check=True,
        )
        return int(shell.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UserError(f"cannot start a process for the run: {format_error(error)}") from error


class DetachedTraining:
    """A `train` command in a detached process, and the runs that it makes one after another."""

    def __init__(
        self,
        arguments: list[str],
        runs_dir: Path,
        resumed: RunFolder | None = None,
        launch: Launch = ALONE,
    ) -> None:
        self._find_run = run_finder(runs_dir, resumed)
        if resumed is not None:
            self.output = HandoverOutput.for_run(resumed)
        else:
            self.output = HandoverOutput.temporary(runs_dir)
        try:
            self.process = start_detached(arguments, self.output, launch)
        except UserError:
            self.output.close()
            raise

    def await_run(
        self, is_enough: Callable[[], bool], on_line: Callable[[str], None] = lambda _: None
    ) -> RunFolder | None:
        """Wait for the next run, as `wait_for_run` does."""
        folder = wait_for_run(self.process, self._find_run, self.output, is_enough, on_line)
        if folder is not None:
            self.output.move_to(folder)
        return folder

    @property
    def is_alive(self) -> bool:
        return has_process(self.process)

    def stop(self) -> None:
        """Have the process end in an orderly way."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGTERM)

    def close(self) -> None:
        self.output.close()


class HandoverOutput:
    """The file that a detached process writes to, read here as it grows."""

    def __init__(self, path: Path, descriptor: int, is_temporary: bool = False) -> None:
        self.path, self.descriptor = path, descriptor
        self._is_temporary = is_temporary
        self._offset = os.fstat(descriptor).st_size

    @classmethod
    def for_run(cls, folder: RunFolder) -> HandoverOutput:
        """The `output.log` of a run, to append to."""
        path = folder.path / OUTPUT_FILE
        try:
            return cls(path, os.open(path, _FLAGS, 0o666))
        except OSError as error:
            raise UserError(f"cannot write {safe_text(path)}: {format_error(error)}") from error

    @classmethod
    def temporary(cls, runs_dir: Path) -> HandoverOutput:
        """A file for a run that has no folder yet; deleted unless `move_to` is called.

        It is locked while any process has it open; those of killed processes are removed.
        """
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            remove_stale_temporaries(runs_dir)
            path, descriptor = create_temporary(runs_dir, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise UserError(
                f"cannot create a run in {safe_text(runs_dir)}: {format_error(error)};"
                " choose another folder with --runs DIR"
            ) from error
        return cls(path, descriptor, is_temporary=True)

    def read_lines(self) -> list[str]:
        """The complete lines added since the last call."""
        data = b""
        while block := os.pread(self.descriptor, 1 << 16, self._offset + len(data)):
            data += block
        lines = data[: data.rfind(b"\n") + 1]
        self._offset += len(lines)
        return lines.decode("utf-8", "replace").splitlines()

    def move_to(self, folder: RunFolder) -> None:
        """Move a temporary file to the run as its `output.log`; its writer is not disturbed."""
        if self._is_temporary:
            with contextlib.suppress(OSError):
                self.path = self.path.replace(folder.path / OUTPUT_FILE)
            self._is_temporary = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._is_temporary:
            self.path.unlink(missing_ok=True)
        os.close(self.descriptor)
