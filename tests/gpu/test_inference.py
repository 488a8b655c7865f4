"""A model trained on a GPU, used on the GPU and on the CPU."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fmnist_tui.engine.export.export_request import ONNX, PTH, SAFETENSORS, ExportRequest
from fmnist_tui.engine.session.session import Session
from fmnist_tui.runs.folder import RunFolder
from tests.engine.support import PATIENCE, config, train


@pytest.fixture
def run(session: Session) -> RunFolder:
    """A run trained on the GPU in the precision that `auto` chooses."""
    return train(session, config(device="cuda", model="two-conv", epochs=3))


def test_an_evaluation_has_the_same_results_on_gpu_and_cpu(
    session: Session, run: RunFolder
) -> None:
    gpu, cpu = (
        session.evaluate(run, "train", device=device).result(PATIENCE) for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(gpu.predictions.logits, cpu.predictions.logits, rtol=1e-3, atol=1e-3)
    assert gpu.evaluation.loss == pytest.approx(cpu.evaluation.loss, rel=1e-3)
    assert gpu.evaluation.confusion == cpu.evaluation.confusion


def test_a_drawing_is_classified_alike_on_gpu_and_cpu(session: Session, run: RunFolder) -> None:
    drawing = np.zeros((28, 28), np.uint8)
    drawing[4:12, 16:24] = 220
    gpu, cpu = (
        dict(session.classify(run.path, drawing, device).result(PATIENCE).ranked)
        for device in ("cuda", "cpu")
    )
    assert gpu == pytest.approx(cpu, abs=1e-3)


@pytest.mark.parametrize(
    "format_",
    [
        PTH,
        SAFETENSORS,
        pytest.param(
            ONNX,
            marks=pytest.mark.skipif(
                not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))),
                reason="needs onnx, onnxscript and onnxruntime",
            ),
        ),
    ],
)
def test_an_export_gives_the_predictions_of_the_run(
    session: Session, run: RunFolder, tmp_path: Path, format_: str
) -> None:
    request = ExportRequest(format_, tmp_path / f"model.{format_}")
    parity = session.export(run.path, request).result(PATIENCE).parity
    assert parity is not None and parity.same_labels == parity.count
    assert parity.largest_difference < 1e-4


def test_an_ensemble_of_gpu_runs_is_evaluated_on_the_gpu(session: Session, run: RunFolder) -> None:
    other = train(session, config(device="cuda", epochs=1, seed=1))
    folder = session.build_ensemble([run, other], device="cuda").result(PATIENCE)
    gpu, cpu = (
        session.evaluate(folder, "val", device=device).result(PATIENCE)
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(gpu.predictions.logits, cpu.predictions.logits, rtol=1e-3, atol=1e-3)
