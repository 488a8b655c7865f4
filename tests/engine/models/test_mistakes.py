"""Mistakes in the file of a model or optimiser are one line that names it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from torch import nn

from fmnist_tui.config import plugins
from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FAILED
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import list_runs
from fmnist_tui.util.errors import UserError
from tests.engine.support import Listener, config, train, wait_for_end

WriteFile = Callable[[str, str], Path]


@pytest.fixture
def write_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteFile:
    """Writes the file of a model or optimiser of a user."""

    def write(kind: str, text: str) -> Path:
        # A module of a new name, since Python keeps the modules that it has imported.
        name = f"mine_{tmp_path.name}"
        file = tmp_path / kind / f"{name}.py"
        file.parent.mkdir()
        file.write_text(text)
        monkeypatch.syspath_prepend(file.parent)
        files = {each: plugins._built_in(each) for each in plugins.KINDS}
        files[kind] = {name.replace("_", "-"): name}
        monkeypatch.setattr(plugins, "_built_in", files.__getitem__)
        monkeypatch.setattr(plugins, "_ENGINE", tmp_path)
        return file

    return write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere_to_be_found", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("def build(spec:", "cannot be loaded: SyntaxError"),
        ("def make(spec): ...", "has no function build"),
        ("build = 3", "has no function build"),
        ("def build(): ...", "cannot be built: TypeError: build() takes 0 positional"),
        ("def build(spec):\n    return spec.depth", "cannot be built: AttributeError"),
        ("def build(spec): ...", "is unusable: build returned NoneType, not Module"),
        ("def build(spec): return [spec]", "is unusable: build returned list, not Module"),
    ],
)
def test_a_mistake_in_a_model_is_one_line_that_names_its_file(
    write_file: WriteFile, text: str, message: str
) -> None:
    file = write_file("models", text)
    name = file.stem.replace("_", "-")
    with pytest.raises(UserError) as caught:
        plugins.build_plugin("models", name, nn.Module, ModelSpec(1, 28, 10))
    line = str(caught.value)
    assert line.startswith(f"model {name} {message}") and "\n" not in line
    assert line.endswith(f"({file}, line 2)" if "depth" in text else f"({file})")


def test_a_mistake_in_an_optimiser_is_one_line_that_names_its_file(write_file: WriteFile) -> None:
    file = write_file("optim", "def build(model, spec): return model")
    name = file.stem.replace("_", "-")
    with pytest.raises(UserError, match="build returned Linear, not Optimizer") as caught:
        plugins.build_plugin("optim", name, torch.optim.Optimizer, nn.Linear(1, 1), None)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("text", ["raise SystemExit", "def build(spec):\n    raise SystemExit"])
def test_a_model_that_exits_does_not_end_the_program(write_file: WriteFile, text: str) -> None:
    file = write_file("models", text)
    with pytest.raises(UserError, match="SystemExit") as caught:
        plugins.build_plugin("models", file.stem.replace("_", "-"), nn.Module, None)
    assert str(file) in str(caught.value)


def test_a_mistake_in_a_plugin_names_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("theirs", "json:dumps", "fmnist_tui.models")
    monkeypatch.setattr(plugins, "_plugins", lambda kind: {"theirs": entry})
    with pytest.raises(UserError, match=r"model theirs has no function build \(plugin json:dumps"):
        plugins.load_plugin("models", "theirs")


def test_a_model_that_cannot_be_loaded_leaves_no_run(
    write_file: WriteFile, session: Session
) -> None:
    file = write_file("models", "import nowhere_to_be_found")
    training = session.train(config(model=file.stem.replace("_", "-")))
    assert training.wait(60)
    assert isinstance(training.error, UserError) and str(file) in str(training.error)
    assert not session.runs_dir.exists()


def test_a_run_whose_model_cannot_be_built_is_listed_with_the_reason(
    write_file: WriteFile, session: Session
) -> None:
    file = write_file("models", "def build(spec):\n    return spec.depth")
    training = session.train(config(model=file.stem.replace("_", "-")))
    assert Listener(training).wait_for_end().reason == FAILED
    (run,) = list_runs(session.runs_dir)
    assert "cannot be built" in run.reason and f"{file}, line 2" in run.reason


def test_a_run_records_settings_that_do_nothing_once(session: Session) -> None:
    folder = train(session, config(width=2.0, epochs=1))
    wait_for_end(session, session.resume(folder, config(width=2.0, epochs=2)))
    warnings = [alert.message for alert in replay(folder.events).alerts if alert.level == "warning"]
    assert warnings == ["width = 2 does nothing: linear has no such setting"]
