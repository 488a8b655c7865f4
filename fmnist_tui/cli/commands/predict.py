"""`fmnist-tui predict RUN|MODELFILE FILE…`: what is on these pictures?"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.engine.session.session import Session
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.engine.inference.predict import Prediction

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
WATCH_SECONDS = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RUN|MODELFILE", help="what to ask")
    parser.add_argument("files", nargs="+", metavar="FILE|FOLDER", help="pictures")
    parser.add_argument(
        "--watch", action="store_true", help="go on with pictures that arrive in the folders"
    )
    options.device(parser)
    options.folders(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--csv", action="store_true", help="print lines of CSV")


def run(args: argparse.Namespace) -> int:
    if args.watch and args.json:
        raise UsageError("--watch never ends and --json is one document: use --csv")
    runs_dir = options.runs_dir(args)
    source = options.model_source(runs_dir, args.source)
    given = [Path(file) for file in args.files]
    folders = [path for path in given if path.is_dir()]
    if args.watch and not folders:
        raise UsageError("--watch needs a folder")
    found: list[Prediction] = []
    printer = _printer(args)
    with Session(runs_dir, options.data_dir(args)) as session:
        for file in _files(given):
            found.extend(session.predict(source, [file], args.device).result())
            printer(found[-1])
        if args.watch:
            for file in _arrivals(folders, {prediction.file for prediction in found}):
                printer(session.predict(source, [file], args.device).result()[0])
    if args.json:
        console.document([as_document(prediction) for prediction in found])
    if not found:
        raise UserError("there is no picture to predict (PNG JPEG WEBP BMP GIF TIFF)")
    return 1 if all(prediction.error for prediction in found) else 0


def as_document(prediction: Prediction) -> dict[str, Any]:
    """A prediction as the command's JSON has it."""
    return {
        "file": str(prediction.file).encode("utf-8", "replace").decode(),
        "label": prediction.label or None,
        "probability": prediction.probability if prediction.ranked else None,
        "top": [[name, share] for name, share in prediction.top],
        "error": prediction.error or None,
    }


def _files(given: list[Path]) -> Iterator[Path]:
    """The files themselves, and of folders the pictures directly inside."""
    for path in given:
        yield from _pictures(path) if path.is_dir() else [path]


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_ENDINGS and not path.name.startswith(".")
    )


def _arrivals(folders: list[Path], seen: set[Path]) -> Iterator[Path]:
    """Pictures that appear in the folders, once their size stands still, until Ctrl-C."""
    sizes: dict[Path, int] = {}
    while True:
        for folder in folders:
            try:
                present = _pictures(folder)
            except OSError:
                raise UserError(f"{safe_text(folder)}: the watched folder is gone") from None
            for path in present:
                if path in seen or not path.exists():
                    continue
                size = path.stat().st_size
                if sizes.get(path) == size:
                    seen.add(path)
                    yield path
                sizes[path] = size
        time.sleep(WATCH_SECONDS)


class _printer:  # noqa: N801 - a function with a memory
    """Prints each prediction as it comes, as text or CSV; JSON waits for all of them."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._csv = csv.writer(sys.stdout)
        if args.csv:
            self._csv.writerow(["file", "label", "probability", "error"])

    def __call__(self, prediction: Prediction) -> None:
        if self._args.json:
            return
        if self._args.csv:
            document = as_document(prediction)
            self._csv.writerow(
                [document["file"], prediction.label, document["probability"], prediction.error]
            )
            sys.stdout.flush()
        elif prediction.error:
            console.error(prediction.error)
        else:
            ranked = ", ".join(
                f"{safe_text(name)} {console.percent(share, 1)}" for name, share in prediction.top
            )
            print(f"{safe_text(prediction.file)}: {ranked}", flush=True)
