"""`fmnist-tui report RUN`: write a run as one self-contained HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.progress import show_progress
from fmnist_tui.runs.folder import REPORT_FILE
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.report.collect import ReportFacts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    about = f"file to write [{REPORT_FILE}]"
    parser.add_argument("--out", default=REPORT_FILE, metavar="FILE", help=about)
    parser.add_argument(
        "--split",
        choices=("test", "val"),
        help="the split to report on [test if the run has read it, else val]",
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
    options.add_common(parser)


def run(args: argparse.Namespace) -> None:
    folder = options.find_run(args)
    out = expand_home(args.out)
    _check_writable(out, args.force)
    from fmnist_tui.report.collect import STAGES, collect_facts
    from fmnist_tui.report.page import render_page

    with show_progress("report") as on_progress:
        facts = collect_facts(folder, options.data_dir(args), args.split, on_progress)
        on_progress(STAGES - 1, STAGES, "writing the page")
        html = render_page(facts).encode("utf-8")
        try:
            atomic_write(out, html)
        except OSError as error:
            raise UserError(f"cannot write {safe_text(out)}: {format_error(error)}") from error
        on_progress(STAGES, STAGES, "done")
    if args.json:
        console.print_json(_to_json(facts, out, len(html)))
        return
    for part in facts.missing:
        fix = f"; create it with `{part.command}`" if part.command else ""
        console.note(f"without {part.name}: {part.reason}{fix}")
    console.line(f"{out}: {folder.name}, {len(html) / 1000:,.0f} kB")


def _check_writable(out: Path, force: bool) -> None:
    """Refuse a file that cannot or must not be written, before any work is done."""
    name = safe_text(out)
    if out.is_dir():
        raise UserError(f"{name} is a folder: give the file to write, such as {name}/{REPORT_FILE}")
    if not out.parent.is_dir():
        raise UserError(f"cannot write {name}: there is no folder {safe_text(out.parent)}")
    if not force and (out.exists() or out.is_symlink()):
        raise UserError(f"{name} already exists: choose another --out, or give --force")


def _to_json(facts: ReportFacts, out: Path, size: int) -> dict[str, Any]:
    evaluation = facts.scores.evaluation if facts.scores is not None else None
    groups = facts.images.groups if facts.images else ()
    shown = {miss.index for group in groups for miss in group.misses}
    return {
        "run": facts.folder.name,
        "path": str(out.absolute()),
        "bytes": size,
        "state": facts.summary.state,
        "split": facts.split,
        "count": evaluation.count if evaluation else None,
        "accuracy": evaluation.accuracy if evaluation else None,
        "accuracy_ci95": list(evaluation.interval) if evaluation else None,
        "errors": evaluation.wrong if evaluation else None,
        "errors_shown": len(shown),
        "missing": [
            {"what": part.name, "why": part.reason, "command": part.command}
            for part in facts.missing
        ],
    }
