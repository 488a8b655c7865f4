"""Exports: what is written says the same as the model, or it is not put in place."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from fmnist_tui.config import plugins
from fmnist_tui.config.dataset_catalog import DatasetInfo
from fmnist_tui.engine.checkpoints import untrusted_weights, weights_source
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, CheckpointStore
from fmnist_tui.engine.compute.loader import Normalisation
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.export import export, onnx_graph, parity
from fmnist_tui.engine.export.export import Exported
from fmnist_tui.engine.export.export_request import ONNX, OPSETS, PTH, SAFETENSORS, ExportRequest
from fmnist_tui.engine.inference.classifier import Classifier, ModelInfo
from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.engine.run.inbox import Cancelled
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import Alert
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader, replay
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.text import safe_text
from tests.engine.support import PATIENCE, Listener, blobs, config

Pixels = npt.NDArray[np.uint8]


def trained(session: Session, **values: Any) -> RunFolder:
    training = session.train(config(**{"epochs": 1, **values}))
    Listener(training).wait_for_end()
    assert training.folder is not None
    while session.training is not None:
        time.sleep(0.01)
    return training.folder


def exported(session: Session, source: Path, out: Path, **options: Any) -> Exported:
    wanted = ExportRequest(out.suffix[1:], out, **options)
    return session.export(source, wanted).result(PATIENCE)


@pytest.fixture
def child() -> None:
    """Files of strangers are read by a process of its own, as they are outside of tests."""


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Time a few answers only; read files in this process, but where the child is meant."""
    monkeypatch.setattr(parity, "MAX_SECONDS", 0.0)
    if "child" in request.fixturenames:
        return

    def vetted(path: Path) -> weights_source.LoadedWeights:
        weights, info = untrusted_weights._read_weights(path, path.stat().st_size)
        return weights_source.LoadedWeights(
            {**info, "weights": weights}, str(path), path.name, "", 0, 0
        )

    monkeypatch.setattr(weights_source, "_load_untrusted", vetted)


