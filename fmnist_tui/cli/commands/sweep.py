"""`fmnist-tui sweep`: search for good settings, alone or together with other workers."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fmnist_tui.cli.support import console, options, studies
from fmnist_tui.cli.support.follow import heeding, status
from fmnist_tui.cli.support.progress import steps
from fmnist_tui.config import recipes, run_config
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FAILED, FINISHED
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.resolve_start import locate
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps import storage
from fmnist_tui.sweeps.snapshot import SnapshotReader
from fmnist_tui.sweeps.spec import SweepSpec
from fmnist_tui.sweeps.storage import StudyStorage
from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UsageError, UserError, near, reason
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.engine.sweep.sweep_runner import SweepOutcome

# `sweep FILE` is `sweep start FILE` (see `cli.main`).
DEFAULT_ACTION = "start"
NOTHING_LEFT = "the study has its trials already; --trials N does N more"
_ABOUT = {
    "start": "work on a sweep: CONFIG is a sweep file or the name of one that comes along",
    "show": "a study: its trials, the best, which settings matter",
    "list": "the studies there are",
    "promote": "train a trial's settings in full, one run for each seed, test read once by each",
    "kill": "end a running trial, in whatever process it runs",
    "stop": "have every worker of a study stop; trials under way are tried again later",
}
ACTIONS = tuple(_ABOUT)


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION|CONFIG", required=True)
    for name, about in _ABOUT.items():
        part = actions.add_parser(name, help=about, description=about)
        if name == "start":
            _start_arguments(part)
        elif name != "list":
            part.add_argument("study", metavar="STUDY", help="a study's name, or a sweep's run")
        if name == "kill":
            part.add_argument("trial", metavar="TRIAL", type=int, help="its number")
        if name == "promote":
            studies.promote_arguments(part)
        part.add_argument(
            "--storage",
            metavar="URL",
            help="a database URL or journal:FILE"
            f" [{storage.VARIABLE}, or {storage.DEFAULT} in the folder of the runs]",
        )
        options.folders(part, data=name in ("start", "promote"))
        options.as_json(part)
        if name in ("start", "promote"):
            options.settings(part)


def _start_arguments(part: argparse.ArgumentParser) -> None:
    part.add_argument(
        "config",
        nargs="?",
        metavar="CONFIG",
        help=f"a sweep file or one of {', '.join(specs.names())}; may be left out where the"
        " study of that --name has begun",
    )
    part.add_argument("--name", help="the study's name [the file's]")
    part.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="do N trials here [as many as the study lacks of the file's number]",
    )


def run(args: argparse.Namespace) -> int:
    acts = {
        "start": start,
        "show": studies.show,
        "list": studies.listed,
        "promote": studies.promote,
        "kill": studies.kill,
        "stop": studies.stop,
    }
    return acts[args.action](args)


def start(args: argparse.Namespace) -> int:
    """Work on a study until its trials, or N of them, are done."""
    if args.trials is not None and args.trials < 1:
        raise UsageError("--trials must be 1 or more")
    if args.name is not None and not specs.is_name(args.name):
        raise UsageError(f"--name must have {specs.NAMES}")
    if args.config is None and args.name is None:
        raise UsageError(f"give a sweep file, or one of {', '.join(specs.names())}")
    runs_dir = options.runs_dir(args)
    # What the file has against it is said before anything is opened.
    given = _given(args) if args.config is not None else None
    where = storage.place(args.storage, runs_dir)
    if args.storage is None:
        _make(runs_dir)
    opened = storage.connect(where)
    spec = given or _joined(where, args)
    if spec.base.start is not None:
        # Found before there is a folder of this sweep, which would be the `last` run.
        start = str(locate(spec.base.start, runs_dir))
        spec = replace(spec, base=spec.base.changed(start=start))

    from fmnist_tui.engine.sweep.sweep_runner import LOST_WORKER, SweepOutcome, SweepRunner
    from fmnist_tui.sweeps.study import StudyLedger

    ledger = StudyLedger.join(where, opened, spec)
    total = spec.trials if args.trials is None else None
    for number in ledger.recover():
        console.note(LOST_WORKER.format(number))
    if not ledger.has_room(ledger.standing(), total):
        return _told(args, where, spec, SweepOutcome(FINISHED, NOTHING_LEFT, 0), None)
    folder = RunFolder.create(runs_dir, spec.name, spec.base.dataset)
    _write_config(folder, spec, where)
    with Session(runs_dir, options.data_dir(args)) as session, steps(f"sweep {spec.name}") as tell:
        sweep = SweepRunner(
            session, ledger, folder, trials=args.trials, tell=tell, say=console.note
        )

        def ask(name: str) -> None:
            sweep.stop(name)
            console.note("the trial is given back; Ctrl-C again ends at once")

        def end() -> NoReturn:
            raise KeyboardInterrupt

        with heeding(ask, end) as caught:
            try:
                outcome = sweep.run()
            except KeyboardInterrupt:
                if sweep.training is not None:
                    sweep.training.abandon("Ctrl-C, twice", 0, 0)
                sys.stderr.flush()
                os._exit(130)
    if outcome.reason == FAILED:
        raise UserError(f"the sweep ended: {outcome.message}")
    return _told(args, where, spec, outcome, folder) or status(caught)


def _told(
    args: argparse.Namespace,
    where: StudyStorage,
    spec: SweepSpec,
    outcome: SweepOutcome,
    folder: RunFolder | None,
) -> int:
    """Say what came of it."""
    if outcome.message:
        console.note(f"the sweep ended: {outcome.message}")
    reader = SnapshotReader()
    if args.json:
        document = studies.document(reader, where, spec.name)
        console.document(
            {
                **document,
                "run": folder.name if folder else None,
                "path": str(folder.path) if folder else None,
                "state": outcome.reason,
                "message": outcome.message,
                "trials_here": outcome.done,
            }
        )
    else:
        studies.told(reader, where, spec.name)
    return 0


def _given(args: argparse.Namespace) -> SweepSpec:
    word = args.config
    if word not in specs.names() and not Path(word).exists() and (hint := near(word, ACTIONS)):
        raise UsageError(f"{safe_text(word, 80)} is neither an action nor a sweep file{hint}")
    spec = specs.load(args.config, options.given(args), recipes.from_environment())
    return replace(spec, name=args.name.strip()) if args.name is not None else spec


def _joined(where: StudyStorage, args: argparse.Namespace) -> SweepSpec:
    """The sweep of a study that another worker has begun."""
    spec = SnapshotReader().look(where, args.name).spec
    changes = options.given(args)
    other = [key for key in changes if run_config.group(key) != "machine"]
    if other:
        raise UsageError(
            f"--{other[0].replace('_', '-')} cannot be changed in a study that has begun"
        )
    return replace(spec, base=spec.base.changed(**changes))


def _make(runs_dir: Path) -> None:
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot create a sweep in {runs_dir}: {reason(error)};"
            " choose another folder with --runs DIR"
        ) from error


def _write_config(folder: RunFolder, spec: SweepSpec, where: StudyStorage) -> None:
    import fmnist_tui

    made_with = {"fmnist_tui": fmnist_tui.__version__, "storage": where.shown}
    try:
        text = specs.to_toml(spec, made_with)
        atomic_write(folder.config, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise UserError(
            f"the sweep cannot be recorded in {folder.path}: {reason(error)}"
        ) from error
