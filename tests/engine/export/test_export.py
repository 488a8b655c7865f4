"""Exports: a file gives the predictions of the model, or it is discarded."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
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
from fmnist_tui.engine.checkpoints.weights_hash import WEIGHTS, hash_weights
from fmnist_tui.engine.compute.loader import Normalisation
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.export import export, metadata, onnx_graph
from fmnist_tui.engine.export.export import Exported
from fmnist_tui.engine.export.export_request import ONNX, OPSETS, PTH, SAFETENSORS, ExportRequest
from fmnist_tui.engine.inference.classifier import Classifier, ModelInfo
from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.engine.run.training_handle import Cancelled
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import Alert
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader, replay
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.paths import program_command
from fmnist_tui.util.text import safe_text
from tests.engine import support
from tests.engine.support import PATIENCE, blobs, config

Pixels = npt.NDArray[np.uint8]


def train(session: Session, **values: Any) -> RunFolder:
    return support.train(session, config(**{"epochs": 1, **values}))


def export_to(session: Session, source: Path, out: Path, **options: Any) -> Exported:
    request = ExportRequest(out.suffix[1:], out, **options)
    return session.export(source, request).result(PATIENCE)


@pytest.fixture
def untrusted() -> None:
    """Read untrusted files in a separate process, as outside of tests."""


@pytest.fixture(autouse=True)
def fast_export(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Time few predictions; read untrusted files in this process, without `untrusted`."""
    monkeypatch.setattr(export, "MAX_SECONDS", 0.0)
    if "untrusted" in request.fixturenames:
        return

    def load_untrusted(path: Path) -> weights_source.LoadedWeights:
        contents = untrusted_weights.read(path)
        return weights_source.LoadedWeights(
            {**contents.facts, "weights": contents.weights}, str(path), path.name, "", 0, 0
        )

    monkeypatch.setattr(weights_source, "_load_untrusted", load_untrusted)


@dataclass(frozen=True)
class OnnxExport:
    """A run, its export as ONNX, and the random states before and after."""

    run: RunFolder
    exported: Exported
    probabilities: dict[str, float]
    random_states: tuple[bytes, bytes]


@pytest.fixture(scope="module")
def onnx_export(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnnxExport]:
    folder = tmp_path_factory.mktemp("onnx")

    def random_state(_: object) -> bytes:
        return torch.get_rng_state().numpy().tobytes()

    with pytest.MonkeyPatch.context() as patch:
        for name in ("run_training", "small_jobs"):
            module = f"fmnist_tui.engine.session.{name}"
            patch.setattr(f"{module}.load_dataset_for", lambda *_, **__: blobs(64))
        patch.setattr(export, "MAX_SECONDS", 0.0)
        with Session(folder / "runs", folder / "data") as session:
            run = train(session)
            probabilities = dict(session.classify(run.path, drawing()).result(PATIENCE).ranked)
            before = session.submit(random_state).result(PATIENCE)
            exported = export_to(session, run.path, folder / "model.onnx", opset=18)
            yield OnnxExport(
                run,
                exported,
                probabilities,
                (before, session.submit(random_state).result(PATIENCE)),
            )


def drawing() -> Pixels:
    pad = np.zeros((28, 28), np.uint8)
    pad[4:12, 16:24] = 220
    return pad


