"""A fake for the session's predictions."""

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

UNSURE = (("Bag", 0.45), ("Pullover", 0.4), *((name, 0.01) for name in GARMENTS[:8]))


@dataclass
class FakePrediction:
    """The fields of a prediction that the Predict screen reads."""

    file: Path
    ranked: tuple[tuple[str, float], ...] = ()
    prepared: PreparedImage | None = None
    error: str = ""
    notes: tuple[str, ...] = ()


@dataclass
class FakeModel:
    """Replaces the session: completes each prediction at once or, on `hold`, at `release`."""

    requests: list[tuple[Path, tuple[Path, ...]]] = field(default_factory=list)
    drawings: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    pending: list[Callable[[], None]] = field(default_factory=list)
    hold: bool = False
    error: str = ""
    # Names of files that it is unsure of.
    unsure: set[str] = field(default_factory=set)

    def predict(self, source: Path, files: list[Path]) -> Future[Any]:
        self.requests.append((source, tuple(files)))
        return self._future(lambda: [self._predict_file(file) for file in files])

    def classify(self, source: Path, image: npt.NDArray[np.uint8]) -> Future[Any]:
        self.drawings.append(image)
        prepared = prepare(DecodedImage.from_array(image), Preparation())
        return self._future(lambda: FakePrediction(Path("drawing"), RANKED, prepared))

    def release(self) -> None:
        while self.pending:
            self.pending.pop(0)()

    def _future(self, compute: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()

        def finish() -> None:
            if not future.set_running_or_notify_cancel():
                return
            if self.error:
                future.set_exception(UserError(self.error))
            else:
                future.set_result(compute())

        if self.hold:
            self.pending.append(finish)
        else:
            finish()
        return future

    def _predict_file(self, file: Path) -> FakePrediction:
        try:
            ranked = UNSURE if file.name in self.unsure else RANKED
            return FakePrediction(file, ranked, prepare(open_image(file), Preparation()))
        except UserError as error:
            return FakePrediction(file, error=str(error))
