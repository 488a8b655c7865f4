"""Recipes with several runs as processes: stages, ensembles, and checking claims."""

from __future__ import annotations

import json
import signal
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fmnist_tui.config import recipes
from fmnist_tui.config.plans import Plan
from fmnist_tui.runs.lock import find_holder
from tests.e2e.support import LIMIT, Home, events, wait_for

BASE = """
about = "drawn garments"
[run]
dataset = "sketches"
model = "one-conv"
width = 0.25
epochs = 2
batch_size = 64
limit = 800
threads = 1
"""
STAGED = f"""{BASE}
[[stage]]
name = "pretrain"
run = {{ classes = [0, 1, 2, 3, 4] }}
[[stage]]
name = "adapt"
run = {{ classes = [5, 6, 7, 8, 9], freeze = "convolutions", renew = "dense", epochs = 1 }}
[[claim]]
metric = "test_accuracy"
at_least = 0.3
stage = "pretrain"
about = "the first five"
[[claim]]
metric = "test_accuracy"
at_least = 0.999
stage = "adapt"
[[claim]]
metric = "frozen_unchanged"
at_least = 1
stage = "adapt"
[[claim]]
metric = "warm_seconds"
at_most = 1000
"""
ENSEMBLE = f"""{BASE}
[ensemble]
seeds = 2
tta = "flip"
[[claim]]
metric = "test_accuracy"
at_least = 0.1
"""
NO_DATA = """
about = "data that are not there"
[run]
dataset = "folder:/nowhere/at/all"
[[claim]]
metric = "val_accuracy"
at_least = 0.5
about = "never measured"
"""


@pytest.fixture
def home(home: Home, tmp_path: Path) -> Home:
    """A home with recipes of its own."""
    folder = tmp_path / "configs"
    folder.mkdir()
    for name, text in (("staged", STAGED), ("united", ENSEMBLE), ("no-data", NO_DATA)):
        (folder / f"{name}.toml").write_text(text)
    home.environment["FMNIST_TUI_CONFIGS"] = str(folder)
    return home


def find_runs(home: Home, part: str) -> list[Path]:
    return sorted(home.runs.glob(f"*{part}*"))


def test_stages_are_trained_one_after_another_and_linked(home: Home) -> None:
    result = home.json("train", "staged", "--lr", "0.002")
    assert (result["recipe"], result["state"]) == ("staged", "finished")
    first, second = result["stages"]
    assert (first["stage"], first["epochs"], first["frozen_unchanged"]) == ("pretrain", 2, None)
    assert (second["stage"], second["epochs"], second["frozen_unchanged"]) == ("adapt", 1, True)
    assert first["test"]["count"] == second["test"]["count"] == 500
    assert first["fit"]["verdict"] and second["fit"]["words"]
    document = tomllib.loads((Path(second["path"]) / "config.toml").read_text())
    assert document["run"]["start"] == first["run"]
    assert document["run"]["lr"] == 0.002
    assert document["made_with"]["started_from"] == first["run"]


