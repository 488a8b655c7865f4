"""A model for screens to ask that answers at once, or when a test lets it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.data.images.decode import DecodedImage, open_image
from fmnist_tui.data.images.prepare import Preparation, PreparedImage, prepare
from fmnist_tui.util.errors import UserError

RANKED = (("Bag", 0.97), ("Coat", 0.02), *((name, 0.001) for name in GARMENTS[:8]))


@dataclass
class Said:
    """What the session's predictions look like from here."""

    file: Path
    ranked: tuple[tuple[str, float], ...] = ()
    prepared: PreparedImage | None = None
    error: str = ""


@dataclass
class Model:
    """Stands in for the session: answers at once, or holds its answers back."""

    asked: list[tuple[Path, tuple[Path, ...]]] = field(default_factory=list)
    drawn: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    held: list[Callable[[], None]] = field(default_factory=list)
    hold: bool = False
    refuse: str = ""

    def predict(self, source: Path, files: list[Path]) -> Future[Any]:
        self.asked.append((source, tuple(files)))
        return self._answer(lambda: [self._said(file) for file in files])

    def classify(self, source: Path, picture: npt.NDArray[np.uint8]) -> Future[Any]:
        self.drawn.append(picture)
        seen = prepare(DecodedImage.from_array(picture), Preparation())
        return self._answer(lambda: Said(Path("drawing"), RANKED, seen))

    def release(self) -> None:
        while self.held:
            self.held.pop(0)()

    def _answer(self, make: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()

        def finish() -> None:
            if not future.set_running_or_notify_cancel():
                return
            if self.refuse:
                future.set_exception(UserError(self.refuse))
            else:
                future.set_result(make())

        if self.hold:
            self.held.append(finish)
        else:
            finish()
        return future

    def _said(self, file: Path) -> Said:
        try:
            return Said(file, RANKED, prepare(open_image(file), Preparation()))
        except UserError as error:
            return Said(file, error=str(error))
