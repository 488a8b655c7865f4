"""Runs that differ in nothing but their seed, and the small curves of runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import stdev

import pytest

from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import EVENTS, Event, Progress
from fmnist_tui.runs.accuracy_curve import AccuracyCurve
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import list_runs
from fmnist_tui.runs.seed_groups import SeedGroup, group_seeds, read_settings_keys
from tests.unit.support import ended, epoch_ended, evaluated, started, write_events


def make_run(
    runs_dir: Path, seed: int, accuracy: float, end: str = "finished", **settings: object
) -> RunFolder:
    run = RunFolder.create(runs_dir, "two-conv", "fashion")
    config = RunConfig(seed=seed, **settings)  # type: ignore[arg-type]
    run.config.write_text(recipes.to_toml(config, {"host": run.name}))
    start = replace(started(), seed=seed, t=1000.0 + len(list_runs(runs_dir)))
    write_events(run.events, [start, epoch_ended(1), evaluated(accuracy), ended(end)])
    return run


def groups(runs_dir: Path) -> list[SeedGroup]:
    runs = list_runs(runs_dir)
    keys = {run.run.path: read_settings_keys(run.run) for run in runs}
    return list(group_seeds(runs, keys).values())


def test_finished_runs_that_differ_in_their_seed_are_a_group_with_mean_and_sd(
    tmp_path: Path,
) -> None:
    for seed, accuracy in ((1, 0.90), (2, 0.91), (3, 0.95)):
        make_run(tmp_path, seed, accuracy)
    make_run(tmp_path, 4, 0.5, "stopped")
    make_run(tmp_path, 5, 0.5, lr=0.5)
    (group,) = groups(tmp_path)
    assert [run.seed for run in group.counted] == [1, 2, 3]
    assert group.test is not None and group.test.count == 3
    assert group.test.mean == pytest.approx(0.92)
    assert group.test.sd == pytest.approx(stdev([0.90, 0.91, 0.95]))


def test_a_seed_that_was_trained_twice_counts_once_and_is_no_group_alone(tmp_path: Path) -> None:
    make_run(tmp_path, 1, 0.5)
    make_run(tmp_path, 1, 0.8)
    assert groups(tmp_path) == []
    make_run(tmp_path, 2, 0.6)
    (group,) = groups(tmp_path)
    assert len(group.members) == 3
    assert group.test is not None and (group.test.count, group.test.mean) == (2, 0.7)


def test_forks_of_different_runs_are_no_group(tmp_path: Path) -> None:
    for seed, parent in ((1, "a"), (2, "b")):
        run = make_run(tmp_path, seed, 0.9)
        with run.config.open("a") as file:
            file.write(f'forked_from = "{parent}"\n')
    assert groups(tmp_path) == []


def curve_of(folder: RunFolder) -> AccuracyCurve:
    curve = AccuracyCurve(folder)
    curve.read()
    return curve


def append(run: RunFolder, *events: Event) -> None:
    with run.events.open("a") as file:
        file.writelines(EVENTS.encode(event) + "\n" for event in events)


def test_a_small_curve_reads_on_and_forgets_what_a_resumed_run_trains_again(
    tmp_path: Path,
) -> None:
    run = RunFolder.create(tmp_path, "two-conv", "fashion")
    first, second, third = (epoch_ended(epoch) for epoch in (1, 2, 3))
    write_events(run.events, [started(), first, second])
    curve = curve_of(run)
    assert curve.values == (first.val_accuracy, second.val_accuracy)
    with run.events.open("a") as file:
        file.write('{"is":"EpochEnded","torn')
    curve.read()
    assert len(curve.values) == 2
    with run.events.open("a") as file:
        file.write("\n")
    append(run, replace(started(), step=first.step), replace(third, step=second.step))
    curve.read()
    assert curve.values == (first.val_accuracy, third.val_accuracy)


def test_the_small_curve_of_a_run_of_one_epoch_shows_its_steps(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "two-conv", "fashion")
    steps = [Progress(1.0, n, 1, n, n, 0.5, n / 2000, 0.1, 1.0, 1.0) for n in range(1000)]
    write_events(run.events, [started(), *steps, epoch_ended(1)])
    values = curve_of(run).values
    assert 100 < len(values) <= 256
    assert values == tuple(sorted(values)) and values[-1] > 0.45
