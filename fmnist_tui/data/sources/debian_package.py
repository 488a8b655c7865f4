"""Download and unpack a Debian or Ubuntu package without root.

`apt-get download` needs no privileges, only package lists. If the system has none, or old
ones, private lists are fetched into a temporary folder. apt checks the signatures; the system
is not changed and nothing is asked.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from fmnist_tui.data.load_progress import check_cancel
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

OnProgress = Callable[[str, float], None]

STALL_SECONDS = 25.0  # without progress, after which a program is killed
MAX_SECONDS = 600.0  # for one program
_POLL_SECONDS = 0.1

_SETTINGS = (
    "APT::Status-Fd=1",
    "Acquire::http::Timeout=10",
    "Acquire::https::Timeout=10",
    "Acquire::Retries=1",
    "Acquire::Languages=none",
    "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
)
# The system's own hooks on updates must not run for the private lists.
_NO_HOOKS = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@contextlib.contextmanager
def fetch_package(
    package: str, on_progress: OnProgress, cancel: threading.Event | None = None
) -> Iterator[Path]:
    """Download and unpack a package into a folder that is deleted when the context ends.

    `on_progress` gets the current step and its completed share. Raises UserError.
    """
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        raise UserError(f"no {' and no '.join(missing)}: not a Debian or Ubuntu system")
    try:
        with tempfile.TemporaryDirectory(prefix="fmnist-tui-", ignore_cleanup_errors=True) as name:
            work = Path(name)
            # apt started by root downloads as a user of its own, who needs access.
            work.chmod(0o755)
            file = _download(package, work, on_progress, cancel)
            on_progress(f"dpkg-deb -x {file.name}", 0.0)
            root = work / "root"
            _run(["dpkg-deb", "-x", str(file), str(root)], work, lambda share: None, cancel)
            file.unlink()
            yield root
    except OSError as error:
        raise UserError(
            f"the package cannot be downloaded or unpacked: {format_error(error)}"
        ) from error


def _download(
    package: str, work: Path, on_progress: OnProgress, cancel: threading.Event | None
) -> Path:
    for name in ("cache", "lists", "download"):
        (work / name).mkdir()
    (work / "no-hooks.conf").write_text(_NO_HOOKS)
    settings = [*_SETTINGS, f"Dir::Cache={work}/cache"]
    private_lists = [*settings, f"Dir::State::lists={work}/lists"]

    def apt(command: Sequence[str], settings: list[str], message: str) -> None:
        options = [part for setting in settings for part in ("-o", setting)]
        arguments = ["apt-get", "-q", "-c", str(work / "no-hooks.conf"), *options, *command]
        _run(arguments, work / "download", lambda share: on_progress(message, share), cancel)

    download, message = ("download", package), f"apt-get download {package}"
    try:
        apt(download, settings, message)
    except _ProgramError:
        # An update fails if only one of the system's sources is down; the package may be elsewhere.
        with contextlib.suppress(_ProgramError):
            apt(("update",), private_lists, "apt-get update of private package lists")
        apt(download, private_lists, message)
    files = sorted((work / "download").glob("*.deb"))
    if not files:
        raise UserError(f"apt-get download {package} did not create a file")
    return files[0]


class _ProgramError(UserError):
    """A program failed or was killed."""


def _run(
    command: list[str],
    folder: Path,
    on_share: Callable[[float], None],
    cancel: threading.Event | None,
) -> None:
    """Run the program to its end; kill it when it stalls or on `cancel`."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    with tempfile.TemporaryFile() as output:
        # A session of its own has no terminal to ask on, and is killed with all its processes.
        program = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        started = last_progress = time.monotonic()
        old_lines: set[str] = set()
        try:
            while program.poll() is None:
                check_cancel(cancel)
                now = time.monotonic()
                # A repeated line, such as an unchanged percentage, is not progress.
                lines = _read(output).splitlines()
                if not old_lines.issuperset(lines):
                    last_progress = now
                    old_lines.update(lines)
                    on_share(_parse_share(lines))
                if now - last_progress > STALL_SECONDS or now - started > MAX_SECONDS:
                    raise _ProgramError(f"{command[0]}: no progress for too long")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.wait(_POLL_SECONDS)
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()
        if program.returncode:
            raise _ProgramError(f"{command[0]}: {_error_message(_read(output), program)}")


def _read(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), 2**20, 0).decode(errors="replace")


def _parse_share(lines: list[str]) -> float:
    """apt's progress, from the last line of the form `dlstatus:1:33.3:…`."""
    for line in reversed(lines):
        parts = line.split(":")
        if parts[0] == "dlstatus" and len(parts) > 2:
            with contextlib.suppress(ValueError):
                return min(max(float(parts[2]) / 100, 0.0), 1.0)
    return 0.0


def _error_message(output: str, program: subprocess.Popen[bytes]) -> str:
    """apt's first error, or the program's last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line[2:].strip() for line in lines if line.startswith("E:")]
    messages = [line for line in lines if not line.startswith("dlstatus:")]
    status = f"exit status {program.returncode}"
    return safe_text([*errors[:1], *messages[-1:], status][0], 200)
