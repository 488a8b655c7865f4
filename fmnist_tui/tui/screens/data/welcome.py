"""The first start: what this is, the dataset that arrives, sketches meanwhile, keys to go on."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy.typing as npt
from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from fmnist_tui.config.dataset_catalog import DATASETS
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.screens.data.loading import progress_bar, title
from fmnist_tui.tui.state.dataset_load import DatasetFetch
from fmnist_tui.tui.widgets.image_view import ImageView
from fmnist_tui.util.class_names import short_name
from fmnist_tui.util.text import safe_text

ABOUT = "A lab bench for image classifiers: browse, train, look at the mistakes."
_IMAGES = 10
_BAR_WIDTH = 40


class FirstTraining(NamedTuple):
    """What the one key of the welcome trains, and what comes of it with the real images."""

    recipe: str
    outcome: str = ""
    is_wanted: bool = False
    is_running: bool = False


class WelcomePane(VerticalScroll):
    """Shown instead of the images until there is a first run."""

    DEFAULT_CSS = """
    WelcomePane { display: none; height: 1fr; scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        Static { height: auto; width: 100%; }
        #strip { height: 12; margin: 1 0 0 0; }
        #strip ImageView { width: 1fr; height: 12; margin: 0 1 0 0; }
    }
    """
    KEYS_TITLE = "Welcome"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "screen.first_training", "Train", id="welcome.train"),
        Binding("enter", "screen.first_images", "Images", id="welcome.images"),
        Binding("T", "app.tour", "Tour", id="welcome.tour"),
        Binding("escape", "screen.cancel_load", "Cancel", show=False, id="welcome.cancel"),
    ]
    _about = getters.query_one("#about", Static)
    _arrival = getters.query_one("#arrival", Static)
    _keys = getters.query_one("#keys", Static)

    _shown: tuple[DatasetFetch, FirstTraining] | None = None

    def compose(self) -> ComposeResult:
        yield Static(Content.styled(ABOUT, "bold"), id="about")
        with Horizontal(id="strip"):
            for number in range(_IMAGES):
                yield ImageView(classes="late" if number >= _IMAGES // 2 else "")
        yield Static(id="what")
        yield Static(id="keys")
        yield Static(id="arrival")

    @property
    def text(self) -> str:
        """The whole text, without styles."""
        return "\n".join(str(part.content) for part in self.query(Static))

    def show_images(
        self, images: Sequence[npt.NDArray[Any]], names: Sequence[str], what: str
    ) -> None:
        """Show an image of each class, and what they are."""
        views = list(self.query(ImageView))
        for number, (view, image) in enumerate(zip(views, images, strict=False)):
            view.show(image, short_name(names, number, 12))
        self.query_one("#what", Static).update(Content.styled(what, "$foreground-muted"))

    def set_renderer(self, renderer: str) -> None:
        for view in self.query(ImageView):
            view.renderer = renderer

    def show(self, fetch: DatasetFetch, training: FirstTraining) -> None:
        """Show how the fetch goes, and what the keys do."""
        self._shown = fetch, training
        self.on_resize()

    def on_resize(self) -> None:
        width = self.scrollable_content_region.width
        if self._shown is None or not width:
            return
        fetch, training = self._shown
        arrival = Content("\n").join(format_arrival(fetch, width))
        keys = Content("\n").join(format_keys(fetch, training))
        for part, text in ((self._arrival, arrival), (self._keys, keys)):
            # An equal text is not laid out again.
            if part.content != text:
                part.update(text)


def format_share(fetch: DatasetFetch) -> str:
    """`Fashion-MNIST 43 %`, where there is space for a few words."""
    name = title(fetch.name)
    if fetch.dataset is not None:
        return f"{key_name('data.back')}: {name}"
    if not fetch.is_running:
        return f"no {name}"
    last = fetch.steps[-1:]
    total = last[0].total if last else None
    share = f"{100 * last[0].done // total} %" if total else "…"
    return f"{name} {share}"


def format_arrival(fetch: DatasetFetch, width: int) -> Iterator[Content]:
    """How the dataset arrives: the source that is being tried, and in a quiet line each that has
    not got it; where none has it, what to do."""
    name = title(fetch.name)
    yield Content("")
    if fetch.dataset is not None:
        about = f": {DATASETS[fetch.name].about}"
        yield Content.assemble(("✓ ", "$success"), (f"{name} is here", "bold"), about)
        return
    if fetch.is_running:
        about = f": {DATASETS[fetch.name].about}"
        yield Content.assemble(("▸ ", "$accent"), (f"{name} is on its way", "bold"), about)
    else:
        yield Content.styled(f"{name} could not be fetched", "bold")
        # The sources are listed below; only the last sentence, what to do, is new.
        reason = safe_text(fetch.problem.rsplit(". ", 1)[-1])
        yield from map(Content, textwrap.wrap(reason, width, break_on_hyphens=False))
    quiet = [step for step in fetch.steps if step.state == "failed"]
    for step in fetch.steps[len(quiet) :]:
        line = Content(safe_text(f"  {step.source}: {step.message}".removesuffix(": ")))
        yield line.truncate(width, ellipsis=True)
        if step.done or step.total:
            yield Content("  ") + progress_bar(step, min(_BAR_WIDTH, max(8, width - 34)))
    for step in quiet:
        line = Content.styled(safe_text(f"· {step.source}: {step.message}"), "$foreground-muted")
        yield line.truncate(width, ellipsis=True)


def format_keys(fetch: DatasetFetch, training: FirstTraining) -> Iterator[Content]:
    """The keys, and what each does now."""
    is_here = fetch.dataset is not None
    yield Content("")
    outcome = f": {training.outcome}" if training.outcome else ""
    if training.is_running:
        train = "show the run that is in progress"
    elif training.is_wanted:
        train = "training starts when the images are here; again: do not start it"
    elif is_here:
        train = f"train the recipe {training.recipe}{outcome}"
    elif fetch.is_running:
        train = f"train {training.recipe} when they are here{outcome}"
    else:
        train = f"train the recipe {training.recipe} on the sketches"
    yield _key("welcome.train", train, important=True)
    yield _key("welcome.images", "look at the images" if is_here else "look at the sketches")
    if not is_here and not fetch.is_running:
        yield _key("data.fetch", f"try to fetch {title(fetch.name)} again")
    yield _key("welcome.tour", "a tour of two minutes through all screens, on sketches")
    yield _key("data.dataset", "choose another dataset, also images of your own")


def _key(binding: str, words: str, important: bool = False) -> Content:
    key = f"{key_name(binding):<7}"
    return Content.assemble((key, "bold $accent"), (words, "bold" if important else ""))
