"""The state that all screens share."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from fmnist_tui.config.notifications import Notifications
from fmnist_tui.config.plans import Plan
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import LRFIND
from fmnist_tui.render.renderers import renderer_names
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui.state.config_draft import ConfigDraft
from fmnist_tui.tui.state.dataset_cache import DatasetCache
from fmnist_tui.tui.state.dataset_load import DatasetFetch
from fmnist_tui.tui.state.evaluation_cache import EvaluationCache
from fmnist_tui.tui.state.job import RUNNING, BackgroundJob
from fmnist_tui.tui.state.leaving import Leaving
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.state.settings import Settings


class QuitMode(Enum):
    """What happens to this process's run when the dashboard quits."""

    STOP = "stop"
    DETACH = "detach"


@dataclass(frozen=True, slots=True)
class ClassPair:
    """The images that Errors shows: true and predicted class, None for any."""

    split: str
    true: int | None = None
    predicted: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What a toast has said, and when; `severity` is information, warning or error."""

    text: str
    severity: str
    t: float

    @property
    def seconds(self) -> float:
        """How long the toast is shown."""
        return 8.0 if self.severity == "error" else 4.0


@dataclass
class AppState:
    """`feed` is the followed run, which Train shows; `selected_run` is the one that Evaluate,
    Errors and Predict are about if it is not the followed one. They differ where the user
    looks at another run while one is live. The app's signals tell when either changes.
    `newest_run` is the newest finished run, once it is found."""

    runs_dir: Path
    data_dir: Path
    session: Session
    settings: Settings
    ascii: bool = False
    # Lines that libraries have printed, for the log pane.
    printed: deque[str] = field(default_factory=deque)
    # What toasts have said, the last at the end.
    messages: deque[Message] = field(default_factory=partial(deque[Message], maxlen=100))
    feed: RunFeed | None = None
    selected_run: RunFolder | None = None
    newest_run: RunSummary | None = None
    class_pair: ClassPair | None = None
    # The sweep that Sweep shows next, by its folder.
    sweep: RunFolder | None = None
    # What the form on Train holds, once Train has been shown.
    form: ConfigDraft | None = None
    # Settings to load into that form, and the recipe they start where it has several runs.
    draft: dict[str, Any] | None = None
    recipe: Recipe | None = None
    # The plan that is being run, if it has more than one run.
    plan: Plan | None = None
    quit_mode: QuitMode = QuitMode.STOP
    is_in_browser: bool = False
    # The dashboard closes for the tour, and opens again after it.
    wants_tour: bool = False
    jobs: list[BackgroundJob] = field(default_factory=list)
    # The jobs that the dashboard ends when it quits.
    jobs_to_end: list[BackgroundJob] = field(default_factory=list)
    # Whether quitting stops the followed run, which is in processes of its own.
    stops_background: bool = False
    exit_code: int = 0
    # What the terminal does when a run ends, and when one stalls.
    notifications: Notifications = field(default_factory=Notifications)
    leaving: Leaving = field(default_factory=Leaving)
    # What the first start fetches by itself.
    fetch: DatasetFetch | None = None
    datasets: DatasetCache = field(init=False)
    evaluations: EvaluationCache = field(default_factory=EvaluationCache)

    def __post_init__(self) -> None:
        self.datasets = DatasetCache(self.data_dir)

    def follow(self, feed: RunFeed | None) -> None:
        """Follow another run; Evaluate, Errors and Predict go along if they were about the one
        followed before."""
        if self.feed is not None and self.selected_run == self.feed.folder:
            self.selected_run = None
        self.feed = feed

    @property
    def chosen_run(self) -> RunFolder | None:
        """The selected run, or else the followed one if it trains a model."""
        followed = self.feed if self.feed is not None and self.feed.kind != LRFIND else None
        return self.selected_run or (followed.folder if followed is not None else None)

    @property
    def current_run(self) -> RunFolder | None:
        """The run that Evaluate, Errors and Predict are about: the chosen one, or else the
        newest finished one."""
        newest = self.newest_run.run if self.newest_run is not None else None
        return self.chosen_run or newest

    @property
    def is_training(self) -> bool:
        """Whether this process is training a run."""
        return self.feed is not None and self.feed.is_own and self.feed.is_live

    @property
    def running_jobs(self) -> list[BackgroundJob]:
        """The background jobs that have not ended."""
        return [job for job in self.jobs if job.status == RUNNING]

    @property
    def folder_options(self) -> list[str]:
        """The options that have a command use the same folders."""
        return [f"--runs={self.runs_dir}", f"--data={self.data_dir}"]

    @property
    def renderer(self) -> str:
        """How images are drawn: halfblock, braille or ascii."""
        names = renderer_names()
        name = "ascii" if self.ascii else self.settings.get("renderer", names[0])
        return name if name in names else names[0]
