"""Weights that have changed, and model files made to execute something or to fill the memory."""

from __future__ import annotations

import hashlib
import json
import warnings
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save

from fmnist_tui.config.dataset_catalog import DATASETS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints import untrusted_weights, weights_hash
from fmnist_tui.engine.checkpoints.untrusted_weights import METADATA, Contents
from fmnist_tui.engine.compute.loader import Normalisation
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.inference.classifier import Classifier, ModelInfo
from tests.e2e.support import Home
from tests.soak import hostile_models
from tests.soak.concern import Concern, Tally, spread
from tests.soak.hostile_files import (
    PROOF,
    HostileFile,
    find_unsafe_lines,
    mutations,
    read_all,
    truncations,
)
from tests.soak.json_values import json_variants

INFO = ModelInfo(
    RunConfig(model="linear", dataset="sketches", device="cpu"),
    DATASETS["sketches"],
    1,
    28,
    Normalisation((70.0,), (90.0,)),
)


def run(tally: Tally, tries: int) -> None:
    damaged = [*_damaged("model.safetensors"), *_damaged("model.pt"), *_damaged("model.pth")]
    hostile = [*_hostile(), *_descriptions()]
    total = len(damaged) + len(hostile)
    read_all(tally, spread(damaged, -(-tries * len(damaged) // total)), _read_unchanged)
    read_all(tally, spread(hostile, -(-tries * len(hostile) // total)), _read)
    _predict_with(tally, spread(_hostile(), max(1, tries // 1000)))


def _read(path: Path) -> Contents:
    """Load a model as the process does that reads it, then as the one that uses it does."""
    warnings.simplefilter("ignore")
    contents = untrusted_weights.read(path)
    weights = untrusted_weights.check_tensors(contents, path.name)
    if "about" in contents.facts:
        info = ModelInfo.from_payload(contents.facts, path.name)
        device = choose_device(info.config.changed(device="cpu"))
        Classifier.from_weights(info, weights, device, path.name)
    return contents


def _read_unchanged(path: Path) -> None:
    contents = _read(path)
    if not contents.is_checked:
        assert "about" not in contents.facts
        return  # and says that it is not checked: the name of its description has changed
    weights, whole = contents.weights, _weights()
    assert contents.facts["about"] == INFO.to_dict(), "other facts"
    assert weights.keys() == whole.keys(), "other names"
    assert all(torch.equal(weights[name], whole[name]) for name in whole), "other numbers"


def _weights() -> dict[str, torch.Tensor]:
    shapes = {name: tensor.shape for name, tensor in INFO.build().state_dict().items()}
    dice = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=dice) for name, shape in shapes.items()}


def _exports() -> dict[str, bytes]:
    """A model in each form in which it leaves its run, with its description beside a .pth."""
    weights, about = _weights(), INFO.to_dict()
    facts = {
        "about": about,
        weights_hash.WEIGHTS: weights_hash.hash_weights(weights, sorted(weights)),
    }
    described = json.dumps(weights_hash.with_hash(facts))
    bare = hostile_models.saved(weights)
    sidecar = json.dumps(
        weights_hash.with_hash({"sha256": hashlib.sha256(bare).hexdigest(), "about": about})
    )
    return {
        "model.safetensors": save(weights, {METADATA: described}),
        "model.pt": hostile_models.saved({"weights": weights, "about": about}),
        "model.pth": bare,
        "model.pth.json": sidecar.encode(),
    }


def _damaged(name: str) -> list[HostileFile]:
    exports = _exports()
    files = [*mutations(name, name, exports[name], 900), *truncations(name, name, exports[name])]
    if name != "model.pth":
        return files
    beside = {"model.pth.json": exports["model.pth.json"]}
    files = [_with(beside, file) for file in files]
    beside = {"model.pth": exports["model.pth"]}
    sidecars = mutations("model.pth.json", "model.pth.json", exports["model.pth.json"], 900)
    return files + [_with(beside, file, "model.pth") for file in sidecars]


def _with(beside: dict[str, bytes], file: HostileFile, name: str = "") -> HostileFile:
    """The file with others beside it; `name` is the one that is read, if not that file."""

    def write(path: Path) -> None:
        file.write(path.with_name(file.name))
        for other, data in beside.items():
            path.with_name(other).write_bytes(data)

    return HostileFile(file.what, name or file.name, write)


def _hostile() -> list[HostileFile]:
    return [
        *hostile_models.gadgets(),
        *hostile_models.archives(),
        *hostile_models.tensors(),
        *hostile_models.safetensors(),
        *hostile_models.onnx_files(),
    ]


def _descriptions() -> list[HostileFile]:
    """Good weights, and a description with one value replaced, as earlier versions wrote it."""
    weights = _weights()
    facts = json.dumps({"about": INFO.to_dict(), "step": 3, "epoch": 1}).encode()

    def write(text: bytes, path: Path) -> None:
        path.write_bytes(save(weights, {METADATA: text.decode()}))

    return [
        HostileFile(f"facts: {what}", "model.safetensors", partial(write, text))
        for what, text in json_variants(facts)
    ]


def _predict_with(tally: Tally, files: list[HostileFile]) -> None:
    """What the command says about some of them."""
    home = Home(tally.folder)
    image = tally.folder / "image.png"
    Image.new("L", (28, 28), 200).save(image)
    for number, file in enumerate(files):
        place = tally.folder / f"predict-{number}"
        place.mkdir()
        file.write(place / file.name)
        with tally.trial(f"predict with {file.what}"):
            line = home.error_line("predict", str(place / file.name), str(image), status=1)
            assert not find_unsafe_lines(line), line
            assert not list(tally.folder.rglob(PROOF)), "something was executed"
        (place / file.name).unlink()


CONCERN = Concern("models", run, short=40, full=5000)
