"""What `fmnist-tui sweep` does with studies that there are: show, list, promote, kill, stop."""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from rich.table import Table
from rich.text import Text

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.console import duration, percent
from fmnist_tui.cli.support.progress import ProgressPart
from fmnist_tui.engine.session.session import Session
from fmnist_tui.render.sparkline import sparks
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import resolve
from fmnist_tui.runs.resolve_start import locate
from fmnist_tui.sweeps import snapshot, storage, study_locations
from fmnist_tui.sweeps.snapshot import Snapshot, SnapshotReader, TrialView
from fmnist_tui.sweeps.space import told as value_told
from fmnist_tui.sweeps.spec import NOT_PROMOTED
from fmnist_tui.sweeps.storage import StudyStorage
from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.text import safe_text

COLOURS = {
    snapshot.RUNNING: "green",
    snapshot.WAITING: "dim",
    snapshot.PRUNED: "yellow",
    snapshot.KILLED: "yellow",
    snapshot.FAILED: "red",
    snapshot.STOPPED: "dim",
    snapshot.LOST: "dim",
}
BAR, CURVE = 24, 8
# A running trial that has given no sign for so long may be dead.
QUIET_SECONDS = 60.0


def promote_arguments(part: argparse.ArgumentParser) -> None:
    part.add_argument("--trial", type=int, metavar="N", help="the trial's number [the best]")
    part.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="runs, with the seeds 0 to N − 1 [3]"
    )


def show(args: argparse.Namespace) -> int:
    reader = SnapshotReader()
    where, name = _found(reader, args)
    if args.json:
        console.document(document(reader, where, name))
    else:
        told(reader, where, name, whole=True)
    return 0


def show_run(folder: RunFolder, run: dict[str, Any], *, as_json: bool) -> int:
    """What `runs show` tells of a sweep's folder: the run as others, and its study."""
    reader, study, trouble = SnapshotReader(), None, ""
    where, name = study_locations.of_run(folder)
    try:
        study = document(reader, where, name)
    except UserError as error:
        trouble = str(error)
    if as_json:
        console.document({**run, "study": study, "trouble": trouble})
        return 0
    why = f": {run['reason']}" if run["reason"] else ""
    print(
        f"{folder.name}: {run['state']}{why}, {run['epochs']} of {run['epochs_total']} trials here"
    )
    if study is not None:
        told(reader, where, name, whole=True)
    else:
        console.note(trouble)
    return 0


def listed(args: argparse.Namespace) -> int:
    runs_dir, reader = options.runs_dir(args), SnapshotReader()
    if args.storage is not None:
        places = [storage.place(args.storage, runs_dir)]
        if places[0].is_missing:
            raise UserError(f"there is no storage {places[0].name()}")
    else:
        places = study_locations.places(runs_dir)
    lines, troubles = [], []
    for where in places:
        try:
            lines += reader.studies(where)
        except UserError as error:
            if len(places) == 1:
                raise
            troubles.append(str(error))
    for trouble in troubles:
        console.note(trouble)
    if args.json:
        console.document(
            [
                {
                    "study": line.name,
                    "storage": line.place.shown,
                    "done": line.done,
                    "running": line.running,
                    "trials": line.total,
                    "best": line.best,
                    "trouble": line.trouble,
                }
                for line in lines
            ]
        )
        return 0
    if not lines:
        console.note("there are no sweeps yet; `fmnist-tui sweep two-conv` begins one")
        return 0
    table = _table("study", ">done", ">running", ">best", "where")
    for line in lines:
        where_text = Text(line.trouble, "yellow") if line.trouble else Text(line.place.name())
        table.add_row(
            Text(safe_text(line.name)),
            f"{line.done}/{line.total}",
            str(line.running),
            percent(line.best),
            where_text,
        )
    console.console().print(table)
    return 0


def kill(args: argparse.Namespace) -> int:
    from fmnist_tui.sweeps import remote_control

    reader = SnapshotReader()
    where, name = _found(reader, args)
    said = remote_control.kill(reader, where, name, args.trial)
    if args.json:
        console.document({"study": name, "trial": args.trial, "said": said})
    else:
        console.note(said)
    return 0


