"""The session: one thread that owns every torch and CUDA call of a process.

Anyone may build a session and ask it things; torch is imported by its thread when the
first work arrives. One training runs at a time. Small jobs (predict an image, evaluate
a checkpoint) run at once when the thread is idle and between two steps while it trains.
"""

from __future__ import annotations

import importlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.run.inbox import Cancelled
from fmnist_tui.engine.run.training_handle import ParentRun, Training
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.progress import OnProgress, ignore_progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fmnist_tui.engine.export.export import Exported
    from fmnist_tui.engine.export.export_request import ExportRequest
    from fmnist_tui.engine.inference.evaluate import SplitEvaluation
    from fmnist_tui.engine.inference.predict import Prediction
    from fmnist_tui.engine.session.small_jobs import SmallJobs

Answer = TypeVar("Answer")
LOOK_SECONDS = 0.5
# So long may small jobs hold a training up in one go; then it has as long to itself.
SERVE_SECONDS = 0.2


class Session:
    """The door to the engine. Its methods return at once and may be called by any thread."""

    def __init__(self, runs_dir: Path, data_dir: Path) -> None:
        self.runs_dir, self.data_dir = runs_dir, data_dir
        self._small: deque[Callable[[SmallJobs], None]] = deque()
        self._wanted: Training | None = None
        self._running: Training | None = None
        self._closing = False
        self._serve_again = 0.0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._workshop: SmallJobs | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- asked from outside --------------------------------------------------------

    @property
    def training(self) -> Training | None:
        """The training under way or about to begin, if any."""
        return self._running or self._wanted

    def train(self, config: RunConfig) -> Training:
        """Begin a run. Refused while another is under way."""
        return self._begin(Training(config))

    def resume(self, folder: RunFolder, config: RunConfig) -> Training:
        """Take a run up where its last checkpoint left it."""
        return self._begin(Training(config, folder))

    def fork(self, folder: RunFolder, checkpoint: str, config: RunConfig) -> Training:
        """Begin a new run from `last`, `best` or a checkpoint file of another."""
        return self._begin(Training(config, parent=ParentRun(folder, checkpoint)))

    def trial(self, config: RunConfig, trials: Path) -> Training:
        """Begin a trial of a sweep, in the folder of its trials. It reads no test split."""
        return self._begin(Training(config, trials=trials))

    def lrfind(self, config: RunConfig, rates: RateRange | None = None) -> Training:
        """Search for a learning rate; a run of its own, which trains nothing."""
        return self._begin(Training(config, rates=rates or RateRange()))

    def predict(
        self, source: Path, files: list[Path], device: str = "auto"
    ) -> Future[list[Prediction]]:
        """Classify picture files with the run folder or model file `source`."""
        return self.ask(lambda workshop: workshop.predict(source, files, device))

    def classify(
        self, source: Path, picture: npt.NDArray[np.uint8], device: str = "auto"
    ) -> Future[Prediction]:
        """Classify a drawing, (height, width) or (height, width, 3), as if it were a file."""
        return self.ask(lambda workshop: workshop.classify(source, picture, device))

    def augmented(
        self, config: RunConfig, images: npt.NDArray[np.uint8], count_seed: int
    ) -> Future[npt.NDArray[np.uint8]]:
        """The images (count, height, width, channels) as a model is shown them in training.

        Another `count_seed` is another throw of the dice."""
        return self.ask(lambda workshop: workshop.augmented(config, images, count_seed))

    def evaluate(
        self, folder: RunFolder, split: str, checkpoint: str = "best", device: str = "auto"
    ) -> Future[SplitEvaluation]:
        """Judge a run's checkpoint on a split and keep the predictions."""
        return self.ask(lambda workshop: workshop.evaluate(folder, split, checkpoint, device))

    def ensemble(
        self,
        members: Sequence[RunFolder],
        *,
        tta: str | None = None,
        recipe: str = "ensemble",
        device: str = "auto",
        tell: OnProgress = ignore_progress,
    ) -> Future[RunFolder]:
        """Make one classifier of several runs, in a run folder of its own, and judge it."""
        return self.ask(
            lambda workshop: workshop.ensemble(
                self.runs_dir,
                members,
                tta=tta,
                recipe=recipe,
                device=device,
                tell=tell,
                pulse=self._go_on,
            )
        )

    def export(
        self, source: Path, wanted: ExportRequest, *, tell: OnProgress = ignore_progress
    ) -> Future[Exported]:
        """Take the run folder or model file `source` away as a file of another kind."""
        return self.ask(
            lambda workshop: workshop.export(source, wanted, tell=tell, pulse=self._go_on)
        )

    def ask(self, job: Callable[[SmallJobs], Answer]) -> Future[Answer]:
        """Have a small job done on the session's thread. A cancelled future is not begun."""
        future: Future[Answer] = Future()

        def do(workshop: SmallJobs) -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(job(workshop))
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked
                future.set_exception(error)

        with self._changed:
            self._refuse_if_closing()
            self._small.append(do)
            self._wake()
        return future

    def close(self, seconds: float | None = None) -> bool:
        """Stop a running training (it saves), leave waiting jobs undone, join the thread.

        Returns whether the thread has ended in time. Call it on every way out."""
        with self._changed:
            self._closing = True
            training = self.training
            self._changed.notify_all()
        if training is not None:
            training.stop("the program is closing")
        if self._thread is not None:
            self._thread.join(seconds)
            return not self._thread.is_alive()
        return True

    def _begin(self, training: Training) -> Training:
        with self._changed:
            self._refuse_if_closing()
            if self.training is not None:
                raise UserError("a training is under way; stop it before you start another")
            self._wanted = training
            self._wake()
        return training

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise UserError("the session is closed")

    def _wake(self) -> None:
        if self._thread is None:
            # Not a daemon: a daemon thread inside torch at interpreter exit aborts the process.
            self._thread = threading.Thread(target=self._work, name="engine", daemon=False)
            self._thread.start()
        self._changed.notify_all()

    # -- on the session's thread -----------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._small or self._wanted or self._abandoned()):
                    self._changed.wait(LOOK_SECONDS)
                if self._abandoned():
                    break
                self._running, self._wanted = self._wanted, None
            self._serve()
            if self._running is not None:
                training, error = self._running, self._train(self._running)
                with self._changed:
                    self._running = None
                # Only now: whoever waits for the end may begin another run at once.
                training.finish(error)
        self._leave()

    def _train(self, training: Training) -> BaseException | None:
        """Do the whole of it; what kept it from starting, or broke it."""
        try:
            job: Any = importlib.import_module("fmnist_tui.engine.session.run_training")
            job.run(training, self.runs_dir, self.data_dir, self._pulse)
        except BaseException as raised:  # noqa: BLE001 - it belongs to whoever asked
            return raised
        return training.error

    def _pulse(self) -> None:
        """Between two steps: answer small jobs, and notice that the program has gone."""
        if self._small and (began := time.monotonic()) >= self._serve_again:
            self._serve(began + SERVE_SECONDS)
            taken = time.monotonic() - began
            self._serve_again = began + taken + min(taken, SERVE_SECONDS)
        if self._abandoned() and self._running is not None:
            self._running.control.send(Stop(time.time(), "the program is closing"))

    def _go_on(self) -> None:
        """Within a small job that takes long: give it up where nobody waits for it any more."""
        if self._abandoned():
            raise Cancelled("the program is closing")

    def _serve(self, until: float = math.inf) -> None:
        while self._small and time.monotonic() < until:
            if self._workshop is None:
                workshop: Any = importlib.import_module("fmnist_tui.engine.session.small_jobs")
                self._workshop = workshop.SmallJobs(self.data_dir)
            self._small.popleft()(self._workshop)

    def _abandoned(self) -> bool:
        return self._closing or not threading.main_thread().is_alive()

    def _leave(self) -> None:
        waiting, self._wanted = self._wanted, None
        if waiting is not None:
            waiting.finish(UserError("the session was closed before the run began"))
        closed = UserError("the session was closed before it came to this")
        while self._small:
            self._refused(self._small.popleft(), closed)

    def _refused(self, do: Callable[[SmallJobs], None], why: UserError) -> None:
        class Shut:
            def __getattr__(self, name: str) -> object:
                raise why

        do(Shut())  # type: ignore[arg-type]
