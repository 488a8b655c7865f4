"""A run that is refused leaves nothing behind."""

from __future__ import annotations

from tests.e2e.support import Home
from tests.soak.concern import Concern, Tally, spread

REFUSED = [["--epochs", "0"], ["--model", "nothing"], ["--lr", "fast"]]


def run(tally: Tally, tries: int) -> None:
    home = Home(tally.folder)
    for words in spread(REFUSED, tries):
        with tally.trial(" ".join(words)):
            home.error_line("train", *words, status=2)
            assert not list(home.runs.glob("*")), "a folder was left"


CONCERN = Concern("refused runs", run, short=2, full=3)