def stop(args: argparse.Namespace) -> int:
    from fmnist_tui.sweeps import remote_control

    reader = SnapshotReader()
    where, name = _found(reader, args)
    running = remote_control.stop(reader, where, name)
    if args.json:
        console.document({"study": name, "running": running})
    else:
        console.note(f"{name}: workers are told to stop; {running} trials are going on")
    return 0


def promote(args: argparse.Namespace) -> int:
    """Train a trial's settings in full, once for each seed."""
    from fmnist_tui.cli.support.train_one import trained

    if args.seeds < 1:
        raise UsageError("--seeds must be 1 or more")
    reader = SnapshotReader()
    where, name = _found(reader, args)
    shown = reader.look(where, name)
    trial = _chosen(shown, args.trial)
    changes = options.given(args)
    if "seed" in changes:
        raise UsageError("--seed: the runs have the seeds 0 to N − 1; --seeds N says how many")
    other = next((key for key in NOT_PROMOTED if key in changes), None)
    if other is not None:
        raise UsageError(
            f"--{other.replace('_', '-')}: the trial's settings were found for another task;"
            " fmnist-tui train takes it"
        )
    config = shown.spec.promoted(trial.params, trial.number, **changes)
    runs_dir = options.runs_dir(args)
    if config.start is not None:
        config = config.changed(start=str(locate(config.start, runs_dir)))
    console.note(f"trial {trial.number} of {name}: {_params(trial)}; {args.seeds} seeds")
    runs: list[dict[str, Any]] = []
    with Session(runs_dir, options.data_dir(args)) as session:
        for seed in range(args.seeds):
            part = ProgressPart(seed, args.seeds)
            state, folder = trained(session, config.changed(seed=seed), part)
            val, test = state.verdict("val"), state.verdict("test")
            runs.append(
                {
                    "run": folder.name,
                    "path": str(folder.path),
                    "seed": seed,
                    "val_accuracy": val.accuracy if val else None,
                    "test_accuracy": test.accuracy if test else None,
                    "test_count": test.count if test else 0,
                    "seconds": state.train_seconds,
                }
            )
    summary = {
        "study": name,
        "trial": trial.number,
        "trial_value": trial.value,
        "params": dict(trial.params),
        "runs": runs,
        **{
            f"{split}_{key}": found
            for split in ("val", "test")
            for key, found in _mean(runs, split)
        },
    }
    if args.json:
        console.document(summary)
        return 0
    table = _table("run", ">seed", ">val", ">test", ">images", ">time")
    for run in runs:
        table.add_row(
            run["run"],
            str(run["seed"]),
            percent(run["val_accuracy"]),
            percent(run["test_accuracy"]),
            f"{run['test_count']:,}",
            duration(run["seconds"]),
        )
    console.console().print(table)
    console.console().print(
        f"test {_spread(summary, 'test')}, val {_spread(summary, 'val')}"
        f" (mean of {args.seeds} seeds); test was read once by each run",
        soft_wrap=True,
    )
    return 0


def document(reader: SnapshotReader, where: StudyStorage, name: str) -> dict[str, Any]:
    """A study as JSON documents tell it."""
    shown = reader.look(where, name)
    best = shown.best
    return {
        "study": name,
        "storage": where.shown,
        "about": shown.spec.about,
        "done": shown.done,
        "running": shown.running,
        "total": shown.total,
        "best": _as_document(best) if best else None,
        "importances": dict(reader.importances(where, name)),
        "trials": [_as_document(trial) for trial in shown.trials],
    }


