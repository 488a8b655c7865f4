"""What can be copied from Predict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fmnist_tui.tui.base.copying import CopyTable, ToCopy
from fmnist_tui.tui.screens.predict.results import Result, describe
from fmnist_tui.util.formatting import format_percent


def prediction_to_copy(
    source: Path | None,
    shown: Result | None,
    files: Mapping[Path, Result | None],
    folder: Path | None,
) -> ToCopy:
    """The answer that is shown, the table of files or of classes, and `predict` for the files.

    `folder` is the one that the files are in, if one was given; without `files` a drawing is
    shown."""
    value = (describe(shown.ranked) or shown.error) if shown is not None else ""
    ranked = shown.ranked if shown is not None else ()
    table = CopyTable(
        ("class", "probability"), [(name, format_percent(share, 2)) for name, share in ranked]
    )
    if len(files) > 1:
        rows = [_row(file, result) for file, result in files.items()]
        table = CopyTable(("file", "class", "probability"), rows)
    command: list[object] = []
    if source is not None and files:
        names = [folder] if folder is not None else list(files)
        command = ["predict", *(path.absolute() for path in (source, *names))]
    return ToCopy(value, table, source, command)


def _row(file: Path, result: Result | None) -> tuple[object, ...]:
    if result is None:
        return file.name, "", ""
    if not result.ranked:
        return file.name, result.error, ""
    name, share = result.ranked[0]
    return file.name, name, format_percent(share, 2)
