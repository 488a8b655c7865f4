"""Pictures and what is said of them, a line for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.text import Text

from fmnist_tui.tui.screens.predict.results import Result
from fmnist_tui.tui.widgets.columns import Column, head, laid_out, line, line_width
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text

COLUMNS = (
    Column("file", "picture", 8, 0),
    Column("label", "is", 11, 1),
    Column("share", "share", 7, 2, right=True),
)
WAITING = "…"


class FileTable(LineTable):
    """`fill` shows all files, `tell` the answers about some of them that have come."""

    KEYS_TITLE = "Pictures"

    @property
    def file(self) -> Path | None:
        """The file under the cursor."""
        return Path(self.current) if self.current is not None else None

    @property
    def is_at_end(self) -> bool:
        return self.cursor_row >= self.row_count - 1

    def fill(self, answers: Mapping[Path, Result | None]) -> None:
        columns = self._columns
        if columns:
            lines = [
                (str(file), told(file, answer, columns, self._wrong))
                for file, answer in answers.items()
            ]
            self.show(head(columns), lines, "waiting for pictures")

    def tell(self, answers: Iterable[Result]) -> None:
        columns = self._columns
        for answer in answers:
            if columns:
                self.put(str(answer.file), told(answer.file, answer, columns, self._wrong))

    @property
    def _columns(self) -> list[Column]:
        return laid_out(COLUMNS, self.size.width) if self.size.width > 0 else []

    @property
    def _wrong(self) -> str:
        return self.app.theme_variables["error"][:7]


def told(file: Path, answer: Result | None, columns: Iterable[Column], wrong: str) -> Text:
    """A picture with its likeliest class, or with why there is none in the colour `wrong`."""
    columns = list(columns)
    name = Text(safe_text(file.name))
    if answer is None:
        return line(columns, {"file": name, "label": Text(WAITING)})
    if not answer.error:
        label, share = answer.ranked[0] if answer.ranked else ("", None)
        shown = {"label": Text(safe_text(label)), "share": Text(format_percent(share, 1))}
        return line(columns, {"file": name, **shown})
    # The reason may take the room of the figures; where it begins with the path, that
    # is told by the line already.
    reason = safe_text(answer.error).removeprefix(f"{safe_text(file)}: ")
    width = line_width(columns)
    wide = laid_out([COLUMNS[0], Column("error", "", max(8, width // 2), 1)], width)
    return line(wide, {"file": name, "error": Text(f"✗ {reason}", wrong)})
