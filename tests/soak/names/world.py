"""Files, runs, recipes and studies with hostile names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fmnist_tui.cli import main
from fmnist_tui.config.recipes import format_toml_value
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps.spec import NAME_LIMIT
from tests.soak.names.hostile import file_name
from tests.unit.sweeps.support import join_study, journal_in, make_spec, run_trial

IMAGES_PER_CLASS = 4
# What the program itself understands, in an event; all other text is shown only.
MEANINGS = {"type", "kind", "sha256", "split", "reason", "what", "level", "best", "file"}


@dataclass(frozen=True)
class World:
    """`trained` is a run of `dataset`, whose classes have these names; `runs` are its copies
    under these names, with a record that shows them wherever text is."""

    names: Sequence[str]
    runs_dir: Path
    data_dir: Path
    dataset: Path
    images: Path
    recipes: Path
    trained: RunFolder
    runs: tuple[RunFolder, ...]
    models: tuple[Path, ...]
    studies: tuple[str, ...]
    storage: str


def build(folder: Path, names: Sequence[str]) -> World:
    folder.mkdir()
    # In these folders' own names too.
    dataset = folder / file_name(names[-1])
    runs_dir, images = folder / f"r{file_name(names[-2])}"[:80], folder / "images"
    for index, name in enumerate(names):
        for number in range(IMAGES_PER_CLASS):
            write_image(
                dataset / file_name(name) / file_name(names[number], f"{number}.png"), index
            )
        image = images / file_name(name, ".png")
        write_image(image, index)
        if index % 3 == 0:
            image.write_bytes(b"not an image")
    words = ["train", "--dataset", f"folder:{dataset}", "--model", "linear", "--epochs", "1"]
    words += ["--batch-size", "8", "--threads", "1", "--val-fraction", "0.3"]
    status = main.run([*words, "--runs", str(runs_dir), "--data", str(folder / "data")])
    assert status == 0, "the training with hostile names failed"
    (trained,) = (path for path in runs_dir.iterdir() if path.is_dir())
    models = tuple(folder / file_name(name, ".safetensors") for name in names)
    for model in models:
        model.write_bytes(b"no weights")
    storage = journal_in(folder)
    studies = tuple(dict.fromkeys(file_name(name)[:NAME_LIMIT] for name in names[:3]))
    for name in studies:
        run_trial(join_study(storage, make_spec(name=name)), [0.5, 0.6])
    return World(
        names,
        runs_dir,
        folder / "data",
        dataset,
        images,
        write_recipes(folder / "recipes", names),
        RunFolder(trained),
        tuple(copy_run(trained, runs_dir / file_name(name), name) for name in names),
        models,
        studies,
        f"journal:{storage.path}",
    )


def write_image(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Image.fromarray(np.full((8, 8), shade % 256, np.uint8)).save(file, "PNG")


def copy_run(trained: Path, path: Path, name: str) -> RunFolder:
    """The run under another name, its record edited by hand."""
    shutil.copytree(trained, path)
    events = [json.loads(line) for line in (path / "events.jsonl").read_text().splitlines()]
    lines = (json.dumps(_rename(event, name)) for event in events)
    (path / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return RunFolder(path)


def _rename(event: dict[str, Any], name: str) -> dict[str, Any]:
    changed: dict[str, Any] = {
        key: name if isinstance(value, str) and key not in MEANINGS else value
        for key, value in event.items()
    }
    if "classes" in changed:
        changed["classes"] = [f"{name}{number}" for number in range(len(changed["classes"]))]
    return changed


def write_recipes(folder: Path, names: Sequence[str]) -> Path:
    folder.mkdir()
    for name in names:
        # TOML has no lone surrogates.
        about = format_toml_value(name.encode("utf-8", "replace").decode())
        values = f'about = {about}\n[run]\nepochs = 1\ndataset = "sketches"\n'
        claim = f'[[claim]]\nabout = {about}\nmetric = "test_accuracy"\nat_least = 0.1\n'
        (folder / file_name(name, ".toml")).write_text(values + claim)
    return folder