@dataclass(frozen=True)
class Made:
    """A run, its export as ONNX, and the states of the dice before and after."""

    run: RunFolder
    done: Exported
    known: dict[str, float]
    dice: tuple[bytes, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("made")

    def dice(_: object) -> bytes:
        return torch.get_rng_state().numpy().tobytes()

    with pytest.MonkeyPatch.context() as patch:
        for name in ("run_training", "small_jobs"):
            module = f"fmnist_tui.engine.session.{name}"
            patch.setattr(f"{module}.load_dataset_for", lambda *_, **__: blobs(64))
        patch.setattr(parity, "MAX_SECONDS", 0.0)
        with Session(folder / "runs", folder / "data") as session:
            run = trained(session)
            known = dict(session.classify(run.path, drawing()).result(PATIENCE).ranked)
            before = session.submit(dice).result(PATIENCE)
            done = exported(session, run.path, folder / "model.onnx", opset=18)
            yield Made(run, done, known, (before, session.submit(dice).result(PATIENCE)))


def drawing() -> Pixels:
    pad = np.zeros((28, 28), np.uint8)
    pad[4:12, 16:24] = 220
    return pad


def asked(file: Path, pixels: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
    """What an ONNX file answers: probabilities and logits."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return list(session.run(["probabilities", "logits"], {"pixels": pixels.astype(np.float32)}))


# -- what is written -----------------------------------------------------------------------


@pytest.mark.parametrize("to", [PTH, SAFETENSORS])
def test_a_file_says_what_the_model_says(session: Session, tmp_path: Path, to: str) -> None:
    run = trained(session, model="custom-cnn", width=0.1)
    out = tmp_path / f"model.{to}"
    done = exported(session, run.path, out)
    data = out.read_bytes()
    assert (done.file, done.format, done.size) == (out, to, len(data))
    assert done.sha256 == hashlib.sha256(data).hexdigest()
    found = done.parity
    assert found is not None and (found.split, found.count, found.same_labels) == ("test", 16, 16)
    assert found.largest_difference == 0
    assert done.latency.keys() == {"torch"}
    assert all(
        times.keys() == {1, 64} and min(times.values()) > 0 for times in done.latency.values()
    )
    beside = {"model.pth", "model.pth.json"} if to == PTH else {out.name}
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == beside
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("to", [PTH, SAFETENSORS])
def test_weights_are_used_back_like_the_run(session: Session, tmp_path: Path, to: str) -> None:
    run = trained(session)
    out = tmp_path / f"model.{to}"
    exported(session, run.path, out)
    by_run, by_file = (
        session.classify(source, drawing()).result(PATIENCE).ranked for source in (run.path, out)
    )
    assert by_run == by_file
    # And exported again from there.
    again = exported(session, out, tmp_path / f"again.{to}")
    assert again.parity is not None and again.parity.largest_difference == 0


def test_a_pth_file_holds_plain_weights_and_a_description_beside(
    session: Session, tmp_path: Path
) -> None:
    run = trained(session)
    done = exported(session, run.path, tmp_path / "model.pth")
    weights = torch.load(tmp_path / "model.pth", weights_only=True)
    kept = CheckpointStore(run.checkpoints).load("best")[0]["weights"]
    assert weights.keys() == kept.keys()
    assert all(torch.equal(weights[name], kept[name]) for name in kept)
    told = json.loads((tmp_path / "model.pth.json").read_text())
    assert (told["file"], told["sha256"], told["bytes"]) == ("model.pth", done.sha256, done.size)
    assert (told["model"], told["recipe"], told["size"], told["channels"]) == (
        *("linear", "custom"),
        *(28, 1),
    )
    assert told["classes"] == ["T-shirt/top", "Trouser", "Pullover", "Dress"]
    assert told["preparation"]["centre"] == "box" and "bounding box" in told["preparation_in_words"]
    verdict = replay(run.events).evaluation("test")
    assert verdict is not None
    assert (told["test_accuracy"], told["test_count"]) == (verdict.accuracy, 16)
    assert told["versions"]["torch"] == torch.__version__
    mean, std = told["mean"][0], told["std"][0]
    pixels = torch.from_numpy(drawing()).float().view(1, 1, 28, 28)
    model = plugins.load_plugin("models", "linear").build(ModelSpec(1, 28, 4))
    model.load_state_dict(weights)
    shares = model((pixels - mean) / std).softmax(1)[0]
    (known,) = (s.ranked for s in [session.classify(run.path, drawing()).result(PATIENCE)])
    assert max(shares.tolist()) == pytest.approx(known[0][1], abs=1e-5)


def test_an_onnx_file_says_what_the_model_says_and_is_timed_beside_it(made: Made) -> None:
    done, found = made.done, made.done.parity
    assert found is not None and (found.split, found.count, found.same_labels) == ("test", 16, 16)
    assert found.largest_difference < 1e-5
    assert done.latency.keys() == {"torch", "onnxruntime"}
    assert done.sha256 == hashlib.sha256(done.file.read_bytes()).hexdigest()
    assert [path.name for path in done.file.parent.iterdir() if path.is_file()] == ["model.onnx"]


@pytest.mark.parametrize("count", [1, 3])
def test_an_onnx_file_takes_pixels_in_batches_of_any_size(made: Made, count: int) -> None:
    pixels = np.repeat(drawing()[None, None], count, axis=0)
    shares, logits = asked(made.done.file, pixels)
    assert shares.shape == logits.shape == (count, 4)
    names = ["T-shirt/top", "Trouser", "Pullover", "Dress"]
    assert shares[-1] == pytest.approx([made.known[name] for name in names], abs=1e-5)
    again = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert again == pytest.approx(shares, abs=1e-5)


def test_an_onnx_file_says_how_it_is_used(made: Made) -> None:
    model = onnx.load(made.done.file)
    opsets = [part.version for part in model.opset_import if not part.domain]
    assert opsets == [18] == [made.done.opset]
    told = {part.key: part.value for part in model.metadata_props}
    assert json.loads(told["classes"])[0] == "T-shirt/top"
    assert [told[key] for key in ("model", "recipe", "size", "opset")] == [
        *("linear", "custom"),
        *("28", "18"),
    ]
    assert json.loads(told["preparation"])["light_on_dark"] is True
    assert "not normalised" in told["input"] and "probabilities" in told["output"]
    verdict = replay(made.run.events).evaluation("test")
    assert verdict is not None
    assert json.loads(told["test_accuracy"]) == verdict.accuracy
    assert json.loads(told["test_count"]) == 16


def test_an_onnx_file_says_nothing_of_the_machine_it_was_made_on(made: Made) -> None:
    data = made.done.file.read_bytes()
    assert not re.search(rb"[\w/]+\.py\b", data)
    assert str(Path(torch.__file__).parent).encode() not in data


def test_an_export_draws_no_random_number(made: Made) -> None:
    before, after = made.dice
    assert before == after


def test_ensembles_and_views_are_exported_whole(session: Session, tmp_path: Path) -> None:
    members = [trained(session, model="one-conv"), trained(session, seed=1)]
    run = session.build_ensemble(members, tta="flip").result(PATIENCE)
    for to in (PTH, ONNX):
        done = exported(session, run.path, tmp_path / f"all.{to}")
        assert done.parity is not None and done.parity.largest_difference < 1e-5
    told = json.loads((tmp_path / "all.pth.json").read_text())
    assert told["model"] == "ensemble of 2" and "each member normalises" in told["input"]
    assert "mirror image" in told["views"]


def test_colours_are_normalised_inside_the_graph(tmp_path: Path) -> None:
    info = DatasetInfo("folder", "Folder", ("a", "b", "c"), crop=False)
    means = Normalisation((10.0, 100.0, 200.0), (20.0, 60.0, 90.0))
    about = ModelInfo(config(dataset="folder:x", colour=True, input_size=32), info, 3, 32, means)
    model = about.build()
    device = choose_device(about.config)
    classifier = Classifier.from_weights(about, model.state_dict(), device, "here")
    out = tmp_path / "model.onnx"
    told = {"size": 32, "channels": 3, "made_by": "us"}
    out.write_bytes(onnx_graph.to_onnx(classifier, 20, told))
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    shares, _ = asked(out, images.transpose(0, 3, 1, 2))
    assert shares == pytest.approx(classifier.probabilities(images), abs=1e-5)


def test_without_a_check_nothing_is_compared_or_timed(session: Session, tmp_path: Path) -> None:
    run = trained(session)
    done = exported(session, run.path, tmp_path / "model.safetensors", check=False)
    assert done.parity is None and done.latency == {}


def test_the_run_remembers_its_exports_unless_another_trains_it(
    session: Session, tmp_path: Path
) -> None:
    run = trained(session)
    with RunLock.acquire(run.path):
        exported(session, run.path, tmp_path / "model.safetensors")
    assert not [e for e in EventReader(run.events).read() if isinstance(e, Alert)]
    exported(session, run.path, tmp_path / "model.safetensors", force=True)
    (note,) = [e.message for e in EventReader(run.events).read() if isinstance(e, Alert)]
    where = tmp_path / "model.safetensors"
    assert note == f"exported as safetensors to {where}: same label for 16 of 16 test images"


# -- what is not put in place ----------------------------------------------------------------


def refused(session: Session, source: Path, out: Path, to: str = "", **options: Any) -> str:
    """The one line why not; nothing is left beside or in the file's place."""
    before = sorted(out.parent.iterdir()) if out.parent.is_dir() else []
    with pytest.raises(UserError) as caught:
        session.export(source, ExportRequest(to or out.suffix[1:], out, **options)).result(PATIENCE)
    assert (sorted(out.parent.iterdir()) if out.parent.is_dir() else []) == before
    line = str(caught.value)
    assert "\n" not in line and line == safe_text(line)
    return line


def test_what_cannot_be_is_refused_before_any_work(session: Session, tmp_path: Path) -> None:
    nowhere = tmp_path / "no-run"
    out = tmp_path / "out"
    out.mkdir()
    (out / "there.onnx").write_bytes(b"precious")
    (out / "folder.onnx").mkdir()
    assert "must end in .onnx" in refused(session, nowhere, out / "model.pth", ONNX)
    assert "no folder" in refused(session, nowhere, tmp_path / "none" / "model.onnx")
    assert "is a folder" in refused(session, nowhere, out / "folder.onnx")
    assert "--force" in refused(session, nowhere, out / "there.onnx")
    assert "must be one of pth, safetensors, onnx" in refused(session, nowhere, out / "m.gguf")
    for opset in (OPSETS[0] - 1, OPSETS[-1] + 1):
        assert "18 to 23" in refused(session, nowhere, out / "model.onnx", opset=opset)
    assert (out / "there.onnx").read_bytes() == b"precious"
    assert UsageError.exit_code == 2


def test_a_run_without_a_checkpoint_is_refused(session: Session, tmp_path: Path) -> None:
    run = RunFolder.create(session.runs_dir, "new", "blobs")
    assert "no checkpoint yet" in refused(session, run.path, tmp_path / "model.onnx")


@pytest.mark.parametrize("to", [PTH, SAFETENSORS])
def test_a_file_that_says_other_things_is_not_put_in_place(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    run = trained(session)
    (tmp_path / "out").mkdir()
    before = tmp_path / "out" / f"model.{to}"
    before.write_bytes(b"the one before")
    written = export._to_bytes

    def other(classifier: Classifier, *rest: Any) -> bytes:
        weights = {name: -value for name, value in classifier.model.state_dict().items()}
        changed = Classifier.from_weights(classifier.info, weights, classifier.device, "other")
        return written(changed, *rest)

    monkeypatch.setattr(export, "_to_bytes", other)
    line = refused(session, run.path, before, force=True)
    assert "not exported" in line and "of 16 test images" in line
    assert before.read_bytes() == b"the one before"


def test_a_disk_that_is_full_leaves_nothing(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(session)

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(export, "atomic_write", full)
    (tmp_path / "out").mkdir()
    line = refused(session, run.path, tmp_path / "out" / "model.pth")
    assert line == f"{tmp_path}/out/model.pth: cannot be written: No space left on device"


def test_a_folder_that_takes_no_file_is_refused(session: Session) -> None:
    run = trained(session)
    with pytest.raises(UserError, match=r"/proc/model.onnx: cannot be written: "):
        exported(session, run.path, Path("/proc/model.onnx"))


def test_an_export_that_is_given_up_leaves_nothing(session: Session, tmp_path: Path) -> None:
    run = trained(session)
    (tmp_path / "out").mkdir()

    def on_progress(done: float, total: float, what: str) -> None:
        if total:
            session._is_closing = True

    wanted = ExportRequest(SAFETENSORS, tmp_path / "out" / "model.safetensors")
    with pytest.raises(Cancelled):
        session.export(run.path, wanted, on_progress=on_progress).result(PATIENCE)
    assert not list((tmp_path / "out").iterdir())


# -- models that have no such form -------------------------------------------------------------


class Odd(nn.Module):
    """A network of somebody else's, with something odd before its last layer."""

    def __init__(self, spec: ModelSpec, odd: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.last = nn.Linear(spec.size**2, spec.classes)
        self._odd = odd

    def forward(self, x: Tensor) -> Tensor:
        said: Tensor = self.last(self._odd(x.flatten(1)))
        return said


def _data_decide(x: Tensor) -> Tensor:
    return x if bool(x.sum() > 0) else -x


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (torch.special.bessel_j0, "the operator prims.bessel_j0 is not supported in opset 20"),
        (_data_decide, "cannot be written as ONNX: Could not guard"),
    ],
)
def test_a_model_that_onnx_cannot_hold_is_named_with_what_it_lacks(
    session: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    odd: Callable[[Tensor], Tensor],
    why: str,
) -> None:
    class Plugin:
        @staticmethod
        def load() -> Any:
            return type("Built", (), {"build": staticmethod(lambda spec: Odd(spec, odd))})

    monkeypatch.setattr(plugins, "_plugins", lambda kind: {"odd": Plugin()})
    # It has no gradient that training could follow.
    run = trained(session)
    payload, manifest, _ = CheckpointStore(run.checkpoints).load("best")
    payload["about"]["config"]["model"] = "odd"
    payload["weights"] = Odd(ModelSpec(1, 28, 4), odd).state_dict()
    CheckpointStore(run.checkpoints).save("best", payload, manifest.step, manifest.epoch)
    (tmp_path / "out").mkdir()
    capfd.readouterr()
    line = refused(session, run.path, tmp_path / "out" / "model.onnx")
    assert line.startswith("odd cannot be written as ONNX") and why in line
    assert "safetensors and pth support every model" in line
    assert capfd.readouterr() == ("", "")
    kept = exported(session, run.path, tmp_path / "out" / "model.safetensors")
    assert kept.parity is not None and kept.parity.is_sufficient


# -- what stands beside weights ----------------------------------------------------------------


@pytest.mark.usefixtures("child")
def test_the_child_that_reads_strangers_files_takes_descriptions_in(
    session: Session, tmp_path: Path
) -> None:
    run = trained(session)
    done = exported(session, run.path, tmp_path / "model.pth")
    assert done.parity is not None and done.parity.largest_difference == 0


def test_a_description_of_another_file_is_refused(session: Session, tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        exported(session, trained(session, seed=seed).path, tmp_path / f"{name}.pth", check=False)
    (tmp_path / "one.pth.json").write_bytes((tmp_path / "two.pth.json").read_bytes())
    with pytest.raises(CheckpointError, match="describes another file"):
        session.classify(tmp_path / "one.pth", drawing()).result(PATIENCE)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "[" * 100_000, '{"about": ' + "[" * 100_000, '{"sha256": 1}', '{"about": 3}'],
)
def test_a_strangers_description_is_no_obstacle(
    session: Session, tmp_path: Path, text: str
) -> None:
    run = trained(session)
    exported(session, run.path, tmp_path / "model.pth", check=False)
    (tmp_path / "model.pth.json").write_text(text)
    expected = "another file" if text.endswith("3}") else "does not say which model"
    with pytest.raises(CheckpointError, match=expected):
        session.classify(tmp_path / "model.pth", drawing()).result(PATIENCE)
    # Weights alone are enough where the run says the rest.
    if not text.endswith("3}"):
        path = str(tmp_path / "model.pth")
        assert session.evaluate(run, "val", path).result(PATIENCE).evaluation.count == 16


def test_strangers_metadata_is_no_obstacle(session: Session, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    run = trained(session)
    weights = CheckpointStore(run.checkpoints).load("best")[0]["weights"]
    for text in ("", "[]", "a net", "[" * 100_000, '{"epoch": 1}'):
        path = tmp_path / "theirs.safetensors"
        save_file(weights, path, {"epoch": "final", untrusted_weights.METADATA: text})
        assert session.evaluate(run, "val", str(path)).result(PATIENCE).evaluation.count == 16
