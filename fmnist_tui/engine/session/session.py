"""The session: one thread that makes all torch and CUDA calls of a process.

Any thread may create a session and submit work; torch is imported by the session's thread when
the first work arrives. One training runs at a time. Small jobs (predict an image, evaluate a
checkpoint) run at once if the thread is idle, and between two steps while it trains.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.cpu.openmp_wait import WAIT
from fmnist_tui.engine.cpu.sharing import SHARING
from fmnist_tui.engine.distributed.place import ALONE, Place
from fmnist_tui.engine.run import failures
from fmnist_tui.engine.run.training_handle import Cancelled, ParentRun, Training
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.progress import OnProgress, ignore_progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fmnist_tui.engine.distributed.channel import Channel
    from fmnist_tui.engine.export.export import Exported
    from fmnist_tui.engine.export.export_request import ExportRequest
    from fmnist_tui.engine.inference.evaluate import SplitEvaluation
    from fmnist_tui.engine.inference.predict import Prediction
    from fmnist_tui.engine.session.small_jobs import SmallJobs

Result = TypeVar("Result")
POLL_SECONDS = 0.5
# Small jobs interrupt a training for at most this long; then it runs for as long undisturbed.
SMALL_JOBS_SECONDS = 0.2


class Session:
    """The interface of the engine. Its methods return at once and are thread-safe."""

    def __init__(self, runs_dir: Path, data_dir: Path, place: Place = ALONE) -> None:
        self.runs_dir, self.data_dir, self.place = runs_dir, data_dir, place
        self._jobs: deque[tuple[Future[Any], Callable[[SmallJobs], Any]]] = deque()
        self._next: Training | None = None
        self._running: Training | None = None
        self._is_closing = False
        self._no_jobs_until = 0.0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- called by other threads -----------------------------------------------------------

    @property
    def training(self) -> Training | None:
        """The training that runs or is about to start, if any."""
        return self._running or self._next

    def train(self, config: RunConfig) -> Training:
        """Start a run; a UserError while another one is running."""
        return self._start(Training(config))

    def resume(self, folder: RunFolder, config: RunConfig) -> Training:
        """Continue a run from its last checkpoint."""
        return self._start(Training(config, folder))

    def fork(self, folder: RunFolder, checkpoint: str, config: RunConfig) -> Training:
        """Start a new run from `last`, `best` or a checkpoint file of another."""
        return self._start(Training(config, parent=ParentRun(folder, checkpoint)))

    def take_part(self) -> Training:
        """Take part in the trainings of the first process, until it begins no other."""
        return self._start(Training(RunConfig(), is_led=True))

    def meet_others(self) -> None:
        """Wait for the other processes of this command: then `close` can tell them that no run
        follows. A run that begins does so by itself."""
        if self.place.is_several:
            self.submit(lambda _: self._channel.meet()).result()

    def run_trial(self, config: RunConfig, trials_dir: Path) -> Training:
        """Start a trial of a sweep in the folder of its trials. It does not read the test split."""
        return self._start(Training(config, trials_dir=trials_dir))

    def find_lr(self, config: RunConfig, rate_range: RateRange | None = None) -> Training:
        """Search for a learning rate, in a run of its own that trains nothing, on one device."""
        config = config.changed(devices=1)
        return self._start(Training(config, rate_range=rate_range or RateRange()))

    def predict(
        self, source: Path, files: list[Path], device: str = "auto"
    ) -> Future[list[Prediction]]:
        """Classify image files with a run folder's best checkpoint or a model file."""
        return self.submit(lambda jobs: jobs.predict(source, files, device))

    def classify(
        self, source: Path, drawing: npt.NDArray[np.uint8], device: str = "auto"
    ) -> Future[Prediction]:
        """Classify a drawing, (height, width) or (height, width, 3), like an image file."""
        return self.submit(lambda jobs: jobs.classify(source, drawing, device))

    def augment(
        self, config: RunConfig, images: npt.NDArray[np.uint8], seed: int
    ) -> Future[npt.NDArray[np.uint8]]:
        """Images (count, height, width, channels) augmented as in training, by a seed."""
        return self.submit(lambda jobs: jobs.augment(config, images, seed))

    def evaluate(
        self, folder: RunFolder, split: str, checkpoint: str = "best", device: str = "auto"
    ) -> Future[SplitEvaluation]:
        """Evaluate a run's checkpoint on a split and save the predictions."""
        return self.submit(lambda jobs: jobs.evaluate(folder, split, checkpoint, device))

    def build_ensemble(
        self,
        members: Sequence[RunFolder],
        *,
        tta: str | None = None,
        recipe: str = "ensemble",
        device: str = "auto",
        on_progress: OnProgress = ignore_progress,
    ) -> Future[RunFolder]:
        """Build one classifier from several runs, in a run folder of its own, and evaluate it."""
        return self.submit(
            lambda jobs: jobs.build_ensemble(
                self.runs_dir,
                members,
                tta=tta,
                recipe=recipe,
                device=device,
                on_progress=on_progress,
                on_tick=self._cancel_if_closing,
            )
        )

    def export(
        self, source: Path, request: ExportRequest, *, on_progress: OnProgress = ignore_progress
    ) -> Future[Exported]:
        """Export the model of a run folder or model file."""
        return self.submit(
            lambda jobs: jobs.export(
                source, request, on_progress=on_progress, on_tick=self._cancel_if_closing
            )
        )

    def submit(self, job: Callable[[SmallJobs], Result]) -> Future[Result]:
        """Run a small job on the session's thread, unless its future is cancelled before."""
        future: Future[Result] = Future()
        with self._changed:
            self._refuse_if_closing()
            self._jobs.append((future, job))
            self._wake()
        return future

    def close(self, seconds: float | None = None) -> bool:
        """Stop a running training (it saves), fail waiting jobs, join the thread.

        Returns whether the thread has ended in time. Call it on every exit path."""
        with self._changed:
            self._is_closing = True
            training = self.training
            self._changed.notify_all()
        if training is not None:
            training.stop("the program is closing")
        if self._thread is not None:
            self._thread.join(seconds)
            return not self._thread.is_alive()
        return True

    def _start(self, training: Training) -> Training:
        with self._changed:
            self._refuse_if_closing()
            if self.training is not None:
                raise UserError("a training is running; stop it before you start another")
            self._next = training
            self._wake()
        return training

    def _refuse_if_closing(self) -> None:
        if self._is_closing:
            raise UserError("the session is closed")

    def _wake(self) -> None:
        if self._thread is None:
            # Not a daemon: a daemon thread inside torch at interpreter exit aborts the process.
            self._thread = threading.Thread(target=self._run, name="engine", daemon=False)
            self._thread.start()
        self._changed.notify_all()

    # -- on the session's thread -----------------------------------------------------------

    def _run(self) -> None:
        # The load is measured from here on, also while torch is imported.
        SHARING.update()
        while True:
            with self._changed:
                while not (self._jobs or self._next or self._should_end()):
                    self._changed.wait(POLL_SECONDS)
                    SHARING.update()
                if self._should_end():
                    break
                self._running, self._next = self._next, None
            self._run_jobs()
            if self._running is not None:
                self._run_to_end(self._running)
        WAIT.set_brief(False, 1)
        if self.place.is_several and self.place.is_first:
            # A channel that cannot be made has been the error of a training.
            with contextlib.suppress(UserError):
                self._channel.end()
        self._refuse_waiting()

    def _run_to_end(self, training: Training) -> None:
        """Run a training; `Training.error` gets what prevented or broke it."""
        try:
            # By name, so that importing a session does not depend on torch.
            channel = self._channel if self.place.is_several else None
            if training.is_led:
                module = importlib.import_module("fmnist_tui.engine.session.take_part")
                module.take_part(training, self.data_dir, self._tick, channel)
            else:
                module = importlib.import_module("fmnist_tui.engine.session.run_training")
                module.run_training(training, self.runs_dir, self.data_dir, self._tick, channel)
        except BaseException as error:  # noqa: BLE001 - kept in Training.error
            training.error = failures.take(error)
        if training.error is not None:
            failures.drop_frames(training.error)
        with self._changed:
            self._running = None
        # Only now: code that waits for the end may start another run at once.
        training.finish(training.error)

    def _tick(self) -> None:
        """Between two steps: run small jobs; stop the training if the program is ending."""
        if self._jobs and (started := time.monotonic()) >= self._no_jobs_until:
            self._run_jobs(started + SMALL_JOBS_SECONDS)
            now = time.monotonic()
            self._no_jobs_until = now + min(now - started, SMALL_JOBS_SECONDS)
        if self._should_end() and self._running is not None:
            self._running.inbox.send(Stop(time.time(), "the program is closing"))

    def _cancel_if_closing(self) -> None:
        """The `on_tick` of small jobs that take long."""
        if self._should_end():
            raise Cancelled("the program is closing")

    def _run_jobs(self, until: float = math.inf) -> None:
        while self._jobs and time.monotonic() < until:
            future, job = self._jobs.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job(self._small_jobs))
                except BaseException as error:  # noqa: BLE001 - raised by future.result
                    failures.drop_frames(error)
                    future.set_exception(failures.take(error))

    @cached_property
    def _channel(self) -> Channel:
        module: Any = importlib.import_module("fmnist_tui.engine.distributed.channel")
        channel: Channel = module.Channel(self.place, self._is_stopped)
        return channel

    def _is_stopped(self) -> bool:
        """Whether the running training is to end, or the program."""
        training = self._running
        is_stopped = training is not None and training.cancel_loading.is_set()
        return is_stopped or self._should_end()

    @cached_property
    def _small_jobs(self) -> SmallJobs:
        module: Any = importlib.import_module("fmnist_tui.engine.session.small_jobs")
        small_jobs: SmallJobs = module.SmallJobs(self.data_dir)
        return small_jobs

    def _should_end(self) -> bool:
        return self._is_closing or not threading.main_thread().is_alive()

    def _refuse_waiting(self) -> None:
        training, self._next = self._next, None
        if training is not None:
            training.finish(UserError("the session was closed before the run started"))
        while self._jobs:
            future, _ = self._jobs.popleft()
            if future.set_running_or_notify_cancel():
                future.set_exception(UserError("the session was closed before the job started"))
