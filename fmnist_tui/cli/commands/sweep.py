"""`fmnist-tui sweep`: search for good settings, alone or with other workers."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from rich.text import Text

from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.sweeps import studies
from fmnist_tui.cli.support.sweeps.result import SweepResult
from fmnist_tui.cli.support.sweeps.shares import shared_folder
from fmnist_tui.config import recipes, run_config
from fmnist_tui.protocol.events import FAILED, FINISHED
from fmnist_tui.runs.resolve_start import resolve_start
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps import storage, study_locations, trial_states
from fmnist_tui.sweeps.snapshot import SnapshotReader
from fmnist_tui.sweeps.spec import SweepSpec
from fmnist_tui.sweeps.storage import StorageLocation
from fmnist_tui.util.errors import UsageError, UserError, did_you_mean, format_error
from fmnist_tui.util.formatting import format_count, format_percent
from fmnist_tui.util.text import safe_text

# `sweep FILE` is `sweep start FILE` (see `cli.main`).
DEFAULT_ACTION = "start"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for name, part in options.add_actions(parser, ACTIONS, "ACTION|CONFIG"):
        if name == "start":
            _add_start_arguments(part)
        elif name != "list":
            part.add_argument("study", metavar="STUDY", help="name of the study, or a sweep's run")
        if name == "kill":
            part.add_argument("trial", metavar="TRIAL", type=int, help="the trial's number")
        if name == "promote":
            part.add_argument("--trial", type=int, metavar="N", help="trial number [the best]")
            options.add_int(part, "--seeds", 3, "runs, with seeds 0 to N − 1")
        default = f"{storage.VARIABLE}, or {storage.DEFAULT_FILE} in the runs folder"
        about = f"database URL, or journal:FILE [{default}]"
        part.add_argument("--storage", metavar="URL", help=about)
        trains = name in ("start", "promote")
        options.add_common(part, data=trains)
        if trains:
            options.add_settings(part, of_default_recipe=False)


def _add_start_arguments(part: argparse.ArgumentParser) -> None:
    part.add_argument(
        "config",
        nargs="?",
        metavar="CONFIG",
        help=f"a sweep file, or a built-in one: {', '.join(specs.shipped_names())};"
        " not needed with the --name of an existing study",
    )
    part.add_argument("--name", help="name of the study [from the file]")
    about = "run N trials here [as many as the study still needs]"
    part.add_argument("--trials", type=int, metavar="N", help=about)
    about = "processes that share the trials out, each with a GPU or a share of the CPUs of its own"
    options.add_int(part, "--workers", 1, about)


def run(args: argparse.Namespace) -> int | None:
    return ACTIONS[args.action][1](args)


def _start(args: argparse.Namespace) -> int:
    """Work on a study until it has its trials, or N have been run here."""
    if args.workers < 1:
        raise UsageError("--workers must be 1 or more")
    if args.trials is not None and args.trials < 1:
        raise UsageError("--trials must be 1 or more")
    if args.name is not None and not specs.is_valid_name(args.name):
        raise UsageError(f"--name must have {specs.NAME_RULE}")
    if args.config is None and args.name is None:
        raise UsageError(f"give a sweep file, or one of {', '.join(specs.shipped_names())}")
    runs_dir = options.runs_dir(args)
    # Read before the storage is opened, so that errors in the file come first.
    spec = _load_spec(args) if args.config is not None else None
    location = storage.parse_location(args.storage, runs_dir)
    if args.storage is None:
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot create a sweep in {runs_dir}: {format_error(error)};"
                " choose another folder with --runs DIR"
            ) from error
    connection = storage.connect(location)
    spec = spec or _join_spec(location, args)
    if spec.base.start is not None:
        # Resolved now: later, `last` would be the run of this sweep.
        start = str(resolve_start(spec.base.start, runs_dir))
        spec = replace(spec, base=spec.base.changed(start=start))

    from fmnist_tui.sweeps.study import StudyLedger

    ledger = StudyLedger.join(location, connection, spec)
    group = shared_folder()
    if group is not None:
        from fmnist_tui.cli.support.sweeps import worker

        result = worker.work(args, ledger, group)
        if result.reason == FAILED:
            raise UserError(result.message)
        console.print_json(result.to_json())
        return result.status
    for number in ledger.recover():
        console.note(trial_states.LOST_WORKER.format(number))
    missing = ledger.count_missing(args.trials)
    if args.workers > missing > 0:
        more, enough = format_count(missing, "trial"), format_count(missing, "worker")
        console.note(f"{args.workers} workers for {more}: {enough} will do")
    count = min(args.workers, missing)
    if count == 0:
        result = SweepResult(FINISHED, "the study has all its trials; --trials N runs N more")
    elif count == 1:
        from fmnist_tui.cli.support.sweeps import worker

        result = worker.work(args, ledger)
    else:
        from fmnist_tui.cli.support.sweeps import workers

        result = workers.run_workers(args, ledger, count)
    if result.reason == FAILED:
        raise UserError(f"the sweep ended: {result.message}")
    _print_result(args, location, spec.name, result)
    return result.status


def _print_result(
    args: argparse.Namespace, location: StorageLocation, name: str, result: SweepResult
) -> None:
    if result.message:
        console.note(f"the sweep ended: {result.message}")
    reader = SnapshotReader()
    if args.json:
        console.print_json({**studies.to_json(reader, location, name), **result.to_json()})
    else:
        studies.print_study(reader, location, name)


def _load_spec(args: argparse.Namespace) -> SweepSpec:
    text = args.config
    is_file = text in specs.shipped_names() or Path(text).exists()
    if not is_file and (hint := did_you_mean(text, ACTIONS)):
        raise UsageError(f"{safe_text(text, 80)} is neither an action nor a sweep file{hint}")
    spec = specs.load(text, options.parse_settings(args), recipes.settings_from_environment())
    return replace(spec, name=args.name.strip()) if args.name is not None else spec


def _join_spec(location: StorageLocation, args: argparse.Namespace) -> SweepSpec:
    """The sweep of a study that another worker has started."""
    spec = SnapshotReader().read(location, args.name).spec
    changes = options.parse_settings(args)
    options.refuse_settings(
        (key for key in changes if run_config.setting_group(key) != "machine"),
        "cannot change in an existing study",
    )
    return replace(spec, base=spec.base.changed(**changes))


def _show(args: argparse.Namespace) -> None:
    reader = SnapshotReader()
    location, name = studies.find_study(reader, args)
    if args.json:
        console.print_json(studies.to_json(reader, location, name))
    else:
        studies.print_study(reader, location, name, with_trials=True)


def _list(args: argparse.Namespace) -> None:
    runs_dir, reader = options.runs_dir(args), SnapshotReader()
    if args.storage is not None:
        locations = [storage.parse_location(args.storage, runs_dir)]
        if locations[0].is_missing:
            raise UserError(f"there is no storage {locations[0].name}")
    else:
        locations = study_locations.list_locations(options.require_runs_dir(args))
    listed = []
    for location in locations:
        try:
            listed += reader.list_studies(location)
        except UserError as error:
            if len(locations) == 1:
                raise
            console.note(str(error))
    if args.json:
        console.print_json(
            [
                {
                    "study": study.name,
                    "storage": study.location.public_url,
                    **console.pick(study, "done", "running", "best"),
                    "trials": study.total,
                    "trouble": study.error,
                }
                for study in listed
            ]
        )
    elif not listed:
        console.note("there are no studies yet; `fmnist-tui sweep two-conv` starts one")
    else:
        console.print_table(
            ("study", ">done", ">running", ">best", "storage"),
            [
                (
                    study.name,
                    f"{study.done}/{study.total}",
                    study.running,
                    format_percent(study.best),
                    Text(safe_text(study.error), "yellow") if study.error else study.location.name,
                )
                for study in listed
            ],
        )


def _kill(args: argparse.Namespace) -> None:
    from fmnist_tui.sweeps import remote_control

    reader = SnapshotReader()
    location, name = studies.find_study(reader, args)
    message = remote_control.kill(reader, location, name, args.trial)
    document = {"study": name, "trial": args.trial, "said": message}
    console.print_done(args.json, document, message)


def _stop(args: argparse.Namespace) -> None:
    from fmnist_tui.sweeps import remote_control

    reader = SnapshotReader()
    location, name = studies.find_study(reader, args)
    running = remote_control.stop(reader, location, name)
    still = f"{format_count(running, 'trial')} still running"
    message = f"{name}: asked all workers to stop; {still}"
    console.print_done(args.json, {"study": name, "running": running}, message)


ACTIONS: options.Actions = {
    "start": ("work on a sweep, given as a file or by the name of a built-in one", _start),
    "show": ("show a study: its trials, the best one, the importance of each setting", _show),
    "list": ("list the known studies", _list),
    "promote": (
        "train a trial's settings in full, once for each of several seeds",
        studies.promote,
    ),
    "kill": ("end a running trial, on whatever machine it runs", _kill),
    "stop": ("stop all workers of a study; their trials return to the queue", _stop),
}
