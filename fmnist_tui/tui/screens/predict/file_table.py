"""The table of image files with their predicted classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.text import Text

from fmnist_tui.tui.screens.predict.results import Result
from fmnist_tui.tui.widgets.columns import Column, fit_columns, format_head, format_row, total_width
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text

COLUMNS = (
    Column("file", "image", 8, 0),
    Column("label", "class", 11, 1),
    Column("share", "share", 7, 2, right=True),
)


class FileTable(LineTable):
    """`show_all` replaces all lines, `show_results` updates some."""

    KEYS_TITLE = "Images"

    @property
    def file(self) -> Path | None:
        """The file under the cursor."""
        return Path(self.current) if self.current is not None else None

    @property
    def is_at_end(self) -> bool:
        return self.cursor >= len(self.rows) - 1

    def show_all(self, results: Mapping[Path, Result | None]) -> None:
        if columns := self._columns:
            lines = [
                (str(file), self._format_line(file, result, columns))
                for file, result in results.items()
            ]
            self.set_rows(format_head(columns), lines, "waiting for images")

    def show_results(self, results: Iterable[Result]) -> None:
        if columns := self._columns:
            for result in results:
                self.set_row(str(result.file), self._format_line(result.file, result, columns))

    @property
    def _columns(self) -> list[Column]:
        return fit_columns(COLUMNS, self.line_width) if self.line_width > 0 else []

    def _format_line(self, file: Path, result: Result | None, columns: list[Column]) -> Text:
        """A file's most probable class with its probability, or its error."""
        cells = {"file": Text(safe_text(file.name)), "label": Text("…")}
        if result is None:
            return format_row(columns, cells)
        if result.error:
            # One wide column for the error, without the path that it may start with.
            error = safe_text(result.error).removeprefix(f"{safe_text(file)}: ")
            colour = self.app.theme_variables["error"][:7]
            width = total_width(columns)
            columns = fit_columns([COLUMNS[0], Column("error", "", max(8, width // 2), 1)], width)
            return format_row(columns, cells | {"error": Text(f"✗ {error}", colour)})
        name, probability = result.ranked[0] if result.ranked else ("", None)
        share = Text(format_percent(probability, 1))
        return format_row(columns, cells | {"label": Text(safe_text(name)), "share": share})
