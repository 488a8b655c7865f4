"""`export` and `ensemble` as processes, and their errors for bad input."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from fmnist_tui.config.recipes import shipped_folder
from tests.e2e.support import LIMIT, QUICK, Home, events, wait_for

SCRIPT = shipped_folder("assets") / "predict_onnx.py"
# Runs the script where neither torch nor this program can be imported.
ISOLATED = (
    "import runpy, sys;"
    "sys.modules['torch'] = sys.modules['fmnist_tui'] = None;"
    "sys.argv = sys.argv[1:];"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def run_script(*arguments: object) -> list[str]:
    """The lines that the script prints."""
    command = [sys.executable, "-c", ISOLATED, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def exported(trained: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON result of exporting a run as ONNX."""
    out = tmp_path_factory.mktemp("exported") / "model.onnx"
    document: dict[str, Any] = trained.json("export", "last", "--to", "onnx", "--out", str(out))
    return document


def test_export_reports_the_file_and_the_comparison(exported: dict[str, Any]) -> None:
    file = Path(exported["file"])
    assert exported["format"] == "onnx" and exported["opset"] == 20
    assert exported["size"] == file.stat().st_size
    parity = exported["parity"]
    assert (parity["split"], parity["count"], parity["same_labels"]) == ("test", 1000, 1000)
    assert parity["share"] == 1.0 and parity["largest_difference"] < 1e-4
    assert exported["latency_ms"].keys() == {"torch", "onnxruntime"}
    assert all(times.keys() == {"1", "64"} for times in exported["latency_ms"].values())


def test_the_script_needs_only_the_exported_file(trained: Home, exported: dict[str, Any]) -> None:
    image = shipped_folder("assets") / "samples" / "ankle-boot.jpg"
    known = trained.json("predict", "last", str(image))[0]
    lines = run_script(exported["file"], image)
    assert len(lines) == 5
    assert lines[0].split("  ")[-1] == known["label"]


@pytest.mark.parametrize(
    ("values", "brightest"),
    [
        ({"crop": True, "fit": 1.0, "centre": "box"}, (14, 14)),
        ({"crop": True, "fit": 0.5, "centre": "mass"}, (14, 14)),
        ({"crop": False, "fit": 1.0, "centre": "box"}, (5, 20)),
    ],
)
def test_the_script_prepares_an_image_as_in_the_metadata(
    tmp_path: Path, values: dict[str, Any], brightest: tuple[int, int]
) -> None:
    """The model here returns its input: the brightest pixel comes first."""
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 1, 28, 28])
    shares = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 784])
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 784])
    node = helper.make_node("Reshape", ["pixels", "shape"], ["probabilities"])
    graph = helper.make_graph([node], "echo", [pixels], [shares], [shape])
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    names = [f"{row},{column}" for row in range(28) for column in range(28)]
    preparation = {"size": 28, "channels": 1, "light_on_dark": True, "invert": "auto", **values}
    facts = {"classes": json.dumps(names), "preparation": json.dumps(preparation)}
    helper.set_model_props(model, facts)
    onnx.save(model, tmp_path / "echo.onnx")
    # An off-centre blot on a dark background, brightest in its middle.
    rows, columns = np.mgrid[:140, :140]
    light = 255 - 12 * np.hypot(rows - 27, columns - 102)
    image = Image.fromarray(light.clip(20, 255).astype(np.uint8))
    image.save(tmp_path / "blot.png")
    first = run_script(tmp_path / "echo.onnx", tmp_path / "blot.png")[0].split()[-1]
    row, column = map(int, first.split(","))
    assert abs(row - brightest[0]) <= 1 and abs(column - brightest[1]) <= 1


