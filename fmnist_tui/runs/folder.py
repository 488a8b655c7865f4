"""The folder of a run: its name, and the paths of its files."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fmnist_tui.util.atomic_write import remove_stale_temporaries
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.text import safe_text

ARCHIVE_FOLDER = "archive"
CONFIG_FILE, EVENTS_FILE, COMMANDS_FILE = "config.toml", "events.jsonl", "commands.jsonl"
CHECKPOINTS_FOLDER, PREDICTIONS_FOLDER, EXPORTS_FOLDER = "checkpoints", "predictions", "exports"
REPORT_FILE = "report.html"

_RUN_NAME = re.compile(
    r"(?P<stamp>\d{4}-\d\d-\d\d_\d{6})_[a-z0-9-]+_[a-z0-9-]+_(?P<id>[0-9a-f]{4,8})"
)
_STAMP = "%Y-%m-%d_%H%M%S"
_SLUG_LIMIT = 40
_SHORT_ID_TRIES = 64


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run, by its path."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def id(self) -> str:
        """The end of a generated folder name; of any other name all of it."""
        match = _RUN_NAME.fullmatch(self.name)
        return match["id"] if match else self.name

    @property
    def named_at(self) -> datetime | None:
        """The local time in a generated folder name; None in any other name."""
        match = _RUN_NAME.fullmatch(self.name)
        with contextlib.suppress(ValueError):
            return datetime.strptime(match["stamp"], _STAMP) if match else None
        return None

    @property
    def config(self) -> Path:
        return self.path / CONFIG_FILE

    @property
    def events(self) -> Path:
        return self.path / EVENTS_FILE

    @property
    def commands(self) -> Path:
        return self.path / COMMANDS_FILE

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS_FOLDER

    @property
    def predictions(self) -> Path:
        return self.path / PREDICTIONS_FOLDER

    def predictions_of(self, split: str, checkpoint: str = "") -> Path:
        """The file with the predictions of the run's own checkpoint, its best or else its last,
        on a split; or with those of another `checkpoint`."""
        stem = f"{split}-{Path(checkpoint).stem}" if checkpoint else split
        return self.predictions / f"{stem}.npz"

    @property
    def exports(self) -> Path:
        return self.path / EXPORTS_FOLDER

    @classmethod
    def create(
        cls, runs_dir: Path, recipe: str, dataset: str, now: datetime | None = None
    ) -> RunFolder:
        """Create an empty run in `runs_dir`, with an id that no other run there has."""
        stamp = format(now or datetime.now(), _STAMP)
        stem = f"{stamp}_{_slug(recipe, 'run')}_{_slug(_short_dataset(dataset), 'data')}"
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            with locked(runs_dir):
                run = cls(runs_dir / f"{stem}_{_new_id(runs_dir)}")
                run.path.mkdir()
            with run.deleted_on_error():
                run.checkpoints.mkdir()
                run.predictions.mkdir()
        except OSError as error:
            raise UserError(
                f"cannot create a run in {safe_text(runs_dir)}: {format_error(error)};"
                " choose another folder with --runs DIR"
            ) from error
        return run

    @contextlib.contextmanager
    def deleted_on_error(self) -> Iterator[None]:
        """Delete this new folder if the block fails: a run that is refused leaves nothing."""
        try:
            yield
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The run in the folder `path`; a UserError if it is none."""
        run = cls(Path(os.path.abspath(path)))  # noqa: PTH100 - resolve() would follow links
        if not os.path.isdir(run.path):  # noqa: PTH112 - Path's fails on an overlong name
            raise UserError(f"no run in {safe_text(path)}: not a folder")
        if not run.is_run():
            raise UserError(
                f"no run in {safe_text(path)}: it has neither {EVENTS_FILE} nor the name of a run;"
                " `fmnist-tui runs list` shows all runs"
            )
        return run

    def is_run(self) -> bool:
        """Whether this folder is a run: by its name, or because it has events."""
        return bool(_RUN_NAME.fullmatch(self.name)) or self.events.is_file()

    def remove_temporaries(self) -> None:
        """Remove what killed processes were writing; the lock of the run must be held."""
        for folder in (self.path, self.predictions):
            remove_stale_temporaries(folder)

    def size(self) -> int:
        """Bytes in the files of this folder that can be read."""
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with contextlib.suppress(OSError):
                    total += Path(folder, name).lstat().st_size
        return total


def list_run_folders(runs_dir: Path) -> list[RunFolder]:
    """The runs in `runs_dir` in any order, without the archived ones."""
    try:
        entries = list(os.scandir(runs_dir))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(
            f"cannot read the runs in {safe_text(runs_dir)}: {format_error(error)}"
        ) from error
    runs = []
    for entry in entries:
        if entry.name == ARCHIVE_FOLDER or entry.name.startswith("."):
            continue
        run = RunFolder(runs_dir / entry.name)
        with contextlib.suppress(OSError):
            if entry.is_dir() and run.is_run():
                runs.append(run)
    return runs


def _slug(text: str, default: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower())[:_SLUG_LIMIT].strip("-")
    return slug or default


def _short_dataset(dataset: str) -> str:
    # `folder:/data/boots` becomes `folder-boots`.
    kind, colon, path = dataset.partition(":")
    return f"{kind}-{Path(path).name}" if colon else kind


def _new_id(runs_dir: Path) -> str:
    archive = runs_dir / ARCHIVE_FOLDER
    folders = [runs_dir, archive] if archive.is_dir() else [runs_dir]
    used = {path.name.rpartition("_")[2] for folder in folders for path in folder.iterdir()}
    for attempt in range(2 * _SHORT_ID_TRIES):
        run_id = secrets.token_hex(2 if attempt < _SHORT_ID_TRIES else 4)
        if run_id not in used:
            return run_id
    raise FileExistsError("no run id is free")
