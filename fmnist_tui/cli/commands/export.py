"""`fmnist-tui export RUN|MODELFILE`: a model as a file for elsewhere, compared with its origin."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.progress import steps
from fmnist_tui.engine.export.export_request import FORMATS, OPSET, OPSETS, ExportRequest
from fmnist_tui.engine.session.session import Session
from fmnist_tui.runs.folder import EXPORTS, RunFolder
from fmnist_tui.util.errors import UsageError, UserError, reason
from fmnist_tui.util.paths import expanded
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.engine.export.export import Exported


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RUN|MODELFILE", help="what to export")
    parser.add_argument("--to", required=True, choices=FORMATS, help="the form of the file")
    parser.add_argument(
        "--out", metavar="FILE", help=f"the file [{EXPORTS}/ID.{'|'.join(FORMATS)} in the run]"
    )
    parser.add_argument(
        "--opset",
        type=int,
        default=OPSET,
        metavar="N",
        help=f"version of ONNX's operators, {OPSETS[0]} to {OPSETS[-1]} [{OPSET}]",
    )
    parser.add_argument(
        "--no-check",
        action="store_true",
        help="neither compare the file with the model on the test images nor time it",
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    options.folders(parser)
    options.as_json(parser)


def run(args: argparse.Namespace) -> int:
    runs_dir = options.runs_dir(args)
    source = options.model_source(runs_dir, args.source)
    out = expanded(args.out) if args.out else _in_run(source, args.to)
    wanted = ExportRequest(args.to, out, args.opset, not args.no_check, args.force)
    with Session(runs_dir, options.data_dir(args)) as session, steps("exporting") as tell:
        done = session.export(source, wanted, tell=tell).result()
    if args.json:
        console.document(as_document(done))
    else:
        _show(done)
    return 0


def _in_run(source: Path, to: str) -> Path:
    """Where a run's exports are kept if nothing else is said."""
    if not source.is_dir():
        raise UsageError(f"{safe_text(source)} is no run: say where to write with --out FILE")
    folder = RunFolder(source)
    try:
        folder.exports.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{safe_text(folder.exports)} cannot be made: {reason(error)}") from error
    return folder.exports / f"{folder.id}.{to}"


def as_document(done: Exported) -> dict[str, Any]:
    """An export as the command's JSON has it."""
    parity = done.parity
    return {
        "file": str(done.file).encode("utf-8", "replace").decode(),
        "format": done.format,
        "size": done.size,
        "sha256": done.sha256,
        "opset": done.opset,
        "parity": parity
        and {
            "split": parity.split,
            "count": parity.count,
            "same_labels": parity.same_labels,
            "share": parity.share,
            "largest_difference": _number(parity.largest_difference),
        },
        "latency_ms": {
            who: {str(batch): time for batch, time in times.items()}
            for who, times in done.latency.items()
        },
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _show(done: Exported) -> None:
    opset = f", opset {done.opset}" if done.opset else ""
    print(f"{safe_text(done.file)}: {done.size:,} bytes{opset}, SHA-256 {done.sha256}")
    if done.parity is None:
        console.note("neither compared nor timed, as asked")
        return
    found = done.parity
    print(
        f"{found.same_labels:,} of {found.count:,} {found.split} images get the same label"
        f" ({console.percent(found.share)}), largest difference of a probability"
        f" {found.largest_difference:.2g}"
    )
    for who, times in done.latency.items():
        told = ", ".join(f"{time:.2f} ms for {batch}" for batch, time in times.items())
        print(f"{who}: {told} (median, pictures at once)")
