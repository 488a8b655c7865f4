"""`fmnist-tui doctor`: check what the program needs on this machine, and suggest fixes."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
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
from fmnist_tui.util.errors import format_error

NEEDED = ("torch", "torchvision", "numpy", "pillow", "pydantic", "rich", "plotext", "scikit-learn")
MIN_FREE_BYTES = 2 << 30
GB = 1 << 30
TRUE_COLOUR = (
    "for true colour set COLORTERM=truecolor, in tmux also `set -as terminal-features ',*:RGB'`"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. Printed as JSON under these names."""

    name: str
    found: str
    ok: bool = True
    advice: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_common(parser)


def run(args: argparse.Namespace) -> int:
    runs_dir, data_dir = options.runs_dir(args), options.data_dir(args)
    findings = []
    for finding in _check_all(runs_dir, data_dir):
        findings.append(finding)
        if not args.json:
            console.line(f"{'ok' if finding.ok else '!!'}  {finding.name:14} {finding.found}")
            if finding.advice:
                console.line(f"{'':20}{finding.advice}")
    if args.json:
        console.print_json([asdict(finding) for finding in findings])
    return 0 if all(finding.ok for finding in findings) else 1


def _check_all(runs_dir: Path, data_dir: Path) -> Iterator[Finding]:
    yield from _check_terminal()
    yield from _check_versions()
    yield from _check_datasets(data_dir)
    yield _check_folder("runs folder", runs_dir, "--runs DIR or FMNIST_TUI_RUNS")
    yield _check_folder("data folder", data_dir, "--data DIR or FMNIST_TUI_DATA")
    # Last, because torch takes seconds to import.
    yield from _check_device()


def _check_terminal() -> Iterator[Finding]:
    if not sys.stdout.isatty():
        yield Finding("terminal", "none: output to a file or pipe is plain text")
        return
    columns, lines = shutil.get_terminal_size()
    term = os.environ.get("TERM", "TERM is not set")
    is_large = columns >= 80 and lines >= 24
    advice = "" if is_large else "enlarge the window to at least 80×24"
    yield Finding("terminal", f"{term}, {columns}×{lines}", is_large, advice)
    depth = console.colour_depth()
    is_poor = depth in ("none", "16") and "NO_COLOR" not in os.environ
    yield Finding("colours", depth, True, TRUE_COLOUR if is_poor else "")
    has_unicode = console.has_unicode()
    advice = "" if has_unicode else "set a UTF-8 locale: LANG=C.UTF-8"
    yield Finding("characters", sys.stdout.encoding or "unknown", has_unicode, advice)


def _check_versions() -> Iterator[Finding]:
    yield Finding("fmnist-tui", f"{fmnist_tui.__version__}, Python {platform.python_version()}")
    for package in NEEDED:
        try:
            yield Finding(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, "missing", False, "reinstall: pip install fmnist-tui")


def _check_device() -> Iterator[Finding]:
    try:
        import torch

        torch.ops.load_library(_find_operators())  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - a broken install fails in many ways
        advice = "reinstall both: pip install --force-reinstall torch torchvision"
        yield Finding("torch", f"cannot be imported: {format_error(error)[:160]}", False, advice)
        return
    from fmnist_tui.engine.cpu.machine import count_cpus, cpu_name

    yield Finding("CPU", f"{cpu_name()}, {count_cpus()} cores")
    if torch.cuda.is_available():
        yield from _check_gpus()
    elif torch.backends.mps.is_available():
        yield Finding("GPU", "Apple GPU, used through MPS")
    elif Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        advice = f"torch was built for CUDA {torch.version.cuda}: update the driver, or install a"
        advice += " version of torch built for it"
        yield Finding("GPU", "there is an NVIDIA driver, but torch cannot use it", False, advice)
    else:
        yield Finding("GPU", "none; training uses the CPU")


def _check_gpus() -> Iterator[Finding]:
    """Every NVIDIA GPU that torch sees, and what they have in common."""
    from fmnist_tui.engine.gpu import choice, software

    try:
        readings = choice.read_gpus()
    except RuntimeError as error:
        advice = "`nvidia-smi` may say why; until then, use --device cpu"
        yield Finding("GPU", f"cannot be used: {format_error(error)[:160]}", False, advice)
        return
    for gpu in readings:
        facts = [f"{gpu.name}, {gpu.memory / GB:.0f} GB"]
        if gpu.free is not None:
            facts.append(f"{gpu.free / GB:.0f} GB free")
        if gpu.load is not None:
            facts.append(f"load {gpu.load:.0f} %")
        facts.append(f"compute capability {gpu.capability[0]}.{gpu.capability[1]}")
        advice = "" if gpu.is_supported else f"this torch has kernels for {software.kernels()} only"
        yield Finding(f"GPU {gpu.index}", ", ".join(facts), gpu.is_supported, advice)
    taken = choice.least_busy(readings)
    found = f"{len(readings)}, {software.describe()}"
    if taken is not None:
        found += f"; `auto` takes cuda:{taken.index}"
    yield Finding("GPUs", found, taken is not None)


def _find_operators() -> Path:
    """The compiled part of torchvision, which loads only if its version suits torch. Importing
    torchvision would show the same, but takes as long as torch."""
    spec = importlib.util.find_spec("torchvision")
    files = sorted(Path(spec.origin).parent.glob("_C*")) if spec and spec.origin else []
    if not files:
        raise ImportError("torchvision is missing or incomplete")
    return files[0]


def _check_datasets(data_dir: Path) -> Iterator[Finding]:
    from fmnist_tui.data.load import is_present

    for name in ("fashion", "mnist"):
        if is_present(name, data_dir):
            yield Finding(name, "present")
        else:
            advice = f"downloaded on first use, or now with: fmnist-tui data get {name}"
            yield Finding(name, "not downloaded yet", True, advice)


def _check_folder(name: str, folder: Path, option: str) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        advice = f"choose another folder with {option}"
        return Finding(name, f"{folder}: {format_error(error)}", False, advice)
    advice = f"free some space, or choose another folder with {option}"
    is_enough = free >= MIN_FREE_BYTES
    found = f"{folder}, {free / GB:.1f} GB free"
    return Finding(name, found, is_enough, "" if is_enough else advice)