def run_onnx(file: Path, pixels: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
    """The probabilities and logits that an ONNX file computes."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return list(session.run(["probabilities", "logits"], {"pixels": pixels.astype(np.float32)}))


# -- written files -----------------------------------------------------------------------


@pytest.mark.parametrize("to", [PTH, SAFETENSORS])
def test_a_file_gives_the_predictions_of_the_model(
    session: Session, tmp_path: Path, to: str
) -> None:
    run = train(session, model="custom-cnn", width=0.1)
    out = tmp_path / f"model.{to}"
    exported = export_to(session, run.path, out)
    data = out.read_bytes()
    assert (exported.file, exported.format, exported.size) == (out, to, len(data))
    assert exported.sha256 == hashlib.sha256(data).hexdigest()
    agreement = exported.parity
    assert agreement is not None and (agreement.split, agreement.count, agreement.same_labels) == (
        "test",
        16,
        16,
    )
    assert agreement.largest_difference == 0
    assert exported.latency.keys() == {"torch"}
    assert all(
        times.keys() == {1, 64} and min(times.values()) > 0 for times in exported.latency.values()
    )
    beside = {"model.pth", "model.pth.json"} if to == PTH else {out.name}
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == beside
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("to", [PTH, SAFETENSORS])
def test_exported_weights_can_be_used_like_the_run(
    session: Session, tmp_path: Path, to: str
) -> None:
    run = train(session)
    out = tmp_path / f"model.{to}"
    export_to(session, run.path, out)
    by_run, by_file = (
        session.classify(source, drawing()).result(PATIENCE).ranked for source in (run.path, out)
    )
    assert by_run == by_file
    # The exported file can be exported again.
    again = export_to(session, out, tmp_path / f"again.{to}")
    assert again.parity is not None and again.parity.largest_difference == 0


def test_a_pth_file_has_plain_weights_and_a_sidecar(session: Session, tmp_path: Path) -> None:
    run = train(session)
    exported = export_to(session, run.path, tmp_path / "model.pth")
    weights = torch.load(tmp_path / "model.pth", weights_only=True)
    saved = CheckpointStore(run.checkpoints).load("best")[0]["weights"]
    assert weights.keys() == saved.keys()
    assert all(torch.equal(weights[name], saved[name]) for name in saved)
    facts = json.loads((tmp_path / "model.pth.json").read_text())
    assert (facts["file"], facts["sha256"], facts["bytes"]) == (
        "model.pth",
        exported.sha256,
        exported.size,
    )
    assert (facts["model"], facts["recipe"], facts["size"], facts["channels"]) == (
        *("linear", "custom"),
        *(28, 1),
    )
    assert facts["classes"] == ["T-shirt/top", "Trouser", "Pullover", "Dress"]
    assert (
        facts["preparation"]["centre"] == "box" and "bounding box" in facts["preparation_in_words"]
    )
    verdict = replay(run.events).evaluation("test")
    assert verdict is not None
    assert (facts["test_accuracy"], facts["test_count"]) == (verdict.accuracy, 16)
    assert facts["versions"]["torch"] == torch.__version__
    mean, std = facts["mean"][0], facts["std"][0]
    pixels = torch.from_numpy(drawing()).float().view(1, 1, 28, 28)
    model = plugins.load_plugin("models", "linear").build(ModelSpec(1, 28, 4))
    model.load_state_dict(weights)
    probabilities = model((pixels - mean) / std).softmax(1)[0]
    (known,) = (s.ranked for s in [session.classify(run.path, drawing()).result(PATIENCE)])
    assert max(probabilities.tolist()) == pytest.approx(known[0][1], abs=1e-5)


def test_an_onnx_file_gives_the_models_predictions_and_is_timed(onnx_export: OnnxExport) -> None:
    exported, agreement = onnx_export.exported, onnx_export.exported.parity
    assert agreement is not None and (agreement.split, agreement.count, agreement.same_labels) == (
        "test",
        16,
        16,
    )
    assert agreement.largest_difference < 1e-5
    assert exported.latency.keys() == {"torch", "onnxruntime"}
    assert exported.sha256 == hashlib.sha256(exported.file.read_bytes()).hexdigest()
    assert [path.name for path in exported.file.parent.iterdir() if path.is_file()] == [
        "model.onnx"
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_an_onnx_file_accepts_batches_of_any_size(onnx_export: OnnxExport, count: int) -> None:
    pixels = np.repeat(drawing()[None, None], count, axis=0)
    probabilities, logits = run_onnx(onnx_export.exported.file, pixels)
    assert probabilities.shape == logits.shape == (count, 4)
    names = ["T-shirt/top", "Trouser", "Pullover", "Dress"]
    assert probabilities[-1] == pytest.approx(
        [onnx_export.probabilities[name] for name in names], abs=1e-5
    )
    again = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert again == pytest.approx(probabilities, abs=1e-5)


def test_an_onnx_file_describes_its_use(onnx_export: OnnxExport) -> None:
    model = onnx.load(onnx_export.exported.file)
    opsets = [part.version for part in model.opset_import if not part.domain]
    assert opsets == [18] == [onnx_export.exported.opset]
    facts = {part.key: part.value for part in model.metadata_props}
    assert json.loads(facts["classes"])[0] == "T-shirt/top"
    assert [facts[key] for key in ("model", "recipe", "size", "opset")] == [
        *("linear", "custom"),
        *("28", "18"),
    ]
    assert json.loads(facts["preparation"])["light_on_dark"] is True
    assert "not normalised" in facts["input"] and "probabilities" in facts["output"]
    verdict = replay(onnx_export.run.events).evaluation("test")
    assert verdict is not None
    assert json.loads(facts["test_accuracy"]) == verdict.accuracy
    assert json.loads(facts["test_count"]) == 16


def test_an_onnx_file_contains_no_paths_of_this_machine(onnx_export: OnnxExport) -> None:
    data = onnx_export.exported.file.read_bytes()
    assert not re.search(rb"[\w/]+\.py\b", data)
    assert str(Path(torch.__file__).parent).encode() not in data


def test_an_export_leaves_random_generators_unchanged(onnx_export: OnnxExport) -> None:
    before, after = onnx_export.random_states
    assert before == after


def test_ensembles_and_test_time_augmentation_are_exported(
    session: Session, tmp_path: Path
) -> None:
    members = [train(session, model="one-conv"), train(session, seed=1)]
    run = session.build_ensemble(members, tta="selective").result(PATIENCE)
    for to in (PTH, ONNX):
        exported = export_to(session, run.path, tmp_path / f"all.{to}")
        assert exported.parity is not None and exported.parity.largest_difference < 1e-5
    facts = json.loads((tmp_path / "all.pth.json").read_text())
    assert facts["model"] == "ensemble of 2" and "each member normalises" in facts["input"]
    assert "mirror image" in facts["views"]


def test_colours_are_normalised_inside_the_graph(tmp_path: Path) -> None:
    info = DatasetInfo("folder", "Folder", ("a", "b", "c"), crop=False)
    means = Normalisation((10.0, 100.0, 200.0), (20.0, 60.0, 90.0))
    about = ModelInfo(config(dataset="folder:x", colour=True, input_size=32), info, 3, 32, means)
    model = about.build()
    device = choose_device(about.config)
    classifier = Classifier.from_weights(about, model.state_dict(), device, "here")
    out = tmp_path / "model.onnx"
    facts = {"size": 32, "channels": 3, "made_by": "us"}
    out.write_bytes(onnx_graph.to_onnx(classifier, 20, facts))
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    probabilities, _ = run_onnx(out, images.transpose(0, 3, 1, 2))
    assert probabilities == pytest.approx(classifier.probabilities(images), abs=1e-5)


def test_without_a_check_nothing_is_verified_or_timed(session: Session, tmp_path: Path) -> None:
    run = train(session)
    exported = export_to(session, run.path, tmp_path / "model.safetensors", check=False)
    assert exported.parity is None and exported.latency == {}


def test_an_export_is_recorded_unless_another_process_trains_the_run(
    session: Session, tmp_path: Path
) -> None:
    run = train(session)
    with RunLock.acquire(run.path):
        export_to(session, run.path, tmp_path / "model.safetensors")
    assert not [e for e in EventReader(run.events).read() if isinstance(e, Alert)]
    export_to(session, run.path, tmp_path / "model.safetensors", force=True)
    (note,) = [e.message for e in EventReader(run.events).read() if isinstance(e, Alert)]
    where = tmp_path / "model.safetensors"
    assert note == f"exported as safetensors to {where}: same label for 16 of 16 test images"


# -- refused exports ----------------------------------------------------------------


def refusal(session: Session, source: Path, out: Path, to: str = "", **options: Any) -> str:
    """The message of a refused export, which leaves no file."""
    before = sorted(out.parent.iterdir()) if out.parent.is_dir() else []
    with pytest.raises(UserError) as caught:
        session.export(source, ExportRequest(to or out.suffix[1:], out, **options)).result(PATIENCE)
    assert (sorted(out.parent.iterdir()) if out.parent.is_dir() else []) == before
    line = str(caught.value)
    assert "\n" not in line and line == safe_text(line)
    return line


def test_an_impossible_request_is_refused_before_any_work(session: Session, tmp_path: Path) -> None:
    nowhere = tmp_path / "no-run"
    out = tmp_path / "out"
    out.mkdir()
    (out / "there.onnx").write_bytes(b"precious")
    (out / "folder.onnx").mkdir()
    assert "must end in .onnx" in refusal(session, nowhere, out / "model.pth", ONNX)
    assert "no folder" in refusal(session, nowhere, tmp_path / "none" / "model.onnx")
    assert "is a folder" in refusal(session, nowhere, out / "folder.onnx")
    assert "--force" in refusal(session, nowhere, out / "there.onnx")
    assert "must be one of pth, safetensors, onnx" in refusal(session, nowhere, out / "m.gguf")
    for opset in (OPSETS[0] - 1, OPSETS[-1] + 1):
        assert "18 to 23" in refusal(session, nowhere, out / "model.onnx", opset=opset)
    assert (out / "there.onnx").read_bytes() == b"precious"
    assert UsageError.exit_code == 2


def test_a_run_without_a_checkpoint_is_refused(session: Session, tmp_path: Path) -> None:
    run = RunFolder.create(session.runs_dir, "new", "blobs")
    assert "no checkpoint yet" in refusal(session, run.path, tmp_path / "model.onnx")


@pytest.mark.parametrize("to", [PTH, SAFETENSORS])
def test_a_file_with_other_predictions_is_discarded(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    run = train(session)
    (tmp_path / "out").mkdir()
    before = tmp_path / "out" / f"model.{to}"
    before.write_bytes(b"the one before")
    written = export._to_bytes

    def other(classifier: Classifier, facts: dict[str, Any], request: ExportRequest) -> bytes:
        weights = {name: -value for name, value in classifier.model.state_dict().items()}
        changed = Classifier.from_weights(classifier.info, weights, classifier.device, "other")
        sha256 = hash_weights(weights, sorted(weights))
        return written(changed, {**facts, WEIGHTS: sha256}, request)

    monkeypatch.setattr(export, "_to_bytes", other)
    line = refusal(session, run.path, before, force=True)
    assert "not exported" in line and "of 16 test images" in line
    assert before.read_bytes() == b"the one before"


def test_a_full_disk_leaves_nothing_behind(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(session)

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(export, "atomic_write", full)
    (tmp_path / "out").mkdir()
    line = refusal(session, run.path, tmp_path / "out" / "model.pth")
    assert line == f"{tmp_path}/out/model.pth: cannot be written: No space left on device"


def test_an_unwritable_folder_is_refused(session: Session) -> None:
    run = train(session)
    with pytest.raises(UserError, match=r"/proc/model.onnx: cannot be written: "):
        export_to(session, run.path, Path("/proc/model.onnx"))


def test_a_cancelled_export_leaves_nothing_behind(session: Session, tmp_path: Path) -> None:
    run = train(session)
    (tmp_path / "out").mkdir()

    def on_progress(exported: float, total: float, what: str) -> None:
        if total:
            session._is_closing = True

    request = ExportRequest(SAFETENSORS, tmp_path / "out" / "model.safetensors")
    with pytest.raises(Cancelled):
        session.export(run.path, request, on_progress=on_progress).result(PATIENCE)
    assert not list((tmp_path / "out").iterdir())


# -- models that cannot be converted -------------------------------------------------------------


class UnusualModel(nn.Module):
    """A network with an unusual operation before its last layer."""

    def __init__(self, spec: ModelSpec, odd: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.last = nn.Linear(spec.size**2, spec.classes)
        self._odd = odd

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(self._odd(x.flatten(1)))
        return logits


def _branch_on_data(x: Tensor) -> Tensor:
    return x if bool(x.sum() > 0) else -x


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (torch.special.bessel_j0, "the operator prims.bessel_j0 is not supported in opset 20"),
        (_branch_on_data, "cannot be written as ONNX: Could not guard"),
    ],
)
def test_a_model_that_onnx_cannot_express_is_refused_with_the_reason(
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
            return type("Built", (), {"build": staticmethod(lambda spec: UnusualModel(spec, odd))})

    monkeypatch.setattr(plugins, "_plugins", lambda kind: {"odd": Plugin()})
    # The operation has no gradient, so the model is not trained.
    run = train(session)
    payload, manifest, _ = CheckpointStore(run.checkpoints).load("best")
    payload["about"]["config"]["model"] = "odd"
    payload["weights"] = UnusualModel(ModelSpec(1, 28, 4), odd).state_dict()
    CheckpointStore(run.checkpoints).save("best", payload, manifest.step, manifest.epoch)
    (tmp_path / "out").mkdir()
    capfd.readouterr()
    line = refusal(session, run.path, tmp_path / "out" / "model.onnx")
    assert line.startswith("odd cannot be written as ONNX") and why in line
    assert "safetensors and pth support every model" in line
    assert capfd.readouterr() == ("", "")
    done = export_to(session, run.path, tmp_path / "out" / "model.safetensors")
    assert done.parity is not None and done.parity.is_sufficient


# -- metadata beside weights ----------------------------------------------------------------


@pytest.mark.usefixtures("untrusted")
def test_the_process_that_reads_untrusted_files_reads_sidecars(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A new interpreter, as outside of tests
    monkeypatch.setattr(weights_source, "program_command", program_command)
    run = train(session)
    exported = export_to(session, run.path, tmp_path / "model.pth")
    assert exported.parity is not None and exported.parity.largest_difference == 0


def test_a_sidecar_of_another_file_is_refused(session: Session, tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        export_to(session, train(session, seed=seed).path, tmp_path / f"{name}.pth", check=False)
    (tmp_path / "one.pth.json").write_bytes((tmp_path / "two.pth.json").read_bytes())
    with pytest.raises(CheckpointError, match="describes another file"):
        session.classify(tmp_path / "one.pth", drawing()).result(PATIENCE)


@pytest.mark.parametrize("text", ["[]", "{}", '{"sha256": 1}'])
def test_a_sidecar_of_another_program_is_ignored(
    session: Session, tmp_path: Path, text: str
) -> None:
    run = train(session)
    export_to(session, run.path, tmp_path / "model.pth", check=False)
    (tmp_path / "model.pth.json").write_text(text)
    with pytest.raises(CheckpointError, match="does not say which model"):
        session.classify(tmp_path / "model.pth", drawing()).result(PATIENCE)
    # The weights are enough if the run describes them.
    path = str(tmp_path / "model.pth")
    assert session.evaluate(run, "val", path).result(PATIENCE).evaluation.count == 16


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"about": 3}', "another mean"])
def test_a_damaged_sidecar_is_refused(session: Session, tmp_path: Path, text: str) -> None:
    run = train(session)
    export_to(session, run.path, tmp_path / "model.pth", check=False)
    sidecar = tmp_path / "model.pth.json"
    facts = json.loads(sidecar.read_text())
    facts["about"]["mean"][0] += 1
    sidecar.write_text(json.dumps(facts) if text == "another mean" else text)
    with pytest.raises(CheckpointError, match=r"model.pth.json,? (which|describes another file)"):
        session.classify(tmp_path / "model.pth", drawing()).result(PATIENCE)


def mutations(data: bytes, count: int) -> Iterator[bytes]:
    """The data with one byte changed, in places spread over all of it."""
    for place in range(0, len(data), max(1, len(data) // count)):
        yield data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth", "moved.pt"])
def test_a_file_that_has_changed_in_any_place_is_refused_or_holds_the_same(
    session: Session, tmp_path: Path, name: str
) -> None:
    run = train(session)
    path = tmp_path / name
    if name == "moved.pt":
        path.write_bytes(next(run.checkpoints.glob("best-*.pt")).read_bytes())
    else:
        export_to(session, run.path, path, check=False)
    whole = untrusted_weights.read(path)
    assert whole.is_checked
    kept, changed = 0, tmp_path / "changed" / name
    changed.parent.mkdir()
    for beside in tmp_path.glob("model.*.json"):
        (changed.parent / beside.name).write_bytes(beside.read_bytes())
    for data in mutations(path.read_bytes(), 300):
        # The tensors of a file are mapped: it must not be written again.
        changed.unlink(missing_ok=True)
        changed.write_bytes(data)
        with contextlib.suppress(UserError):
            now = untrusted_weights.read(changed)
            kept += 1
            assert now.facts == whole.facts
            assert all(
                torch.equal(tensor, whole.weights[key]) for key, tensor in now.weights.items()
            )
    assert kept < 100


def test_weights_without_a_hash_are_used_and_said_to_be_unchecked(
    session: Session, tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    run = train(session)
    weights = CheckpointStore(run.checkpoints).load("best")[0]["weights"]
    file = tmp_path / "theirs.safetensors"
    save_file(weights, file)
    contents = untrusted_weights.read(file)
    assert contents.weights.keys() == weights.keys() and not contents.is_checked
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(weights, tmp_path / "theirs.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert not untrusted_weights.read(tmp_path / "theirs.pth").is_checked


@pytest.mark.usefixtures("untrusted")
def test_every_way_in_says_that_weights_are_not_checked(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(session)
    file = tmp_path / "model.safetensors"
    export_to(session, run.path, file, check=False)
    assert session.classify(file, drawing()).result(PATIENCE).notes == ()
    # As earlier versions exported.
    monkeypatch.setattr(metadata, "with_hash", lambda facts: facts)
    monkeypatch.setattr(metadata, "WEIGHTS", "former")
    file = tmp_path / "former.safetensors"
    export_to(session, run.path, file, check=False)
    notes = [
        session.classify(file, drawing()).result(PATIENCE).notes,
        session.evaluate(run, "val", str(file)).result(PATIENCE).notes,
        export_to(session, file, tmp_path / "again.pth", check=False).notes,
    ]
    started = train(session, start=str(file))
    alerts = [e.message for e in EventReader(started.events).read() if isinstance(e, Alert)]
    notes.append(tuple(alert for alert in alerts if "not checked" in alert))
    said = f"{file}: not checked for damage: it carries no hash"
    assert notes == [(said,)] * 4


def test_invalid_metadata_is_refused_or_ignored(session: Session, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    run = train(session)
    weights = CheckpointStore(run.checkpoints).load("best")[0]["weights"]
    path = tmp_path / "theirs.safetensors"
    for text in ("", "a net", "[" * 100_000):
        save_file(weights, path, {"epoch": "final", untrusted_weights.METADATA: text})
        with pytest.raises(CheckpointError, match="its facts are no JSON"):
            session.evaluate(run, "val", str(path)).result(PATIENCE)
    for text in ("[]", '{"epoch": 1}'):
        save_file(weights, path, {"epoch": "final", untrusted_weights.METADATA: text})
        assert session.evaluate(run, "val", str(path)).result(PATIENCE).evaluation.count == 16
