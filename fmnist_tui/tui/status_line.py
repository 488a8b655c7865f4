"""The line at the right of the bar above every screen: the running jobs and a run, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content

from fmnist_tui.util.text import safe_text

# The accuracy is kept longest, then what the run does, its epoch, its name.
ACCURACY, STATUS, EPOCH, NAME = 4, 3, 2, 1


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A sign and words with their weights: the lightest words go first where not all fit.

    `before` is a line that stands before it and is kept longer."""

    sign: tuple[str, str] = ("", "")
    words: tuple[tuple[str, int], ...] = ()
    before: StatusLine | None = None

    @property
    def plain(self) -> str:
        return self.fit(1_000).plain

    def fit(self, width: int) -> Content:
        """The words that fit; the last one is shortened if even that does not."""
        words = list(self.words)
        line = self._line(words)
        while len(words) > 1 and line.cell_length > width:
            words.remove(min(words, key=lambda word: word[1]))
            line = self._line(words)
        if line.cell_length > width and self.before is not None:
            return self.before.fit(width)
        return line.truncate(width, ellipsis=True)

    def _line(self, words: Sequence[tuple[str, int]]) -> Content:
        text = safe_text("  ".join(word for word, _ in words))
        line = Content.assemble(self.sign, f" {text}") if text else Content("")
        return self.before.fit(1_000) + "  " + line if self.before is not None else line


def job_status(jobs: str) -> StatusLine:
    """`⚙ export 62 %`."""
    return StatusLine(("⚙", "$accent"), ((jobs, ACCURACY),) if jobs else ())
