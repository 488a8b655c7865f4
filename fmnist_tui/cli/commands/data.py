"""`fmnist-tui data`: what data sets there are, getting one, looking at one."""

from __future__ import annotations

import argparse
import shutil
import sys

from rich.table import Table

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.training_view import PlainView
from fmnist_tui.config import dataset_catalog
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load import is_present, load_dataset
from fmnist_tui.util.errors import UsageError, near
from fmnist_tui.util.text import safe_text


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the data sets, and which are here")
    get = actions.add_parser("get", help="bring a data set here, telling what is tried")
    show = actions.add_parser("show", help="counts and pictures of a data set")
    for part in (get, show):
        part.add_argument("name", metavar="NAME", help="a data set, folder:PATH or idx:PATH")
    show.add_argument("--split", default="train", choices=("train", "val", "test"))
    show.add_argument("--class", dest="of_class", metavar="CLASS", help="only this class")
    show.add_argument("--count", type=int, default=8, metavar="N", help="pictures to draw [8]")
    show.add_argument("--start", type=int, default=0, metavar="N", help="first of them [0]")
    show.add_argument("--renderer", "--render", default=None, metavar="KIND", help="how to draw")
    for part in (listing, get, show):
        options.folders(part, runs=False)
        options.as_json(part)


def run(args: argparse.Namespace) -> int:
    return {"list": _list, "get": _get, "show": _show}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    data_dir = options.data_dir(args)
    here = {name: is_present(name, data_dir) for name in dataset_catalog.DATASETS}
    if args.json:
        console.document(
            [
                {
                    "name": facts.name,
                    "title": facts.title,
                    "classes": list(facts.classes),
                    "train": facts.train,
                    "test": facts.test,
                    "present": here[facts.name],
                    "synthetic": facts.synthetic,
                }
                for facts in dataset_catalog.DATASETS.values()
            ]
        )
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "here", "images", "classes", "about"):
        table.add_column(heading, justify="right" if heading in ("images", "classes") else "left")
    for facts in dataset_catalog.DATASETS.values():
        word = "yes" if here[facts.name] else "no"
        images = f"{facts.train + facts.test:,}"
        table.add_row(facts.name, word, images, str(len(facts.classes)), facts.about)
    for kind, about in dataset_catalog.FROM_PATH.items():
        table.add_row(f"{kind}:PATH", "", "", "", about.partition(", ")[2])
    console.console().print(table)
    return 0


def _load(args: argparse.Namespace) -> Dataset:
    if not dataset_catalog.is_dataset_name(args.name):
        known = [*dataset_catalog.DATASETS, *(f"{kind}:PATH" for kind in dataset_catalog.FROM_PATH)]
        raise UsageError(
            f"data set {safe_text(args.name)!r} is not known{near(args.name, known)} "
            f"(there are {', '.join(known)})"
        )
    view = PlainView()
    return load_dataset(args.name, data_dir=options.data_dir(args), say=view.step)


def _get(args: argparse.Namespace) -> int:
    dataset = _load(args)
    counts = {name: len(dataset.split(name)) for name in ("train", "val", "test")}
    if args.json:
        console.document(
            {
                "name": dataset.facts.name,
                "source": dataset.source,
                "counts": counts,
                "classes": list(dataset.facts.classes),
                "notes": list(dataset.notes),
            }
        )
        return 0
    print(
        f"{dataset.facts.title}: train {counts['train']:,} · val {counts['val']:,} · "
        f"test {counts['test']:,}, from {safe_text(dataset.source)}"
    )
    for line in dataset.notes:
        console.note(line)
    return 0


def _show(args: argparse.Namespace) -> int:
    from fmnist_tui import render

    if args.count < 0 or args.start < 0:
        raise UsageError("--count and --start must be 0 or more")
    dataset = _load(args)
    split, names = dataset.split(args.split), dataset.facts.classes
    per_class = [int((split.labels == number).sum()) for number in range(len(names))]
    chosen = list(range(len(split)))
    if args.of_class is not None:
        wanted = options.class_number(names, args.of_class)
        chosen = [place for place in chosen if split.labels[place] == wanted]
    chosen = chosen[args.start : args.start + args.count]
    if args.json:
        console.document(
            {
                "name": dataset.facts.name,
                "split": args.split,
                "count": len(split),
                "per_class": dict(zip(names, per_class, strict=True)),
                "images": [
                    {
                        "index": int(split.indices[place]),
                        "label": names[split.labels[place]],
                        "pixels": split.images[place].tolist(),
                    }
                    for place in chosen
                ],
            }
        )
        return 0
    _print_counts(dataset, args.split, per_class)
    captions = [f"#{split.indices[place]} {names[split.labels[place]]}" for place in chosen]
    lines = render.sheet(
        [split.images[place] for place in chosen],
        captions,
        width=shutil.get_terminal_size().columns,
        kind=args.renderer,
        colours=console.colours(),
    )
    for line in lines:
        print(line)
    return 0


def _print_counts(dataset: Dataset, split: str, per_class: list[int]) -> None:
    facts = dataset.facts
    print(
        f"{facts.title}: train {len(dataset.train):,} · val {len(dataset.val):,} · "
        f"test {len(dataset.test):,}, from {safe_text(dataset.source)}"
    )
    most = max([*per_class, 1])
    full = "▇" if console.unicode() else "#"
    for number, (name, count) in enumerate(zip(facts.classes, per_class, strict=True)):
        bar = full * round(24 * count / most)
        print(f"{number:>3} {safe_text(name, 20):20} {bar:24} {count:>7,} {split}")
    for line in dataset.notes:
        console.note(line)
    sys.stdout.flush()
