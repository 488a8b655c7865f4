"""`train` as several processes, which torchrun starts: one run, one record."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.support import Home, events
from tests.e2e.torchrun import ProcessTeam

# Batch normalisation, augmentation of single images and of pairs, averaged weights
RICH = [
    *("--dataset", "sketches", "--limit", "512", "--batch-size", "64", "--epochs", "2"),
    *("--model", "fast", "--width", "0.5", "--lr", "0.002", "--flip", "--crop", "2"),
    *("--erase", "0.3", "--mixup", "0.2", "--ema", "0.9", "--clip-norm", "1"),
    *("--device", "cpu", "--precision", "fp32", "--threads", "1"),
]


def test_two_processes_train_the_run_that_one_trains(home: Home) -> None:
    first, second = ProcessTeam(home, 2).run("train", *RICH)
    assert first[0] == second[0] == 0, (first, second)
    assert second[1:] == ("", "")
    shared = only_run(home)
    assert home.run("train", *RICH).returncode == 0
    (alone,) = (run for run in home.runs.iterdir() if run != shared)
    started, *_ = (event for event in events(shared) if event["is"] == "RunStarted")
    assert started["processes"] == 2
    assert "devices = 2" in (shared / "config.toml").read_text()
    assert figures(shared) == pytest.approx(figures(alone), rel=1e-4)


def only_run(home: Home) -> Path:
    (run,) = home.runs.iterdir()
    return run


def figures(run: Path) -> list[float]:
    """Training and validation losses of all epochs, and the losses of the final evaluation."""
    losses = []
    for event in events(run):
        if event["is"] == "EpochEnded":
            losses += [event["train_loss"], event["val_loss"]]
        if event["is"] == "Evaluated":
            losses.append(event["loss"])
    assert len(losses) == 6, losses
    return losses
