"""The other commands as processes, and their errors for bad input."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.support import Home


def _save_image(path: Path) -> Path:
    pixels = np.full((60, 60), 255, np.uint8)
    pixels[10:50, 20:40] = 40
    Image.fromarray(pixels).save(path)
    return path


def test_evaluate_agrees_with_the_scores_recorded_in_training(trained: Home) -> None:
    shown = trained.json("runs", "show", "last")
    result = trained.json("evaluate", "last")
    assert result["accuracy"] == shown["test_accuracy"]
    assert result["count"] == 1000
    assert sum(map(sum, result["confusion"])) == 1000
    low, high = result["accuracy_ci95"]
    assert low < result["accuracy"] < high
    assert {score["name"] for score in result["per_class"]} >= {"Coat", "Bag"}
    assert 0 <= result["ece"] <= 1
    assert trained.json("evaluate", "last", "--split", "val")["count"] == 833


def test_errors_lists_the_most_confident_errors_first(trained: Home) -> None:
    result = trained.json("errors", "last", "--limit", "5")
    assert result["of"] == 1000 and result["count"] > 5 == len(result["errors"])
    confidences = [miss["probability"] for miss in result["errors"]]
    assert confidences == sorted(confidences, reverse=True)
    pair = trained.json("errors", "last", "--true", "shirt", "--pred", "Coat")
    assert {(miss["true"], miss["predicted"]) for miss in pair["errors"]} <= {("Shirt", "Coat")}


def test_predict_accepts_files_and_folders_and_counts_unreadable_files(
    trained: Home, tmp_path: Path
) -> None:
    good = _save_image(tmp_path / "one.png")
    _save_image(tmp_path / "two.jpg")
    bad = tmp_path / "three.png"
    bad.write_bytes(b"not an image")
    done = trained.run("predict", "last", str(tmp_path), "--json")
    assert done.returncode == 1
    assert done.stderr == "fmnist-tui: 1 of 3 images could not be classified\n"
    results = json.loads(done.stdout)
    assert [Path(item["file"]).name for item in results] == ["one.png", "three.png", "two.jpg"]
    assert results[0]["label"] == results[0]["top"][0][0]
    assert len(results[0]["top"]) == 5
    assert "three.png" in results[1]["error"] and results[1]["label"] is None
    done = trained.run("predict", "last", str(bad), str(good), "--csv")
    assert done.returncode == 1 and "1 of 2 images" in done.stderr
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["file", "label", "probability", "error"]
    assert rows[2][1] == results[0]["label"] and "three.png" in rows[1][3]
    assert "three.png" in trained.error_line("predict", "last", str(bad), status=1)
    assert trained.run("predict", "last", str(good)).returncode == 0


def test_a_checkpoint_file_predicts_like_its_run(trained: Home, tmp_path: Path) -> None:
    image = _save_image(tmp_path / "one.png")
    run = Path(trained.json("runs", "show", "last")["path"])
    inside = max((run / "checkpoints").glob("best-*.pt"))
    copy = tmp_path / "model.pt"
    copy.write_bytes(inside.read_bytes())
    by_run, by_file, outside = (
        trained.json("predict", source, str(image))[0]["top"]
        for source in ("last", str(inside), str(copy))
    )
    assert by_run == by_file == outside


def test_hostile_model_files_are_refused_without_running_their_code(
    trained: Home, tmp_path: Path
) -> None:
    image = str(_save_image(tmp_path / "one.png"))
    proof = tmp_path / "proof"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {proof}",)

    pickled = tmp_path / "trap.pth"
    pickled.write_bytes(pickle.dumps({"weights": Trap()}))
    truncated = tmp_path / "short.safetensors"
    truncated.write_bytes(b"\xff\xff\xff\xff\x00\x00\x00\x00{}")
    assert "refused" in trained.error_line("predict", str(pickled), image, status=1)
    assert "damaged" in trained.error_line("predict", str(truncated), image, status=1)
    assert "no such model file" in trained.error_line("predict", "none.pt", image, status=1)
    assert not proof.exists()


def test_weights_of_another_network_are_refused_by_evaluate(
    trained: Home, home: Home, tmp_path: Path
) -> None:
    import torch

    other_model = tmp_path / "other.pt"
    torch.save({"layer.weight": torch.zeros(3, 3)}, other_model)
    error = trained.error_line("evaluate", "last", "--checkpoint", str(other_model), status=1)
    assert "does not fit the model linear" in error


def test_data_list_get_and_show_work_without_a_network(trained: Home) -> None:
    listed = {item["name"]: item for item in trained.json("data", "list")}
    assert listed["sketches"]["present"] and listed["sketches"]["synthetic"]
    assert not listed["mnist"]["present"]
    assert trained.json("data", "get", "sketches")["counts"]["test"] == 1000
    shown = trained.json("data", "show", "sketches", "--class", "Bag", "--count", "2")
    assert [image["label"] for image in shown["images"]] == ["Bag", "Bag"]
    assert np.array(shown["images"][0]["pixels"]).shape == (28, 28, 1)
    text = trained.run("data", "show", "sketches", "--count", "3").stdout
    assert "Ankle boot" in text and len(text.splitlines()) > 20


def test_a_failed_download_reports_every_source_tried(home: Home) -> None:
    done = home.run("data", "get", "mnist")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("fmnist-tui: ")
    for part in ("data folder", "mirrors", "t10k-images-idx3-ubyte", "sketches"):
        assert part in last


@pytest.mark.parametrize(
    ("arguments", "status", "part"),
    [
        (["train", "tow-conv"], 1, '"two-conv"'),
        (["train", "--model", "rsenet"], 2, '"resnet"'),
        (["train", "--optimizer", "adma"], 2, '"adam"'),
        (["train", "--dataset", "fasion"], 2, '"fashion"'),
        (["train", "--epochs", "few"], 2, "a whole number"),
        (["train", "--epoch", "3"], 2, '"--epochs"'),
        (["train", "--dataset", "mnist", "--flip"], 2, "must not be mirrored"),
        (["train", "--dataset", "folder:/nowhere"], 1, "/nowhere"),
        (["train", "--dataset", "idx:/nowhere"], 1, "/nowhere"),
        (["train", "--config", "none.toml"], 1, "none.toml"),
        (["train", "one-conv", "--resume", "last"], 2, "one of RECIPE"),
        (["train", "--resume", "last", "--batch-size", "3"], 2, "cannot change"),
        (["train", "--device", "cuda:77", "--dataset", "sketches"], 1, "cuda:77"),
        (["runs", "show", "nothing"], 1, "nothing"),
        (["runs", "stop", "last"], 1, "is not running"),
        (["runs", "set", "last", "epochs=3"], 2, "lr=RATE"),
        (["runs", "delete", "last"], 2, "--yes"),
        (["runs", "compare", "last"], 2, "two or more runs"),
        (["runs", "lst"], 2, '"list"'),
        (["evaluate", "last", "--checkpoint", "gone.pt"], 1, "gone.pt"),
        (["errors", "last", "--true", "Boot"], 2, "Ankle boot"),
        (["errors", "last", "--split", "train"], 1, "no predictions"),
        (["predict", "last", "/nowhere.png"], 1, "/nowhere.png"),
        (["predict", "last", "x.png", "--watch"], 2, "folder"),
        (["recipes", "show", "bst"], 1, "unknown recipe"),
        (["data", "show", "sketchs"], 2, '"sketches"'),
        (["frobnicate"], 2, "unknown command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_prints_one_error_line(
    trained: Home, arguments: list[str], status: int, part: str
) -> None:
    assert part in trained.error_line(*arguments, status=status)


def test_runs_are_archived_and_deleted(home: Home) -> None:
    from tests.e2e.support import QUICK

    home.run("train", *QUICK, "--epochs", "1")
    name = home.json("runs", "list")[0]["run"]
    moved = Path(home.json("runs", "archive", "last")["path"])
    assert moved.parent.name == "archive" and moved.is_dir()
    assert home.json("runs", "list") == []
    back = Path(home.json("runs", "unarchive", name.rpartition("_")[2])["path"])
    assert back.name == name and home.json("runs", "list")[0]["run"] == name
    assert "no archived runs" in home.error_line("runs", "unarchive", name, status=1)
    home.run("runs", "archive", name)
    home.run("train", *QUICK, "--epochs", "1")
    assert home.json("runs", "delete", "last", "--yes")["deleted"]
    assert home.json("runs", "list") == [] and name != ""
    assert len(list(home.runs.iterdir())) == 1, "the archive stays"


def test_recipes_are_listed_and_shown(trained: Home) -> None:
    names = {item["name"] for item in trained.json("recipes", "list")}
    assert {"one-conv", "two-conv", "custom-cnn", "split-50k-10k"} <= names
    shown = trained.json("recipes", "show", "two-conv")
    assert shown["run"]["model"] == "two-conv" and shown["claims"][0]["at_least"] == 0.91


def test_recipes_check_reports_claims_that_could_not_be_checked(home: Home) -> None:
    done = home.run("recipes", "check", "two-conv", "--json")
    (result,) = json.loads(done.stdout)
    assert result["passed"] is None and "fashion" in result["why"]


def test_doctor_finds_the_folders_and_versions(trained: Home) -> None:
    done = trained.run("doctor", "--json")
    checks = {item["name"]: item for item in json.loads(done.stdout)}
    assert checks["runs folder"]["found"].startswith(str(trained.runs))
    assert checks["torch"]["ok"] and checks["CPU"]["ok"]
    assert done.returncode == (0 if all(item["ok"] for item in checks.values()) else 1)


def test_bench_prints_both_sides_and_the_machine(home: Home) -> None:
    result = home.json(
        *("bench", "--dataset", "sketches", "--images", "256", "--turns", "1", "--batch", "64"),
        *("--model", "one-conv", "--part", "throughput"),
    )
    assert result["machine"]["cores"] >= 1 and result["machine"]["torch"]
    (row,) = result["throughput"]
    assert set(row) == {
        *("model", "batch", "images", "dataset", "precision", "ratio"),
        *("plain", "ours", "ours_fp32", "plain_runs", "ours_runs"),
    }
    assert row["model"] == "one-conv" and row["batch"] == 64
    assert row["ratio"] == pytest.approx(row["ours"] / row["plain"])
    assert 100 < result["memory_mb"] < 1500
