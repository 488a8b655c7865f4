"""The settings that are a run's own."""

from __future__ import annotations

from pathlib import Path

from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE, SWEEP, TRAIN
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps.run_settings import differing_settings, read_run_settings

SWEEP_FILE = """
[run]
dataset = "sketches"
batch_size = 32
[space.lr]
low = 0.001
high = 0.1
log = true
"""


def folder_with(tmp_path: Path, text: str) -> RunFolder:
    folder = RunFolder.create(tmp_path, "tiny", "sketches")
    folder.config.write_text(text)
    return folder


def test_a_training_has_every_setting(tmp_path: Path) -> None:
    config = RunConfig(lr=0.02)
    folder = folder_with(tmp_path, recipes.to_toml(config, {}))
    assert read_run_settings(folder, TRAIN).own == config.model_dump()


def test_an_ensemble_has_only_what_its_members_share(tmp_path: Path) -> None:
    config = RunConfig(dataset="sketches", lr=0.02, seed=3, tta="flip")
    own = read_run_settings(folder_with(tmp_path, recipes.to_toml(config, {})), ENSEMBLE).own
    assert (own["dataset"], own["tta"]) == ("sketches", "flip")
    assert not {"lr", "seed", "model", "epochs"} & set(own)


def test_a_sweep_has_ranges_where_it_varies_a_setting(tmp_path: Path) -> None:
    settings = read_run_settings(folder_with(tmp_path, SWEEP_FILE), SWEEP)
    assert settings.own["batch_size"] == 32
    assert settings.own["lr"] == settings.varied["lr"] and "0.001" in settings.varied["lr"]


def test_only_runs_that_have_a_setting_differ_in_it() -> None:
    assert differing_settings([{"lr": 0.1, "seed": 1}, {"seed": 1}, {"lr": 0.1}]) == []
    assert differing_settings([{}, {"lr": 0.1, "seed": 1}, {"seed": 2, "lr": 0.2}]) == [
        "seed",
        "lr",
    ]
