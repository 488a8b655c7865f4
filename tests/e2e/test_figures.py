"""Every figure that is published of a run is the one that its predictions and events give.

The run trains in bf16, so that its own validation figures differ from those of the evaluation; it
is killed once and resumed, so that its times are those of two sessions.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import figures
from tests.e2e.support import QUICK, Home, events, wait_for
from tests.e2e.terminal import Terminal


def close(value: object) -> Any:
    return pytest.approx(value, rel=0, abs=1e-6)


@dataclass(frozen=True)
class Run:
    """A finished run: `train` is what its command printed, `crashed` the list of runs before, as
    JSON and as text."""

    home: Home
    path: Path
    train: dict[str, Any]
    crashed: dict[str, Any]
    crashed_text: str
    crashed_figures: dict[str, Any]

    @property
    def figures(self) -> dict[str, Any]:
        return figures.compute_figures(self.path)

    def scores(self, split: str) -> dict[str, Any]:
        scores: dict[str, Any] = self.figures["splits"][split]
        return scores


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    home = Home(tmp_path_factory.mktemp("figures"))
    settings = ["--precision", "bf16", "--checkpoint-seconds", "0.05", "--epochs", "100000"]
    process = home.start("train", *QUICK, *settings)
    path = home.wait_for_steps(process, 40)
    wait_for(lambda: any(is_late_checkpoint(event) for event in events(path)))
    process.kill()
    process.wait()
    (crashed,) = home.json("runs", "list")
    listed = home.run("runs", "list")
    crashed_figures = figures.compute_figures(path)
    epochs = crashed["epochs"] + 3
    train = home.json("train", "--resume", "last", "--epochs", str(epochs))
    yield Run(home, path, train, crashed, listed.stdout + listed.stderr, crashed_figures)


def is_late_checkpoint(event: dict[str, Any]) -> bool:
    """A checkpoint to resume from, after the first epochs."""
    is_last = (event["is"], event.get("kind")) == ("CheckpointSaved", "last")
    return is_last and int(event["step"]) > 40


def assert_scores(document: dict[str, Any], scores: dict[str, Any]) -> None:
    for key in ("count", "loss", "accuracy", "macro_f1", "ece"):
        assert document[key] == close(scores[key]), key
    assert document["confusion"] == scores["confusion"]
    for key in ("accuracy_ci95", "macro_precision", "macro_recall"):
        assert document[key] == close(scores[key]), key
    for key in ("precision", "recall", "f1"):
        values = [score[key] for score in document["per_class"]]
        assert values == close(scores[key]), key


def assert_seconds(document: dict[str, Any], computed: dict[str, Any]) -> None:
    for key in ("seconds", "train_seconds"):
        assert document[key] == close(computed[key]), key
    # The events are written a little after what they tell has happened.
    assert document["warm_seconds"] == pytest.approx(computed["warm_seconds"], abs=0.2)


def test_the_documents_of_train_and_runs_show_and_list(run: Run) -> None:
    shown = run.home.json("runs", "show", "last")
    (listed,) = run.home.json("runs", "list")
    for document in (run.train, shown):
        for split in ("val", "test"):
            assert_scores(document[split], run.scores(split))
        best = [e for e in events(run.path) if e["is"] == "CheckpointSaved" and e["kind"] == "best"]
        assert document["test"]["checkpoint"]["sha256"] == best[-1]["sha256"]
    for document in (run.train, shown, listed):
        assert_seconds(document, run.figures)
    for document in (shown, listed):
        assert document["val_accuracy"] == close(run.scores("val")["accuracy"])
        assert document["test_accuracy"] == close(run.scores("test")["accuracy"])
        assert document["val_during_training"] is False
    assert shown["fit"]["measured"] == "during training, bf16"


def test_until_it_is_evaluated_the_figure_of_the_training_is_marked(run: Run) -> None:
    accuracies = [e["val_accuracy"] for e in events(run.path) if e["is"] == "EpochEnded"]
    assert run.crashed["state"] == "crashed" and run.crashed["val_during_training"] is True
    best = max(accuracies[: run.crashed["epochs"]])
    assert run.crashed["val_accuracy"] == close(best)
    assert f"~{percent(best)}" in run.crashed_text and "~ measured" in run.crashed_text
    assert_seconds(run.crashed, run.crashed_figures)


def test_evaluate_names_its_checkpoint(run: Run) -> None:
    for split in ("val", "test"):
        document = run.home.json("evaluate", "last", "--split", split)
        assert_scores(document, run.scores(split))
        assert document["confident"] == run.scores(split)["confident"]
        saved = {e["sha256"]: e for e in events(run.path) if e["is"] == "CheckpointSaved"}
        checkpoint = document["checkpoint"]
        best = saved[checkpoint["sha256"]]
        assert checkpoint["name"] == "best"
        assert {key: checkpoint[key] for key in ("file", "step", "epoch")} == {
            key: best[key] for key in ("file", "step", "epoch")
        }
    # A reading of the same checkpoint changes no figure.
    assert_scores(run.home.json("runs", "show", "last")["test"], run.scores("test"))


def test_the_figures_of_another_checkpoint_stand_beside_those_of_the_run(run: Run) -> None:
    document = run.home.json("evaluate", "last", "--checkpoint", "last", "--split", "test")
    assert_scores(document, run.scores("test-last"))
    shown = run.home.json("runs", "show", "last")
    assert_scores(shown["test"], run.scores("test"))
    (other,) = shown["other_evaluations"]
    assert_scores(other, run.scores("test-last"))
    assert other["checkpoint"]["name"] == "last"


def test_the_text_of_runs_show_and_list(run: Run) -> None:
    shown = run.home.run("runs", "show", "last").stdout
    for split in ("val", "test"):
        scores = run.scores(split)
        low, high = scores["accuracy_ci95"]
        words = (
            f"{split} best {scores['count']:,} {percent(scores['accuracy'])} {100 * low:.2f} –"
            f" {percent(high)} {scores['loss']:.4f} {percent(scores['macro_f1'])}"
            f" {percent(scores['ece'])}"
        )
        assert words in squeeze(shown)
    warm = clock(run.train["warm_seconds"])
    assert f"{warm} warm ({clock(run.figures['train_seconds'])} in steps" in shown
    assert f"{clock(run.figures['seconds'])} in all" in shown
    assert_tables(shown, run.scores("test"))
    listed = squeeze(run.home.run("runs", "list").stdout)
    val, test = (percent(run.scores(split)["accuracy"]) for split in ("val", "test"))
    assert f"{val} {test} {warm}" in listed


def assert_tables(text: str, scores: dict[str, Any]) -> None:
    """The confusion matrix and the scores of the classes are in the text."""
    squeezed = squeeze(text)
    for row in scores["confusion"]:
        assert " ".join(str(count) if count else "·" for count in row) in squeezed
    for number, row in enumerate(scores["confusion"]):
        values = (scores[key][number] for key in ("precision", "recall", "f1"))
        assert " ".join(percent(value, 1) for value in values) + f" {sum(row)}" in squeezed


def test_the_report(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    document = run.home.json("report", "last", "--out", str(page))
    scores, val = run.scores("test"), run.scores("val")
    assert document["accuracy"] == close(scores["accuracy"])
    assert document["accuracy_ci95"] == close(scores["accuracy_ci95"])
    text = squeeze(html.unescape(re.sub(r"<[^>]*>", " ", page.read_text())))
    for name, part in (("test", scores), ("val", val)):
        low, high = part["accuracy_ci95"]
        interval = f"95 %: {percent(low)} – {percent(high)}, {part['count']:,} images"
        pattern = rf"accuracy on {name}[^%]* {percent(part['accuracy'])} {interval}"
        assert re.search(pattern, text), pattern
    assert f"macro F1 {percent(scores['macro_f1'])} loss {scores['loss']:.4f}".rstrip("0") in text
    assert f"calibration error {percent(scores['ece'])}" in text
    assert f"errors {scores['wrong']:,} checkpoint best" in text
    assert f"warm time {units(run.train['warm_seconds'])}" in text
    assert f"in training steps {units(run.figures['train_seconds'])}" in text
    assert f"wall time {units(run.figures['seconds'])} (2 sessions)" in text
    assert "Measured during training, bf16." in text
    for number, row in enumerate(scores["confusion"]):
        values = (scores[key][number] for key in ("precision", "recall", "f1"))
        assert " ".join(percent(value, 1) for value in values) + f" {sum(row)}" in text


def test_the_screens(run: Run) -> None:
    scores, val = run.scores("test"), run.scores("val")
    with Terminal("attach", "last", env=run.home.environment, size=(200, 60)) as terminal:
        terminal.until(rf"val {percent(val['accuracy'])} of {val['count']:,} ")
        terminal.press("3")
        terminal.until(r"accuracy \d+\.\d\d %")
        if f"val ({val['count']:,})" in terminal.text():
            terminal.press("p")
        text = terminal.until(rf"(?s)test \({scores['count']:,}\).*confidence ≥ 90 %").string
        facts = (
            f"accuracy {percent(scores['accuracy'])}",
            f"macro F1 {percent(scores['macro_f1'])}",
            f"ECE {percent(scores['ece'])}",
            f"loss {scores['loss']:.4f}",
            f"confidence ≥ 90 %: {percent(scores['confident'] / scores['count'], 0)}",
            "measured during training, bf16",
        )
        for fact in facts:
            assert fact in text
        terminal.press("6")
        row = f"{percent(val['accuracy'])} +best +{percent(scores['accuracy'])} +"
        terminal.until(row + clock(run.train["warm_seconds"]))
        terminal.until(f"{clock(run.train['warm_seconds'])} warm")
        terminal.until(f"in all +{clock(run.figures['seconds'])}")


def squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def units(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 59.95 else ""