def told(reader: SnapshotReader, where: StudyStorage, name: str, *, whole: bool = False) -> None:
    """Print a study: the best, what matters, and with `whole` every trial."""
    shown = reader.look(where, name)
    out = console.console()
    if whole:
        out.print(_trials(shown))
        out.print()
    best = shown.best
    going = f", {shown.running} going on" if shown.running else ""
    out.print(
        f"{safe_text(name)}: {shown.done} of {shown.total} trials done{going}, in {where.name()}",
        soft_wrap=True,
        markup=False,
    )
    if best is None:
        out.print("no trial is complete yet")
        return
    out.print(
        f"best: trial {best.number}, {percent(best.value)} on validation: {_params(best)}",
        soft_wrap=True,
        markup=False,
    )
    shares = reader.importances(where, name)
    if shares:
        table = _table("setting", ">share", "of the differences in value")
        for key, share in shares:
            table.add_row(key, f"{100 * share:.0f} %", "━" * max(1, round(BAR * share)))
        out.print(table)


def _trials(shown: Snapshot) -> Table:
    keys = [dimension.key for dimension in shown.spec.space]
    table = _table(">trial", "state", ">value", ">epochs", ">time", "epochs'", *keys, "")
    for trial in shown.trials:
        quiet = f"no sign for {duration(trial.quiet)}" if trial.quiet > QUIET_SECONDS else ""
        table.add_row(
            str(trial.number),
            Text(trial.state, COLOURS.get(trial.state, "")),
            percent(trial.value),
            str(trial.epochs or "–"),
            duration(trial.seconds),
            sparks([value for _, value in trial.curve], CURVE) if console.unicode() else "",
            *(value_told(trial.params[key]) if key in trial.params else "–" for key in keys),
            Text(safe_text(trial.why or quiet, 60)),
        )
    return table


def _found(reader: SnapshotReader, args: argparse.Namespace) -> tuple[StudyStorage, str]:
    """The study that is meant: by its name in the storage, or by the run of a sweep."""
    runs_dir, word = options.runs_dir(args), args.study
    given = storage.place(args.storage, runs_dir)
    missing = None
    if "/" not in word:
        places = [given] if args.storage is not None else study_locations.places(runs_dir)
        for where in places:
            try:
                reader.look(where, word)
            except UserError as error:
                missing = missing or error
            else:
                return where, word
    try:
        folder = resolve(runs_dir, word)
    except UserError:
        if missing is not None:
            raise missing from None
        raise
    where, name = study_locations.of_run(folder)
    return (given if given.shown == where.shown else where), name


def _chosen(shown: Snapshot, number: int | None) -> TrialView:
    if number is None:
        if shown.best is None:
            raise UserError(f"no trial of {safe_text(shown.name)} is complete yet")
        return shown.best
    trial = shown.trial(number)
    if trial is None:
        raise UserError(
            f"there is no trial {number} in {safe_text(shown.name)}: it has {len(shown.trials):,}"
        )
    if len(trial.params) < len(shown.spec.space):
        raise UserError(f"trial {number} of {safe_text(shown.name)} has no settings yet")
    return trial


def _as_document(trial: TrialView) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state,
        "value": trial.value,
        "params": dict(trial.params),
        "epochs": trial.epochs,
        "values": [value if value == value else None for _, value in trial.curve],
        "seconds": trial.seconds,
        "run": trial.run,
        "host": trial.host,
        "why": trial.why,
        "again": trial.again,
    }


def _mean(runs: list[dict[str, Any]], split: str) -> list[tuple[str, float | None]]:
    values = [run[f"{split}_accuracy"] for run in runs if run[f"{split}_accuracy"] is not None]
    mean = statistics.fmean(values) if values else None
    return [("mean", mean), ("sd", statistics.stdev(values) if len(values) > 1 else None)]


def _spread(summary: dict[str, Any], split: str) -> str:
    sd = summary[f"{split}_sd"]
    return percent(summary[f"{split}_mean"]) + (f" ± {100 * sd:.2f}" if sd is not None else "")


def _params(trial: TrialView) -> str:
    return ", ".join(f"{key} {value_told(value)}" for key, value in trial.params.items())


def _table(*headings: str) -> Table:
    """A table without a frame; a heading that begins with > stands on the right."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        right = heading.startswith(">")
        table.add_column(heading.lstrip(">"), justify="right" if right else "left")
    return table
