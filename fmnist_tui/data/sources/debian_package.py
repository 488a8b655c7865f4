"""A package of Debian's or Ubuntu's, fetched and unpacked without being root.

`apt-get download` needs no rights, only package lists. Where the system has none, or
old ones, lists of our own are fetched into a temporary folder. apt checks the
signatures; nothing of the system is changed and nobody is asked anything.
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

from fmnist_tui.data.load_progress import check_cancel
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

OnStep = Callable[[str, float], None]

SILENCE = 25.0  # seconds without any progress after which a program is ended
LONGEST = 600.0  # seconds for one program in all
_LOOK_EVERY = 0.1

_SETTINGS = (
    "APT::Status-Fd=1",
    "Acquire::http::Timeout=10",
    "Acquire::https::Timeout=10",
    "Acquire::Retries=1",
    "Acquire::Languages=none",
    "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
)
# What a machine has hooked onto its own updates is not for ours.
_NO_HOOKS = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@contextlib.contextmanager
def unpacked(package: str, say: OnStep, cancel: threading.Event | None = None) -> Iterator[Path]:
    """The root of the unpacked package, there for as long as the context lasts.

    `say` is told what is being done and the share of it that is done. Raises UserError.
    """
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        raise UserError(f"no {' and no '.join(missing)} here: not a Debian or Ubuntu system")
    try:
        with tempfile.TemporaryDirectory(prefix="fmnist-tui-", ignore_cleanup_errors=True) as name:
            work = Path(name)
            # Run by root, apt fetches as its own user, who must get in here.
            work.chmod(0o755)
            yield _unpack(_package_file(package, work, say, cancel), work, say, cancel)
    except OSError as error:
        raise UserError(f"the package cannot be fetched or unpacked: {reason(error)}") from error


def _package_file(package: str, work: Path, say: OnStep, cancel: threading.Event | None) -> Path:
    for name in ("cache", "lists", "download"):
        (work / name).mkdir()
    (work / "no-hooks.conf").write_text(_NO_HOOKS)
    settings = [*_SETTINGS, f"Dir::Cache={work}/cache"]
    own_lists = [*settings, f"Dir::State::lists={work}/lists"]

    def apt(verb: Sequence[str], settings: list[str], doing: str) -> None:
        options = [part for setting in settings for part in ("-o", setting)]
        command = ["apt-get", "-q", "-c", str(work / "no-hooks.conf"), *options, *verb]
        _run(command, work / "download", lambda share: say(doing, share), cancel)

    download, doing = ("download", package), f"apt-get download {package}"
    try:
        apt(download, settings, doing)
    except _FailedError:
        # Some of a machine's sources may be out of reach; what counts is the package.
        with contextlib.suppress(_FailedError):
            apt(("update",), own_lists, "apt-get update, into a folder of our own")
        apt(download, own_lists, doing)
    files = sorted((work / "download").glob("*.deb"))
    if not files:
        raise UserError(f"apt-get download {package} left no file")
    return files[0]


def _unpack(file: Path, work: Path, say: OnStep, cancel: threading.Event | None) -> Path:
    root = work / "root"
    say(f"dpkg-deb -x {file.name}", 0.0)
    _run(["dpkg-deb", "-x", str(file), str(root)], work, lambda share: None, cancel)
    file.unlink()
    return root


class _FailedError(UserError):
    """A program that ended badly."""


def _run(
    command: list[str],
    folder: Path,
    progress: Callable[[float], None],
    cancel: threading.Event | None,
) -> None:
    """Runs the program to its end, or ends it when it stands still, or on `cancel`."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    with tempfile.TemporaryFile() as output:
        # In a session of its own: no terminal to ask on, and its helpers end with it.
        program = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _watch(program, command[0], output.fileno(), progress, cancel)
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()
        if program.returncode:
            raise _FailedError(f"{command[0]}: {_complaint(_output(output.fileno()), program)}")


def _watch(
    program: subprocess.Popen[bytes],
    name: str,
    output: int,
    progress: Callable[[float], None],
    cancel: threading.Event | None,
) -> None:
    start = moved = time.monotonic()
    before: set[str] = set()
    while program.poll() is None:
        check_cancel(cancel)
        now = time.monotonic()
        # A line seen before, such as an unchanged percentage, is no progress.
        lines = _output(output).splitlines()
        if not before.issuperset(lines):
            moved, before = now, before.union(lines)
            progress(_share(lines))
        if now - moved > SILENCE or now - start > LONGEST:
            raise _FailedError(f"{name}: no progress for too long")
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(_LOOK_EVERY)


def _output(handle: int) -> str:
    return os.pread(handle, 2**20, 0).decode(errors="replace")


def _share(lines: list[str]) -> float:
    """How far apt says it is, from its last line of the form `dlstatus:1:33.3:…`."""
    for line in reversed(lines):
        parts = line.split(":")
        if parts[0] == "dlstatus" and len(parts) > 2:
            with contextlib.suppress(ValueError):
                return min(max(float(parts[2]) / 100, 0.0), 1.0)
    return 0.0


def _complaint(output: str, program: subprocess.Popen[bytes]) -> str:
    """The program's own last words about what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line[2:].strip() for line in lines if line.startswith("E:")]
    if errors:
        return safe_text(errors[0], 200)
    said = [line for line in lines if not line.startswith("dlstatus:")]
    return safe_text(said[-1] if said else f"ended with code {program.returncode}", 200)
