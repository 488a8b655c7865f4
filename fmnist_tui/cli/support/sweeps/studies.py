"""Studies of sweeps: finding one, printing one, and training its best trial in full."""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from rich.text import Text

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.progress import ProgressPart
from fmnist_tui.cli.support.run_plan import run_training
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.render.sparkline import draw_sparkline
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import resolve
from fmnist_tui.runs.resolve_start import resolve_start
from fmnist_tui.sweeps import storage, study_locations, trial_states
from fmnist_tui.sweeps.snapshot import (
    MIN_IMPORTANCE_TRIALS,
    Snapshot,
    SnapshotReader,
    TrialView,
    too_few_trials,
)
from fmnist_tui.sweeps.space import format_value
from fmnist_tui.sweeps.spec import NOT_PROMOTED
from fmnist_tui.sweeps.storage import StorageLocation
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.formatting import format_duration, format_percent
from fmnist_tui.util.text import safe_text

STATE_STYLES = {
    trial_states.RUNNING: "green",
    trial_states.FAILED: "red",
    **dict.fromkeys((trial_states.PRUNED, trial_states.KILLED), "yellow"),
    **dict.fromkeys((trial_states.WAITING, trial_states.STOPPED, trial_states.LOST), "dim"),
}
BAR_WIDTH, CURVE_WIDTH = 24, 8


def find_study(reader: SnapshotReader, args: argparse.Namespace) -> tuple[StorageLocation, str]:
    """The storage and name of STUDY: a study's name, or a run of its sweep."""
    runs_dir, text = options.runs_dir(args), args.study
    default = storage.parse_location(args.storage, runs_dir)
    if default.is_missing:
        options.require_runs_dir(args)
    not_found = None
    if "/" not in text:
        locations = [default]
        if args.storage is None:
            locations = study_locations.list_locations(runs_dir)
        for location in locations:
            try:
                reader.read(location, text)
                return location, text
            except UserError as error:
                not_found = not_found or error
    try:
        folder = resolve(runs_dir, text)
    except UserError as error:
        raise not_found or error from None
    location, name = study_locations.study_of_run(folder)
    # The URL in a record has no password; that of --storage or the environment may.
    return (default if default.public_url == location.public_url else location), name


def to_json(reader: SnapshotReader, location: StorageLocation, name: str) -> dict[str, Any]:
    """A study as a JSON document."""
    study = reader.read(location, name)
    return {
        "study": name,
        "storage": location.public_url,
        "about": study.spec.about,
        **console.pick(study, "done", "running", "total"),
        "best": _trial_to_json(study.best) if study.best else None,
        "importances": dict(reader.importances(location, name)),
        "trials": [_trial_to_json(trial) for trial in study.trials],
    }


def _trial_to_json(trial: TrialView) -> dict[str, Any]:
    return {
        **console.pick(
            trial, "number", "state", "value", "epochs", "seconds", "run", "host", "pid"
        ),
        "params": dict(trial.params),
        "values": [value for _, value in trial.curve],
        "why": trial.why,
        "again": trial.retry_of,
    }


def print_study(
    reader: SnapshotReader, location: StorageLocation, name: str, *, with_trials: bool = False
) -> None:
    """Print a study's progress, its best trial and the importance of its settings."""
    study = reader.read(location, name)
    if with_trials:
        _print_trials(study)
        console.line()
    running = f", {study.running} running" if study.running else ""
    done = f"{study.done} of {study.total} trials done{running}"
    console.line(f"{name}: {done}, in {location.name}")
    best = study.best
    if best is None:
        console.line(study.why_no_best)
        return
    value = format_percent(best.value)
    console.line(f"best: trial {best.number}, {value} on validation: {_format_params(best)}")
    importances = reader.importances(location, name)
    if study.complete < MIN_IMPORTANCE_TRIALS:
        console.line(f"importance of the settings: {too_few_trials(study)}")
    elif importances:
        console.print_table(
            ("setting", ">importance", ""),
            (
                (key, format_percent(share, 0), "━" * max(1, round(BAR_WIDTH * share)))
                for key, share in importances
            ),
        )


def print_sweep_run(folder: RunFolder, run: dict[str, Any], *, as_json: bool) -> None:
    """What `runs show` prints of a sweep: `run`, the document of its run, and its study."""
    reader, study, trouble = SnapshotReader(), None, ""
    location, name = study_locations.study_of_run(folder)
    try:
        study = to_json(reader, location, name)
    except UserError as error:
        trouble = str(error)
    if as_json:
        console.print_json({**run, "study": study, "trouble": trouble})
        return
    reason = f": {run['reason']}" if run["reason"] else ""
    trials = f"{run['epochs']} of {run['epochs_total']} trials by this run"
    console.line(f"{folder.name}: {run['state']}{reason}, {trials}")
    if study is not None:
        print_study(reader, location, name, with_trials=True)
    else:
        console.note(trouble)


