"""Requests predictions of files and of a drawing from the session, a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from fmnist_tui.tui.base.dialog_flow import start_flow
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.predict.drawing import Pixels
from fmnist_tui.tui.screens.predict.results import PredictionQueue, Result, build_result
from fmnist_tui.tui.shared.run_names import run_name_from_folder
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

# The shortest time between two predictions of the drawing.
DRAWING_SECONDS = 0.2


class Predictor:
    """Predicts with the selected run, or with `model`, a model file chosen instead.

    `on_results` is called with new results of files. Its list is empty where only the result
    of the drawing is new, and after an `error`. `urgent_files` come before the others."""

    def __init__(
        self,
        screen: DashboardScreen,
        on_results: Callable[[list[Result]], None],
        urgent_files: Callable[[], list[Path]],
    ) -> None:
        self._screen, self._on_results, self._urgent_files = screen, on_results, urgent_files
        self.queue = PredictionQueue()
        self.drawing: Result | None = None
        self.model: Path | None = None
        self.error = ""
        self._last_source: Path | None = None
        self._pending: frozenset[Path] = frozenset()
        self._image: Pixels | None = None
        self._is_drawing_pending = False
        self._is_drawing_new = False
        self._drawing_time = 0.0

    @property
    def source(self) -> Path | None:
        """The run folder or model file to predict with."""
        run = self._screen.context.selected_run
        return self.model or (run.path if run is not None else None)

    @property
    def name(self) -> str:
        """The model's name, safe to show; empty where there is no model."""
        if self.model is not None:
            return safe_text(self.model.name, 40)
        run = self._screen.context.selected_run
        return run_name_from_folder(run) if run is not None else ""

    @property
    def is_busy(self) -> bool:
        return bool(self._pending) or self._is_drawing_pending

    def restart(self) -> None:
        """Predict everything again: the model has changed, or has been trained further."""
        self._last_source = self.source
        self.drawing = None
        self.predict(self.queue.results)
        if self._image is not None:
            self.draw(self._image)

    def restart_if_changed(self) -> None:
        """Predict everything again if there is another model."""
        if self.source != self._last_source:
            self.restart()

    # -- files ----------------------------------------------------------------------------

    def predict(self, files: Iterable[Path]) -> None:
        """Predict these files instead of the present ones."""
        self.error = ""
        self.queue.reset(files)
        self._predict_next()

    def add(self, files: Iterable[Path]) -> None:
        """Predict new and changed files too."""
        self.queue.add(files)
        self._predict_next()

    def get_result(self, file: Path) -> Result | None:
        """The result with its stages; None if there is none yet: then the file comes next."""
        result = self.queue.detailed(file)
        if result is None and file in self.queue.results and file not in self._pending:
            self.queue.again(file)
            self._predict_next()
        return result

    def _predict_next(self) -> None:
        """Predict the next files, unless others are being predicted."""
        source = self.source
        if not self._pending and source is not None and not self.error:
            files = self.queue.next_batch(self._urgent_files())
            if files:
                self._pending = frozenset(files)
                start_flow(self._screen, self._predict_files(source, files))

    async def _predict_files(self, source: Path, files: list[Path]) -> None:
        results: list[Result] = []
        error = ""
        try:
            future = self._screen.app_state.session.predict(source, files)
            predictions = await self._screen.in_session(future)
            results = await self._screen.in_thread(lambda: list(map(build_result, predictions)))
        except UserError as problem:
            error = safe_text(str(problem))
        self._pending = frozenset()
        if source == self.source:
            self.error = error or self.error
            self.queue.store(results)
            self._on_results(results)
        self._predict_next()

    # -- the drawing ----------------------------------------------------------------------

    def draw(self, image: Pixels | None) -> None:
        """Predict a drawing, in quick succession only the newest; None: the pad is blank."""
        self._image = image
        if image is None:
            self.drawing = None
            self._on_results([])
            return
        self._is_drawing_new = True
        if not self._is_drawing_pending:
            self._is_drawing_pending = True
            start_flow(self._screen, self._predict_drawing())

    async def _predict_drawing(self) -> None:
        wait = self._drawing_time + DRAWING_SECONDS - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
            if not self._screen.is_open:
                return
        source, image = self.source, self._image
        self._is_drawing_new = False
        self._drawing_time = time.monotonic()
        result, error = None, self.error
        if source is not None and image is not None:
            try:
                future = self._screen.app_state.session.classify(source, image)
                result, error = build_result(await self._screen.in_session(future)), ""
            except UserError as problem:
                error = safe_text(str(problem))
        self._is_drawing_pending = False
        if source == self.source:
            self.error = error
            # The pad may have been cleared in the meantime.
            self.drawing = result if self._image is not None else None
            self._on_results([])
        if self._is_drawing_new:
            self.draw(self._image)
