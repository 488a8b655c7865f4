"""Asking a model about files and drawings, a little at a time, through the session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fmnist_tui.tui.screens.predict.drawing import Pixels
from fmnist_tui.tui.screens.predict.results import PredictionQueue, Result, reduced
from fmnist_tui.tui.shared.run_names import run_name_from_folder
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.engine.inference.predict import Prediction
    from fmnist_tui.tui.base.screen import DashboardScreen

# A drawing is asked about so often at most.
PAD_SECONDS = 0.2


class Predictor:
    """Which model is asked, and what it has said so far of the files and of the drawing.

    The model is the run in hand, or a `model` file chosen instead. `trouble` says why the
    model cannot be asked. `told` is called with the answers that have come, `drawn` when
    there is another answer about the drawing, and either when there is trouble."""

    def __init__(
        self,
        screen: DashboardScreen,
        told: Callable[[list[Result]], None],
        drawn: Callable[[], None],
    ) -> None:
        self._screen, self._told, self._drawn = screen, told, drawn
        self.enquiry = PredictionQueue()
        self.drawing: Result | None = None
        self.model: Path | None = None
        self.trouble = ""
        self._source: Path | None = None
        self._asked: frozenset[Path] = frozenset()
        self._picture: Pixels | None = None
        self._drawing_asked = False
        self._drawing_at = 0.0
        self._again = False

    @property
    def source(self) -> Path | None:
        """The run folder or model file that is asked."""
        if self.model is not None:
            return self.model
        run = self._screen.context.selected_run
        return run.path if run is not None else None

    @property
    def name(self) -> str:
        """What the model is called, safe to show; empty where there is none."""
        if self.model is not None:
            return safe_text(self.model.name, 40)
        run = self._screen.context.selected_run
        return run_name_from_folder(run) if run is not None else ""

    @property
    def asking(self) -> bool:
        """Whether an answer is being waited for."""
        return bool(self._asked) or self._drawing_asked

    def renew(self) -> None:
        """Ask about everything anew: the model is another, or knows more."""
        self.trouble = ""
        self.drawing = None
        self.enquiry.again()
        self._source = self.source
        self._ask()
        if self._picture is not None:
            self.draw(self._picture)

    def look(self) -> None:
        """Renew if another model is meant than before."""
        if self.source != self._source:
            self.renew()

    # -- files ----------------------------------------------------------------------------

    def begin(self, files: Iterable[Path]) -> None:
        """Ask about these files instead of those before."""
        self.trouble = ""
        self.enquiry.begin(files)
        self._ask()

    def add(self, files: Iterable[Path]) -> None:
        """Ask about these files too, or again."""
        self.enquiry.add(files)
        self._ask()

    def want(self, file: Path) -> Result | None:
        """The answer about a file with its pictures; it is asked for next if it is not here."""
        found = self.enquiry.detail(file)
        if found is None and file in self.enquiry.answers and file not in self._asked:
            self.enquiry.hurry(file)
            self._ask()
        return found

    def _ask(self) -> None:
        source = self.source
        if self._asked or source is None or self.trouble:
            return
        files = self.enquiry.next()
        if not files:
            return
        try:
            future = self._screen.app_state.session.predict(source, files)
        except UserError as error:
            self._refused(source, str(error))
            return
        self._asked = frozenset(files)
        self._screen.answer(
            future,
            partial(self._answered, source),
            partial(self._refused, source),
            group="predict",
        )

    def _answered(self, source: Path, predictions: list[Prediction]) -> None:
        self._screen.later(
            partial(reduced, predictions),
            partial(self._take, source),
            partial(self._refused, source),
            group="reduce",
        )

    def _take(self, source: Path, answers: list[Result]) -> None:
        self._asked = frozenset()
        if source == self.source:
            self.enquiry.take(answers)
            self._told(answers)
        self._ask()

    def _refused(self, source: Path, why: str) -> None:
        self._asked = frozenset()
        if source == self.source:
            self.trouble = why
            self._told([])
        else:
            self._ask()

    # -- the drawing ----------------------------------------------------------------------

    def draw(self, picture: Pixels | None) -> None:
        """Ask about a drawing, or about none; of several in a short time about the newest."""
        self._picture = picture
        if picture is None:
            self.drawing = None
            self._drawn()
            return
        self._again = True
        if not self._drawing_asked:
            self._drawing_asked = True
            wait = self._drawing_at + PAD_SECONDS - time.monotonic()
            if wait > 0:
                self._screen.set_timer(wait, self._ask_drawing)
            else:
                self._ask_drawing()

    def _ask_drawing(self) -> None:
        source, picture = self.source, self._picture
        self._again = False
        self._drawing_at = time.monotonic()
        if source is None or picture is None:
            self._drawing_asked = False
            self._drawn()
            return
        try:
            future = self._screen.app_state.session.classify(source, picture)
        except UserError as error:
            self._drawing_refused(source, str(error))
            return
        self._screen.answer(
            future,
            partial(self._drawing_answered, source),
            partial(self._drawing_refused, source),
            group="classify",
        )

    def _drawing_answered(self, source: Path, prediction: Prediction) -> None:
        self._drawing_asked = False
        if source == self.source:
            self.trouble = ""
            # What has been wiped off meanwhile is not answered any more.
            self.drawing = reduced([prediction])[0] if self._picture is not None else None
            self._drawn()
        if self._again:
            self.draw(self._picture)

    def _drawing_refused(self, source: Path, why: str) -> None:
        self._drawing_asked = False
        if source == self.source:
            self.trouble = why
            self._drawn()
        elif self._again:
            self.draw(self._picture)
