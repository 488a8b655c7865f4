"""Weights and answers that are NaN or infinite are refused on every way in, and never saved."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore, read_checkpoint
from fmnist_tui.engine.export.export_request import ExportRequest
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.protocol.events import FAILED
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.util.errors import UserError
from tests.engine.support import PATIENCE, config, train, wait_for_end

Start = Callable[[Session, RunFolder, Path], "Training | Future[Any]"]


def poison(folder: RunFolder, value: float) -> None:
    """Save every kind of checkpoint once more, with a weight that is this value."""
    store = CheckpointStore(folder.checkpoints)
    for kind in ("best", "last"):
        (manifest,) = store.manifests(kind)
        payload = read_checkpoint(store.folder / manifest.file, manifest)
        store.delete(kind)
        for weights in (payload["weights"], payload.get("model", {})):
            for tensor in list(weights.values())[:1]:
                tensor.view(-1)[0] = value
        store.save(kind, payload, manifest.step, manifest.epoch)


WAYS_IN: dict[str, Start] = {
    "predict": lambda session, run, files: session.predict(run.path, [files / "a.png"], "cpu"),
    "evaluate": lambda session, run, _: session.evaluate(run, "test"),
    "evaluate last": lambda session, run, _: session.evaluate(run, "test", "last"),
    "export": lambda session, run, files: session.export(
        run.path, ExportRequest("pth", files / "a.pth", check=False)
    ),
    "ensemble": lambda session, run, _: session.build_ensemble([run, other_run(session, run)]),
    "start": lambda session, run, _: session.train(config(start=str(run.path))),
    "fork": lambda session, run, _: session.fork(run, "last", config(epochs=9)),
    "fork best": lambda session, run, _: session.fork(run, "best", config(epochs=9)),
    "resume": lambda session, run, _: session.resume(run, config(epochs=9)),
}


def other_run(session: Session, run: RunFolder) -> RunFolder:
    return next(RunFolder(path) for path in session.runs_dir.iterdir() if path != run.path)


def test_every_way_in_refuses_them_in_a_line_that_names_the_file(
    session: Session, tmp_path: Path
) -> None:
    Image.fromarray(np.full((28, 28), 200, np.uint8)).save(tmp_path / "a.png")
    train(session, config(epochs=1))
    run = train(session, config(epochs=1))
    for value in (math.nan, math.inf):
        poison(run, value)
        for name, start in WAYS_IN.items():
            line = refusal(session, start(session, run, tmp_path))
            assert "-0001.pt: " in line and "is NaN or infinite" in line, (name, line)
            assert "earlier checkpoint" in line and "\n" not in line, name


def test_a_weights_file_is_refused_too(session: Session, tmp_path: Path) -> None:
    run = train(session, config(model="mlp", epochs=1))
    weights = CheckpointStore(run.checkpoints).load("best")[0]["weights"]
    file = tmp_path / "a.safetensors"
    save_file({name: torch.full_like(each, math.nan) for name, each in weights.items()}, file)
    line = refusal(session, session.train(config(model="mlp", start=str(file))))
    assert "a.safetensors: " in line and "is NaN or infinite" in line


def refusal(session: Session, started: Training | Future[Any]) -> str:
    if isinstance(started, Training):
        assert started.wait(PATIENCE)
        error = started.error
    else:
        error = started.exception(PATIENCE)
    assert isinstance(error, UserError), error
    return str(error)


def test_finite_weights_whose_answers_are_not_numbers_are_refused(
    session: Session, tmp_path: Path
) -> None:
    Image.fromarray(np.full((28, 28), 200, np.uint8)).save(tmp_path / "a.png")
    run = train(session, config(epochs=1))
    store = CheckpointStore(run.checkpoints)
    payload, manifest, _ = store.load("best")
    for tensor in payload["weights"].values():
        tensor.fill_(torch.finfo(tensor.dtype).max)
    store.save("best", payload, manifest.step, manifest.epoch)
    with pytest.raises(UserError, match=r"best-0002\.pt: the network's answers are NaN"):
        session.predict(run.path, [tmp_path / "a.png"], "cpu").result(PATIENCE)


def test_an_earlier_last_serves_for_one_that_is_not_finite(session: Session) -> None:
    run = train(session, config(epochs=2))
    store = CheckpointStore(run.checkpoints)
    payload, manifest, _ = store.load("last")
    next(iter(payload["model"].values())).fill_(math.nan)
    store.save("last", payload, manifest.step + 1, manifest.epoch)
    _, listener = wait_for_end(session, session.resume(run, config(epochs=3)))
    assert any("serves instead" in note and "is NaN" in note for note in listener.notes)


@pytest.mark.parametrize("val_fraction", [0.25, 0.0])
def test_weights_that_break_in_the_very_last_step_replace_no_checkpoint(
    session: Session, monkeypatch: pytest.MonkeyPatch, val_fraction: float
) -> None:
    make_step = Learner.make_step

    def breaking(learner: Learner, *arguments: Any) -> Any:
        step = make_step(learner, *arguments)
        run = step.run

        def break_at_the_end(*batches: Any) -> None:
            run(*batches)
            if learner.step == 7:
                with torch.no_grad():
                    next(learner.model.parameters()).fill_(math.nan)

        setattr(step, "run", break_at_the_end)  # noqa: B010
        return step

    monkeypatch.setattr(Learner, "make_step", breaking)
    run, _ = wait_for_end(session, session.train(config(val_fraction=val_fraction)), FAILED)
    state = replay(run.events)
    assert state.message.startswith("the weights stopped being numbers near step 8")
    assert f"`fmnist-tui train --resume {run.id} --lr " in state.message
    assert "goes on from step 4" in state.message
    store = CheckpointStore(run.checkpoints)
    assert store.load("last")[1].step == 4
    assert store.own == "last" or store.load("best")[1].step == 4
