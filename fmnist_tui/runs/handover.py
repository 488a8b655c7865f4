"""Starts processes that are detached from this one and from any terminal.

Such a process has a session of its own, ignores SIGHUP, reads nothing and writes to a file.
A shell that ends at once starts it, so that no parent has to reap it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Self

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.atomic_write import atomic_write, create_temporary, remove_stale_temporaries
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.paths import program_command
from fmnist_tui.util.text import safe_text

OUTPUT_FILE = "output.log"
PLAN_FILE = "plan.json"

# The process writes to the shell's standard error; the shell prints its process id.
_SHELL = 'trap "" HUP; (exec "$@" </dev/null >&2) & echo "$!"'
_SHELL_SECONDS = 30
# Never through a link, which might lead to a file of someone else.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW


def resume_detached(folder: RunFolder, data_dir: Path, plan: str = "") -> int:
    """Resume the run from its last checkpoint in a detached process; returns its id.

    The run's lock must be free. `plan` is the plan that the run is a step of, as JSON: the
    process continues with the rest of it too. Its output is appended to the run's
    `output.log`.
    """
    path = folder.path.absolute()
    options = [f"--runs={path.parent}", f"--data={data_dir.absolute()}"]
    if plan:
        plan_file = path / PLAN_FILE
        try:
            atomic_write(plan_file, plan.encode())
        except OSError as error:
            raise UserError(
                f"cannot write {safe_text(plan_file)}: {format_error(error)}"
            ) from error
        options.append(f"--plan={plan_file}")
    with HandoverOutput.for_run(folder) as output:
        return start_detached(["train", f"--resume={path}", *options], output)


def start_detached(arguments: list[str], output: HandoverOutput) -> int:
    """Run this program in a detached process; returns its id."""
    try:
        shell = subprocess.run(
            ["/bin/sh", "-c", _SHELL, "sh", *program_command(), *arguments],
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
        if self._is_temporary:
            self.path.unlink(missing_ok=True)
        os.close(self.descriptor)
