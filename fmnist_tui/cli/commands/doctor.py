"""`fmnist-tui doctor`: what this machine has, and what to do where something is missing."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import fmnist_tui
from fmnist_tui.cli.support import console, options
from fmnist_tui.util.errors import reason

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "pydantic",
    "rich",
    "plotext",
    "scikit-learn",
)
LEAST_FREE = 2 << 30
GB = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what was found, whether that is well, and what to do if not."""

    name: str
    found: str
    ok: bool = True
    advice: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    options.folders(parser)
    options.as_json(parser)


def run(args: argparse.Namespace) -> int:
    runs_dir, data_dir = options.runs_dir(args), options.data_dir(args)
    findings = [
        *_terminal(),
        *_versions(),
        *_device(),
        *_data(data_dir),
        _folder("runs folder", runs_dir, "--runs DIR or FMNIST_TUI_RUNS"),
        _folder("data folder", data_dir, "--data DIR or FMNIST_TUI_DATA"),
    ]
    if args.json:
        console.document([asdict(finding) for finding in findings])
    else:
        mark = {True: "ok", False: "!!"}
        for finding in findings:
            print(f"{mark[finding.ok]}  {finding.name:14} {finding.found}")
            if finding.advice:
                print(f"{'':20}{finding.advice}")
    return 0 if all(finding.ok for finding in findings) else 1


def _terminal() -> Iterator[Finding]:
    if not sys.stdout.isatty():
        yield Finding("terminal", "none: output goes to a file or pipe, plain lines are used")
        return
    columns, lines = shutil.get_terminal_size()
    small = columns < 80 or lines < 24
    yield Finding(
        "terminal",
        f"{os.environ.get('TERM', 'TERM is not set')}, {columns}×{lines}",
        not small,
        "make the window 80×24 or larger" if small else "",
    )
    has = console.colours()
    plain = has in ("none", "16") and "NO_COLOR" not in os.environ
    yield Finding(
        "colours",
        has,
        True,
        "for true colour: COLORTERM=truecolor, in tmux also `set -as terminal-features ',*:RGB'`"
        if plain
        else "",
    )
    yield Finding(
        "characters",
        sys.stdout.encoding or "unknown",
        console.unicode(),
        "" if console.unicode() else "set a UTF-8 locale: LANG=C.UTF-8",
    )


def _versions() -> Iterator[Finding]:
    yield Finding("fmnist-tui", f"{fmnist_tui.__version__}, Python {platform.python_version()}")
    for package in PACKAGES:
        try:
            yield Finding(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, "missing", False, "install again: pip install fmnist-tui")


def _device() -> Iterator[Finding]:
    try:
        import torch
        import torchvision  # noqa: F401 - the two must fit each other
    except Exception as error:  # noqa: BLE001 - a broken install fails in many ways
        yield Finding(
            "torch",
            f"cannot be imported: {reason(error)[:160]}",
            False,
            "install the two together: pip install --force-reinstall torch torchvision",
        )
        return
    from fmnist_tui.engine.device import cpu_name

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("CPU", f"{cpu_name()}, {cores} cores")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            yield Finding(f"GPU {index}", f"{facts.name}, {facts.total_memory / GB:.0f} GB")
        return
    if torch.backends.mps.is_available():
        yield Finding("GPU", "Apple's, used through MPS")
        return
    has_card = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    yield Finding(
        "GPU",
        "an NVIDIA driver is here, but torch cannot use it"
        if has_card
        else "none; training uses the CPU",
        not has_card,
        f"torch was built for CUDA {torch.version.cuda}: update the driver, or install a torch "
        "built for yours"
        if has_card
        else "",
    )


def _data(data_dir: Path) -> Iterator[Finding]:
    from fmnist_tui.data.load import is_present

    for name in ("fashion", "mnist"):
        here = is_present(name, data_dir)
        yield Finding(
            name,
            "here" if here else "not here yet",
            True,
            "" if here else f"it is fetched when first used, or now: fmnist-tui data get {name}",
        )


def _folder(name: str, folder: Path, other: str) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(name, f"{folder}: {reason(error)}", False, f"choose another with {other}")
    found = f"{folder}, {free / GB:.1f} GB free"
    if free < LEAST_FREE:
        return Finding(name, found, False, f"make room, or choose another with {other}")
    return Finding(name, found)
