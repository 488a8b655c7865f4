"""`fmnist-tui report RUN`: a run as one HTML page that stands alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.progress import steps
from fmnist_tui.runs.listing import resolve
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.paths import expanded
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.report.collect import ReportFacts

FILE = "report.html"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="id, part of the name, `last`, or a path")
    parser.add_argument("--out", default=FILE, metavar="FILE", help=f"the page [{FILE}]")
    parser.add_argument(
        "--split", choices=("test", "val"), help="which split to report on [test where it was read]"
    )
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    options.folders(parser)
    options.as_json(parser)


def run(args: argparse.Namespace) -> int:
    folder = resolve(options.runs_dir(args), args.run)
    out = expanded(args.out)
    _check(out, args.force)
    from fmnist_tui.report.collect import STAGES, collect_facts
    from fmnist_tui.report.page import render_page

    with steps("report") as tell:
        facts = collect_facts(folder, options.data_dir(args), args.split, tell)
        tell(STAGES - 1, STAGES, "writing the page")
        written = render_page(facts).encode("utf-8")
        try:
            atomic_write(out, written)
        except OSError as error:
            raise UserError(f"cannot write {safe_text(out)}: {reason(error)}") from error
        tell(STAGES, STAGES, "done")
    if args.json:
        console.document(_document(facts, out, len(written)))
        return 0
    for part in facts.missing:
        how = f"; `{part.command}` makes it" if part.command else ""
        console.note(f"without {part.name}: {part.reason}{how}")
    print(f"{safe_text(out)}: {safe_text(folder.name)}, {len(written) / 1000:,.0f} kB")
    return 0


def _check(out: Path, force: bool) -> None:
    """Whether the page may be written there, asked before any work is done."""
    where = safe_text(out)
    if out.is_dir():
        raise UserError(f"{where} is a folder: give the file to write, such as {where}/{FILE}")
    if not out.parent.is_dir():
        raise UserError(f"cannot write {where}: there is no folder {safe_text(out.parent)}")
    if not force and (out.exists() or out.is_symlink()):
        raise UserError(f"{where} is there already: choose another --out, or give --force")


def _document(facts: ReportFacts, out: Path, size: int) -> dict[str, Any]:
    evaluation = facts.scores.evaluation if facts.scores is not None else None
    images = facts.images
    shown = {miss.index for group in images.groups for miss in group.misses} if images else ()
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