def test_exported_weights_predict_like_their_run(trained: Home, tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    done = trained.run("export", "last", "--to", "safetensors", "--out", str(out), "--no-check")
    assert done.returncode == 0 and f"{out}: " in done.stdout
    image = str(shipped_folder("assets") / "samples" / "bag-cut-out.png")
    by_run, by_file = (
        trained.json("predict", source, image)[0]["top"] for source in ("last", str(out))
    )
    assert by_run == by_file


def test_without_out_an_export_goes_into_the_folder_of_the_run(home: Home, trained: Home) -> None:
    shutil.copytree(trained.runs, home.runs)
    (run,) = (path for path in home.runs.iterdir() if path.is_dir())
    words = ("export", "last", "--to", "safetensors", "--no-check")
    result = home.json(*words)
    assert Path(result["file"]) == run / "exports" / f"{run.name[-4:]}.safetensors"
    assert result["parity"] is None and result["latency_ms"] == {}
    assert "--force" in home.error_line(*words, status=1)
    assert home.json(*words, "--force")["sha256"] == result["sha256"]
    assert "exported as safetensors" in home.run("runs", "show", "last").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "part"),
    [
        (["export", "last"], 2, "--to"),
        (["export", "last", "--to", "onx"], 2, '"onnx"'),
        (["export", "last", "--to", "onnx", "--opset", "99"], 2, "18 to 23"),
        (["export", "last", "--to", "onnx", "--out", "model.pth"], 2, "end in .onnx"),
        (["export", "last", "--to", "onnx", "--out", "/nowhere/m.onnx"], 1, "/nowhere"),
        (["export", "last", "--to", "pth", "--out", "/proc/m.pth"], 1, "cannot be written"),
        (["export", "nothing", "--to", "onnx"], 1, "nothing"),
        (["export", "none.pth", "--to", "onnx"], 2, "--out"),
        (["predict", "model.onnx", "x.png"], 2, "predict_onnx.py"),
        (["ensemble"], 1, "2 to 64"),
        (["ensemble", "last"], 1, "2 to 64"),
        (["ensemble", "last", "last"], 1, "named twice"),
        (["ensemble", "last", "nothing"], 1, "nothing"),
        (["ensemble", "last", "last", "--lr", "0.1"], 2, "already trained"),
        (["ensemble", "last", "last", "--tta", "flp"], 1, "named twice"),
        (["ensemble", "--seeds", "1"], 2, "2 to 64"),
        (["ensemble", "--seeds", "2", "one-conv", "two-conv"], 2, "one recipe"),
        (["ensemble", "--seeds", "2", "one-cnv"], 1, '"one-conv"'),
        (["ensemble", "--seeds", "2", "--epochs", "0"], 2, "epochs"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_prints_one_error_line(
    trained: Home, arguments: list[str], status: int, part: str
) -> None:
    assert part in trained.error_line(*arguments, status=status)


def test_an_ensemble_of_seeds_is_a_run(home: Home, tmp_path: Path) -> None:
    words = ("ensemble", "--seeds", "2", *QUICK, "--epochs", "1")
    result = home.json(*words)
    assert result["model"] == "2 × linear" and len(result["members"]) == 2
    seeds = {
        home.json("runs", "show", member["run"])["config"]["seed"] for member in result["members"]
    }
    assert seeds == {0, 1}
    listed = {run["run"]: run for run in home.json("runs", "list")}
    assert listed.keys() == {result["run"], *(member["run"] for member in result["members"])}
    for member in result["members"]:
        assert member["test_accuracy"] == listed[member["run"]]["test_accuracy"]
    for split, count in (("val", 833), ("test", 1000)):
        assert result[split]["count"] == count
        again = home.json("evaluate", result["run"], "--split", split)
        assert again["accuracy"] == result[split]["accuracy"]
    assert home.json("errors", result["run"])["of"] == 1000
    image = str(shipped_folder("assets") / "samples" / "trouser.webp")
    assert home.json("predict", result["run"], image)[0]["label"]
    shown = home.run("runs", "show", result["run"]).stdout
    other = result["members"][1]["run"]
    assert "seed" not in home.json("runs", "compare", result["run"], other)["differences"]
    assert "seed" not in home.json("runs", "show", result["run"])["config"]
    assert "2 × linear" in shown and f"member 1: {result['members'][0]['run']}" in shown
    line = home.error_line("train", "--resume", result["run"], status=1)
    assert "is an ensemble and cannot be resumed" in line
    table = home.run("ensemble", *(member["run"] for member in result["members"])).stdout
    assert table.splitlines()[0].split() == ["run", "model", "val", "test", "95", "%", "interval"]
    assert "ensemble" in table.splitlines()[3]


def test_ctrl_c_keeps_the_finished_members(home: Home) -> None:
    words = ("--seeds", "3", *QUICK, "--limit", "64", "--epochs", "300", "--patience", "0")
    process = home.start("ensemble", *words)

    def is_training_the_second() -> bool:
        runs = sorted(home.runs.glob("*/events.jsonl"))
        return len(runs) > 1 and any(event["is"] == "Progress" for event in events(runs[-1].parent))

    wait_for(is_training_the_second)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, err
    states = [run["state"] for run in home.json("runs", "list")]
    assert states[-1] == "finished" and "crashed" not in states and "running" not in states
    assert "no ensemble was created; finished members" in err and "Traceback" not in err
    assert out == ""