def test_each_stage_prints_precision_recall_and_fit(home: Home) -> None:
    done = home.run("train", "staged", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("confusion on test") == 2
    assert done.stdout.count("precision  recall") == 2
    assert done.stdout.count("\nfit (") == 2
    assert "Ankle boot" in done.stdout and "T-shirt/top" in done.stdout
    assert "staged, stage 2 of 2: adapt" in done.stderr
    assert "frozen parts unchanged: 2 tensors" in done.stderr
    run = find_runs(home, "staged-pretrain")[0]
    again = home.json("train", "--resume", run.name, "--epochs", "2")
    assert again["run"] == run.name and "stages" not in again
    assert len(find_runs(home, "staged")) == 2


def test_no_stage_follows_a_stopped_one(home: Home) -> None:
    process = home.start("train", "staged", "--epochs", "100000")
    run = home.wait_for_steps(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert "staged ends here: 1 of 2 steps not run" in err
    assert "stopped after" in out and find_runs(home, "staged") == [run]


def test_a_detached_plan_runs_to_its_end(home: Home) -> None:
    done = home.run("train", "staged", "--detach")
    assert done.returncode == 0, done.stderr
    assert "stage 1 of 2: pretrain; the process continues with the other steps" in done.stdout

    def has_ended(run: Path) -> bool:
        record = events(run) if (run / "events.jsonl").exists() else []
        return bool(record) and record[-1]["is"] == "RunEnded"

    wait_for(lambda: any(map(has_ended, find_runs(home, "staged-adapt"))))
    [run] = find_runs(home, "staged-adapt")
    wait_for(lambda: find_holder(run) is None)
    assert events(run)[-1]["reason"] == "finished"


def test_a_run_is_resumed_with_the_rest_of_its_plan(home: Home, tmp_path: Path) -> None:
    base, united = tmp_path / "configs" / "base.toml", tmp_path / "configs" / "united.toml"
    base.write_text(BASE)
    run = home.json("train", "--config", str(base), "--epochs", "1")["run"]
    file = tmp_path / "plan.json"
    file.write_text('{"recipe": 7}')
    error = home.error_line("train", "--resume", run, f"--plan={file}", status=1)
    assert "plan.json: not a readable plan" in error
    error = home.error_line("train", "staged", f"--plan={file}", status=2)
    assert "--plan goes with nothing but --resume" in error
    plan = Plan.from_recipe(recipes.read_recipe(united), {"epochs": 1})
    file.write_text(plan.to_json())
    result = home.json("train", "--resume", run, "--epochs", "2", f"--plan={file}")
    names = [step["stage"] for step in result["stages"]]
    assert names == ["", "member 2 of 2", "ensemble of 2"]
    assert result["stages"][0]["run"] == run
    members = tomllib.loads((Path(result["stages"][2]["path"]) / "config.toml").read_text())
    assert run in str(members["made_with"])

    for step in result["stages"][:2]:
        plan = plan.advance("finished", Path(step["path"]))
    file.write_text(plan.to_json())
    rest = home.json("train", f"--plan={file}")["stages"]
    assert [step["stage"] for step in rest] == ["ensemble of 2"]


def test_an_ensemble_recipe_trains_its_members_and_combines_them(home: Home) -> None:
    result = home.json("train", "united", "--seed", "7")
    names = [step["stage"] for step in result["stages"]]
    assert names == ["member 1 of 2", "member 2 of 2", "ensemble of 2"]
    runs = [Path(step["path"]) for step in result["stages"]]
    seeds = [tomllib.loads((run / "config.toml").read_text())["run"]["seed"] for run in runs[:2]]
    assert seeds == [7, 8]
    started = events(runs[2])[0]
    assert (started["kind"], started["recipe"]) == ("ensemble", "united")
    assert result["stages"][2]["test"]["count"] == 1000


def test_a_flag_that_every_stage_sets_itself_is_refused(home: Home) -> None:
    error = home.error_line("train", "staged", "--classes", "0,1", status=2)
    assert "--classes is set by every stage of staged" in error


def test_recipes_show_prints_stages_and_claims(home: Home) -> None:
    shown = home.run("recipes", "show", "staged").stdout
    assert tomllib.loads(shown)["stage"][1]["run"]["freeze"] == "convolutions"
    assert "# steps: pretrain, adapt" in shown
    assert "# claim: pretrain: test_accuracy ≥ 30.00 %" in shown
    assert "# claim: warm_seconds ≤ 1000 s" in shown
    result = home.json("recipes", "show", "united")
    assert result["ensemble"] == {"seeds": 2, "tta": "flip"}
    assert result["gpu"] == {} and result["stages"] == []


def test_check_measures_every_claim_over_the_seeds(home: Home) -> None:
    done = home.run("recipes", "check", "staged", "no-data", "--seeds", "2", "--json")
    assert done.returncode == 1, done.stderr
    claims: list[dict[str, Any]] = json.loads(done.stdout)
    assert [claim["passed"] for claim in claims] == [True, False, True, True, None]
    assert all(len(claim["values"]) == len(claim["train_seconds"]) == 2 for claim in claims[:4])
    first, second, frozen, seconds, never = claims
    assert first["mean"] == pytest.approx(sum(first["values"]) / 2) and first["sd"] is not None
    assert (first["count"], first["bound"], first["claim"]) == (500, "at least", 0.3)
    assert first["values"] != second["values"] and second["stage"] == "adapt"
    assert frozen["values"] == [1.0, 1.0]
    assert seconds["bound"] == "at most"
    # The recipe takes as long as its stages together.
    both = [sum(pair) for pair in zip(first["warm_seconds"], second["warm_seconds"], strict=True)]
    assert seconds["values"] == seconds["warm_seconds"] == pytest.approx(both)
    assert never["values"] == [] and "/nowhere/at/all" in never["why"]
    assert "checking staged (1 of 2): seed 2 of 2" in done.stderr
    assert len(find_runs(home, "staged")) == 4


def test_checking_on_an_unknown_device_is_a_usage_error(home: Home) -> None:
    assert "device" in home.error_line("recipes", "check", "--device", "gpu9", status=2)


def test_a_wrong_number_of_seeds_is_a_usage_error(home: Home) -> None:
    for count in ("0", "65"):
        error = home.error_line("recipes", "check", "staged", "--seeds", count, status=2)
        assert "--seeds must be from 1 to 64" in error
