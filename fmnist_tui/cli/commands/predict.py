"""`fmnist-tui predict RUN|MODELFILE FILE…`: classify image files."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_tui.cli.support import console, options
from fmnist_tui.data.images.image_folder import FolderWatch, list_images
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.formatting import format_percent

if TYPE_CHECKING:
    from fmnist_tui.engine.inference.predict import Prediction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RUN|MODELFILE", help="the model to use")
    about = "images, or folders of them"
    parser.add_argument("files", nargs="+", metavar="FILE|FOLDER", help=about)
    about = "then watch the folders for new and changed images, until Ctrl-C"
    parser.add_argument("--watch", action="store_true", help=about)
    options.add_device(parser)
    options.add_common(parser, json=False)
    output = parser.add_mutually_exclusive_group()
    options.add_json(output)
    output.add_argument("--csv", action="store_true", help="print CSV")


def run(args: argparse.Namespace) -> int:
    if args.watch and args.json:
        raise UsageError("--watch does not end, so it cannot print one --json document: use --csv")
    source = options.find_model(args)
    paths = [Path(file) for file in args.files]
    folders = [path for path in paths if path.is_dir()]
    if args.watch and not folders:
        raise UsageError("--watch needs a folder")
    if args.csv:
        console.print_csv(("file", "label", "probability", "error"))
    predictions: list[Prediction] = []
    said: set[str] = set()
    watch = FolderWatch(folders) if args.watch else None
    images = watch.images if watch else {folder: list_images(folder) for folder in folders}
    files = [file for path in paths for file in images.get(path, [path])]
    with options.open_session(args) as session:
        for file in files:
            predictions += session.predict(source, [file], args.device).result()
            _print_notes(predictions[-1], said)
            _print(predictions[-1], args)
        for changed in watch.changes(threading.Event()) if watch else ():
            for prediction in session.predict(source, changed, args.device).result():
                _print_notes(prediction, said)
                _print(prediction, args)
    if args.json:
        console.print_json([_to_json(prediction) for prediction in predictions])
    if not predictions:
        raise UserError("there are no images to classify (PNG JPEG WEBP BMP GIF TIFF)")
    failed = sum(bool(prediction.error) for prediction in predictions)
    if failed and len(predictions) > 1:
        console.error(f"{failed:,} of {len(predictions):,} images could not be classified")
    return 1 if failed else 0


def _to_json(prediction: Prediction) -> dict[str, Any]:
    return {
        "file": str(prediction.file),
        "label": prediction.label or None,
        "probability": prediction.probability if prediction.ranked else None,
        "top": prediction.top,
        "error": prediction.error or None,
    }


def _print_notes(prediction: Prediction, said: set[str]) -> None:
    """Say once what the model's weights are, if not those of its newest checkpoint."""
    for note in prediction.notes:
        if note not in said:
            said.add(note)
            console.note(note)


def _print(prediction: Prediction, args: argparse.Namespace) -> None:
    """Print a prediction as text or CSV; --json prints all of them at the end."""
    if args.csv:
        probability = prediction.probability if prediction.ranked else None
        row = (str(prediction.file), prediction.label, probability, prediction.error)
        console.print_csv(row)
    elif prediction.error and not args.json:
        console.error(prediction.error)
    elif not args.json:
        ranked = ", ".join(f"{name} {format_percent(share, 1)}" for name, share in prediction.top)
        console.line(f"{prediction.file}: {ranked}")
