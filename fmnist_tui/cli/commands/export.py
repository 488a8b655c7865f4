"""`fmnist-tui export RUN|MODELFILE`: export a model as a file for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.progress import show_progress
from fmnist_tui.engine.export.export_request import FORMATS, OPSET, OPSETS, ExportRequest
from fmnist_tui.runs.folder import EXPORTS_FOLDER, RunFolder
from fmnist_tui.util.errors import UsageError, UserError, format_error
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.engine.export.export import Exported


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RUN|MODELFILE", help="the model to export")
    parser.add_argument("--to", required=True, choices=FORMATS, help="file format")
    about = f"file to write [{EXPORTS_FOLDER}/ID.{'|'.join(FORMATS)} in the run's folder]"
    parser.add_argument("--out", metavar="FILE", help=about)
    options.add_int(parser, "--opset", OPSET, f"ONNX opset, {OPSETS[0]} to {OPSETS[-1]}")
    about = "skip comparing the file's predictions with the model's, and timing it"
    parser.add_argument("--no-check", action="store_true", help=about)
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
    options.add_common(parser)


def run(args: argparse.Namespace) -> None:
    source = options.find_model(args)
    out = expand_home(args.out) if args.out else _default_file(source, args.to)
    request = ExportRequest(args.to, out, args.opset, not args.no_check, args.force)
    with options.open_session(args) as session, show_progress("exporting") as on_progress:
        exported = session.export(source, request, on_progress=on_progress).result()
    for note in exported.notes:
        console.note(note)
    if args.json:
        console.print_json(_to_json(exported))
    else:
        _print(exported)


def _default_file(source: Path, format_: str) -> Path:
    """The file among a run's exports that is written without --out."""
    if not source.is_dir():
        raise UsageError(
            f"{safe_text(source)} is not a run: give the file to write with --out FILE"
        )
    folder = RunFolder(source)
    try:
        folder.exports.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot create {safe_text(folder.exports)}: {format_error(error)}"
        ) from error
    return folder.exports / f"{folder.id}.{format_}"


def _to_json(exported: Exported) -> dict[str, Any]:
    parity = exported.parity
    return {
        "file": str(exported.file).encode("utf-8", "replace").decode(),
        **console.pick(exported, "format", "size", "sha256", "opset"),
        "parity": parity
        and console.pick(parity, "split", "count", "same_labels", "share", "largest_difference"),
        "latency_ms": exported.latency,
    }


def _print(exported: Exported) -> None:
    opset = f", opset {exported.opset}" if exported.opset else ""
    console.line(f"{exported.file}: {exported.size:,} bytes{opset}, SHA-256 {exported.sha256}")
    parity = exported.parity
    if parity is None:
        console.note("not compared with the model and not timed (--no-check)")
        return
    console.line(
        f"same label for {parity.same_labels:,} of {parity.count:,} {parity.split} images"
        f" ({format_percent(parity.share)}), largest difference of a probability"
        f" {parity.largest_difference:.2g}"
    )
    for runtime, times in exported.latency.items():
        latencies = ", ".join(f"{time:.2f} ms for {batch}" for batch, time in times.items())
        console.line(f"{runtime}: {latencies} (median, by batch size)")
