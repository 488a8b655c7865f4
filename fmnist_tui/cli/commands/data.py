"""`fmnist-tui data`: list, download and show datasets."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.training_view import PlainView
from fmnist_tui.config import dataset_catalog
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load import is_present, load_dataset
from fmnist_tui.render.contact_sheet import draw_contact_sheet, sheet_columns
from fmnist_tui.util.class_names import names_width, short_names
from fmnist_tui.util.errors import UsageError, did_you_mean
from fmnist_tui.util.text import cell_width, safe_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for name, part in options.add_actions(parser, ACTIONS):
        if name != "list":
            part.add_argument("name", metavar="NAME", help="a dataset, folder:PATH or idx:PATH")
        if name == "show":
            _add_show_arguments(part)
        options.add_common(part, runs=False)


def _add_show_arguments(part: argparse.ArgumentParser) -> None:
    part.add_argument("--split", default="train", choices=dataset_catalog.SPLITS, help="[train]")
    part.add_argument("--class", dest="of_class", metavar="CLASS", help="only images of this class")
    options.add_int(part, "--count", 8, "number of images")
    options.add_int(part, "--start", 0, "skip N images")
    part.add_argument(
        "--renderer",
        "--render",
        metavar="KIND",
        help="how to draw: halfblock, braille or ascii [the best for the terminal]",
    )


def run(args: argparse.Namespace) -> int | None:
    return ACTIONS[args.action][1](args)


def _list(args: argparse.Namespace) -> None:
    data_dir = options.data_dir(args)
    present = {name: is_present(name, data_dir) for name in dataset_catalog.DATASETS}
    if args.json:
        console.print_json(
            [
                {
                    **console.pick(info, "name", "title", "classes", "train", "test", "synthetic"),
                    "present": present[info.name],
                }
                for info in dataset_catalog.DATASETS.values()
            ]
        )
        return
    rows: list[Sequence[object]] = [
        (
            info.name,
            "yes" if present[info.name] else "no",
            f"{info.train + info.test:,}",
            len(info.classes),
            info.about,
        )
        for info in dataset_catalog.DATASETS.values()
    ]
    for kind, about in dataset_catalog.FROM_PATH.items():
        rows.append((f"{kind}:PATH", "", "", "", about.partition(", ")[2]))
    console.print_table(("name", "present", ">images", ">classes", "about"), rows)


def _load(args: argparse.Namespace) -> Dataset:
    if not dataset_catalog.is_dataset_name(args.name):
        known = dataset_catalog.known_datasets()
        raise UsageError(
            f"unknown dataset {safe_text(args.name)!r}{did_you_mean(args.name, known)} "
            f"(choose from {', '.join(known)})"
        )
    view = PlainView()
    return load_dataset(args.name, data_dir=options.data_dir(args), on_step=view.on_load_step)


def _get(args: argparse.Namespace) -> None:
    dataset = _load(args)
    if args.json:
        console.print_json(
            {
                "name": dataset.info.name,
                "source": dataset.source,
                "counts": {split: len(dataset.split(split)) for split in dataset_catalog.SPLITS},
                "classes": list(dataset.info.classes),
                "notes": list(dataset.notes),
            }
        )
        return
    _print_sizes(dataset)
    _print_notes(dataset)


def _show(args: argparse.Namespace) -> None:
    if args.count < 0 or args.start < 0:
        raise UsageError("--count and --start must be 0 or more")
    dataset = _load(args)
    split, names = dataset.split(args.split), dataset.info.classes
    per_class = [int((split.labels == number).sum()) for number in range(len(names))]
    rows = list(range(len(split)))
    if args.of_class is not None:
        class_ = options.parse_class(names, args.of_class)
        rows = [row for row in rows if split.labels[row] == class_]
    rows = rows[args.start : args.start + args.count]
    if args.json:
        console.print_json(
            {
                "name": dataset.info.name,
                "split": args.split,
                "count": len(split),
                "per_class": dict(zip(names, per_class, strict=True)),
                "images": [
                    {
                        "index": int(split.indices[row]),
                        "label": names[split.labels[row]],
                        "pixels": split.images[row].tolist(),
                    }
                    for row in rows
                ],
            }
        )
        return
    _print_sizes(dataset)
    most = max([*per_class, 1])
    full = "▇" if console.has_unicode() else "#"
    for number, (name, count) in enumerate(zip(short_names(names, 20), per_class, strict=True)):
        bar = full * round(24 * count / most)
        padding = " " * (names_width(names, 20) - cell_width(name))
        console.line(f"{number:>3} {name}{padding} {bar:24} {count:>7,} {args.split}")
    _print_notes(dataset)
    width = shutil.get_terminal_size().columns
    columns = sheet_columns(len(rows), width)
    numbers = [f"#{split.indices[row]} " for row in rows]
    labels = short_names(names, max(1, columns - max(map(len, numbers), default=0)))
    captions = [
        number + labels[split.labels[row]] for number, row in zip(numbers, rows, strict=True)
    ]
    lines = draw_contact_sheet(
        [split.images[row] for row in rows],
        captions,
        width=width,
        kind=args.renderer,
        colours=console.colour_depth(),
    )
    console.drawing(lines)


def _print_sizes(dataset: Dataset) -> None:
    console.line(
        f"{dataset.info.title}: train {len(dataset.train):,} · val {len(dataset.val):,} · "
        f"test {len(dataset.test):,}, from {dataset.source}"
    )


def _print_notes(dataset: Dataset) -> None:
    for line in dataset.notes:
        console.note(line)


ACTIONS: options.Actions = {
    "list": ("list the datasets and which are on this machine", _list),
    "get": ("download a dataset, reporting every source tried", _get),
    "show": ("show class counts and images of a dataset", _show),
}