def _print_trials(study: Snapshot) -> None:
    keys = [dimension.key for dimension in study.spec.space]
    console.print_table(
        (">trial", "state", ">value", ">epochs", ">time", "curve", *keys, ""),
        (
            (
                trial.number,
                Text(safe_text(trial.state), STATE_STYLES.get(trial.state, "")),
                format_percent(trial.value),
                trial.epochs or "–",
                format_duration(trial.seconds),
                draw_sparkline([value for _, value in trial.curve], CURVE_WIDTH)
                if console.has_unicode()
                else "",
                *(format_value(trial.params[key]) if key in trial.params else "–" for key in keys),
                safe_text(_format_note(trial), 60),
            )
            for trial in study.trials
        ),
    )


def _format_note(trial: TrialView) -> str:
    if trial.why or not trial.is_silent:
        return trial.why
    return f"no heartbeat for {format_duration(trial.silent_seconds)}"


def _format_params(trial: TrialView) -> str:
    return ", ".join(f"{key} {format_value(value)}" for key, value in trial.params.items())


def promote(args: argparse.Namespace) -> None:
    """Train a trial's settings in full, once for each seed."""
    if args.seeds < 1:
        raise UsageError("--seeds must be 1 or more")
    reader = SnapshotReader()
    location, name = find_study(reader, args)
    study = reader.read(location, name)
    trial = _find_trial(study, args.trial)
    changes = options.parse_settings(args)
    if "seed" in changes:
        raise UsageError("--seed: promoted runs use the seeds 0 to N − 1; give --seeds N")
    options.refuse_settings(
        (key for key in NOT_PROMOTED if key in changes),
        "would make it a different task from the trial's; use fmnist-tui train",
    )
    config = study.spec.promoted_config(trial.params, trial.number, **changes)
    if config.start is not None:
        config = config.changed(start=str(resolve_start(config.start, options.runs_dir(args))))
    console.note(f"trial {trial.number} of {name}: {_format_params(trial)}; {args.seeds} seeds")
    runs: list[dict[str, Any]] = []
    with options.open_session(args) as session:
        for seed in range(args.seeds):
            part = ProgressPart(seed, args.seeds)
            step = run_training(session.train(config.changed(seed=seed)), part=part)
            runs.append(_promoted_to_json(step.require_finished(), step.state, seed))
    document = {
        "study": name,
        "trial": trial.number,
        "trial_value": trial.value,
        "params": dict(trial.params),
        "runs": runs,
        **_summarise_split(runs, "val"),
        **_summarise_split(runs, "test"),
    }
    if args.json:
        console.print_json(document)
    else:
        _print_promoted(document)


def _find_trial(study: Snapshot, number: int | None) -> TrialView:
    if number is None:
        if study.best is None:
            raise UserError(f"no trial of {safe_text(study.name)} is complete yet")
        return study.best
    trial = study.trial(number)
    if trial is None:
        raise UserError(
            f"there is no trial {number} in {safe_text(study.name)}: it has {len(study.trials):,}"
        )
    if len(trial.params) < len(study.spec.space):
        raise UserError(f"trial {number} of {safe_text(study.name)} has no settings yet")
    return trial


def _promoted_to_json(folder: RunFolder, state: RunState, seed: int) -> dict[str, Any]:
    val, test = state.evaluation("val"), state.evaluation("test")
    return {
        "run": folder.name,
        "path": str(folder.path),
        "seed": seed,
        "val_accuracy": val.accuracy if val else None,
        "test_accuracy": test.accuracy if test else None,
        "test_count": test.count if test else 0,
        **console.pick(state, "seconds", "warm_seconds", "train_seconds"),
    }


def _summarise_split(runs: list[dict[str, Any]], split: str) -> dict[str, float | None]:
    values = [run[f"{split}_accuracy"] for run in runs if run[f"{split}_accuracy"] is not None]
    return {
        f"{split}_mean": statistics.fmean(values) if values else None,
        f"{split}_sd": statistics.stdev(values) if len(values) > 1 else None,
    }


def _print_promoted(document: dict[str, Any]) -> None:
    console.print_table(
        ("run", ">seed", ">val", ">test", ">images", ">warm"),
        (
            (
                run["run"],
                run["seed"],
                format_percent(run["val_accuracy"]),
                format_percent(run["test_accuracy"]),
                f"{run['test_count']:,}",
                format_duration(run["warm_seconds"]),
            )
            for run in document["runs"]
        ),
    )
    test, val = (
        format_percent(document[f"{split}_mean"])
        + ("" if (sd := document[f"{split}_sd"]) is None else f" ± {100 * sd:.2f}")
        for split in ("test", "val")
    )
    seeds = f"(mean of {len(document['runs'])} seeds)"
    console.line(f"test {test}, val {val} {seeds}; each run read the test split once")
