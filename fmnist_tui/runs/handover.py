"""Handing a run to a process of its own: without a terminal, in nobody's care.

Such a process leads a life apart: in a session of its own, deaf to SIGHUP, with nothing
to read and a file to write to. A shell that ends at once starts it, so that it is nobody's
child to reap.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Self

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.atomic_write import atomic_write, create_temporary, sweep_strays
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.paths import program_command
from fmnist_tui.util.text import safe_text

OUTPUT = "output.log"
PLAN = "plan.json"

# The process writes to the shell's standard error; the shell's output is its number.
_SHELL = 'trap "" HUP; (exec "$@" </dev/null >&2) & echo "$!"'
_SHELL_SECONDS = 30
# Never through a link: what is appended to must be ours.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW


def go_on(folder: RunFolder, data_dir: Path, plan: str = "") -> int:
    """Have another process take the run up from its last checkpoint; gives its number.

    For a run whose lock is free. `plan` is what it is a step of, as `Plan.kept` has it: that
    process goes on with the rest too. What it says is added to the run's `output.log`;
    how it fares is told, as always, by the run's events.
    """
    path = folder.path.absolute()
    places = [f"--runs={path.parent}", f"--data={data_dir.absolute()}"]
    if plan:
        kept = path / PLAN
        try:
            atomic_write(kept, plan.encode())
        except OSError as error:
            raise UserError(f"cannot write {safe_text(kept)}: {reason(error)}") from error
        places.append(f"--plan={kept}")
    with HandoverOutput.of(folder) as output:
        return start(["train", f"--resume={path}", *places], output)


def start(arguments: list[str], output: HandoverOutput) -> int:
    """Run this program apart from the present process; gives its number."""
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
        raise UserError(f"cannot start a process for the run: {reason(error)}") from error


class HandoverOutput:
    """The file a process apart writes to, read here as it grows."""

    def __init__(self, path: Path, descriptor: int, is_aside: bool = False) -> None:
        self.path, self.descriptor = path, descriptor
        self._is_aside = is_aside
        self._place = os.fstat(descriptor).st_size

    @classmethod
    def of(cls, folder: RunFolder) -> HandoverOutput:
        """The `output.log` of a run, to be added to."""
        path = folder.path / OUTPUT
        try:
            return cls(path, os.open(path, _FLAGS, 0o666))
        except OSError as error:
            raise UserError(f"cannot write {safe_text(path)}: {reason(error)}") from error

    @classmethod
    def aside(cls, runs_dir: Path) -> HandoverOutput:
        """One for a run that has no folder yet; gone afterwards unless `move_to` was called.

        It is locked as long as any process has it open: what a killed one left is swept.
        """
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            sweep_strays(runs_dir)
            path, descriptor = create_temporary(runs_dir, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise UserError(
                f"cannot create a run in {safe_text(runs_dir)}: {reason(error)};"
                " choose another folder with --runs DIR"
            ) from error
        return cls(path, descriptor, is_aside=True)

    def lines(self) -> list[str]:
        """The whole lines that have been added since the last call."""
        found = b""
        while block := os.pread(self.descriptor, 1 << 16, self._place + len(found)):
            found += block
        whole = found[: found.rfind(b"\n") + 1]
        self._place += len(whole)
        return whole.decode("utf-8", "replace").splitlines()

    def move_to(self, folder: RunFolder) -> None:
        """Make the file the run's own, if it is not; whoever writes to it does not notice."""
        if self._is_aside:
            with contextlib.suppress(OSError):
                self.path = self.path.replace(folder.path / OUTPUT)
            self._is_aside = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_aside:
            self.path.unlink(missing_ok=True)
        os.close(self.descriptor)
