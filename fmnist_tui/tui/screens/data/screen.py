"""Data: the pictures of a data set, by split and class, as they are or as a model is shown them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import Reactive
from textual.widget import Widget

from fmnist_tui.config import dataset_catalog
from fmnist_tui.config.dataset_catalog import SPLITS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.browse import DatasetFilter, class_means
from fmnist_tui.render.renderers import renderer_names
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog, TextDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.data import augmentation, loading
from fmnist_tui.tui.screens.data.browser import Browser
from fmnist_tui.tui.screens.data.class_list import Head
from fmnist_tui.tui.screens.data.loading import DatasetLoad
from fmnist_tui.tui.screens.data.loading_pane import LoadingPane
from fmnist_tui.tui.screens.data.view import DatasetView, Image
from fmnist_tui.tui.state.dataset_cache import DatasetSpec
from fmnist_tui.tui.widgets.gallery_layout import ZOOMS
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.dataset import Dataset

FIRST = "fashion"
_PATH = "path"
# Seconds from one look at whether the files are still there to the next.
WATCH = 2.0


class DataScreen(DashboardScreen):
    """A data set to look through, or how to get one."""

    NAME, KEY, TITLE = "data", "1", "Data"
    HELP = (
        "The pictures that a model learns from and is judged by. No class marked means all of "
        "them. #12 is a picture's index: its place in the file it came from."
    )
    CSS_PATH = "screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "fetch", "Fetch", id="data.fetch"),
        Binding("s", "dataset", "Data set", id="data.dataset"),
        Binding("g", "goto", "Go to", id="data.goto"),
        Binding("a", "augmented", "Augmented", id="data.augmented"),
        Binding("m", "means", "Means", id="data.means"),
        Binding("z", "zoom", "Zoom", id="view.zoom"),
        Binding("r", "renderer", "How pictures are drawn", show=False, id="view.renderer"),
        Binding("i", "about", "About this data set", show=False, id="data.about"),
        Binding("S", "sketches", "Sketches (SYNTHETIC)", show=False, id="data.sketches"),
    ]

    # Textual paints the whole screen anew when this changes; here only two panes look different.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self) -> None:
        super().__init__(classes="-getting")
        self._wanted = ""
        self._getting: DatasetLoad | None = None
        self._config: RunConfig | None = None
        self._seed = 0

    def panes(self) -> Iterable[Widget]:
        yield Browser()
        yield LoadingPane(classes="pane")

    def on_mount(self) -> None:
        self._steps = self.set_interval(0.1, self._tell_steps, pause=True)
        self._watch = self.set_interval(WATCH, self._look_at_files)
        self._appear()
        self._look_for(self.app_state.settings.get("dataset", FIRST))

    def on_unmount(self) -> None:
        self._leave_getting()

    def on_screen_suspend(self) -> None:
        self._steps.pause()
        self._watch.pause()

    def on_screen_resume(self) -> None:
        self._appear()
        self._watch.resume()
        if self._getting is not None:
            self._steps.resume()
        elif self._exhibit is None and loading.can_be_fetched(self._wanted):
            # A training may have brought it meanwhile.
            name = self._wanted
            self.later(
                partial(self.app_state.datasets.is_present, name), partial(self._again, name)
            )

    def _again(self, name: str, there: bool) -> None:
        if there and name == self._wanted and self._getting is None:
            self._look_for(name)

    @property
    def _browser(self) -> Browser:
        return self.query_one(Browser)

    @property
    def _exhibit(self) -> DatasetView | None:
        return self._browser.exhibit

    # -- getting a data set --------------------------------------------------------------

    def _look_for(self, name: str) -> None:
        """Show a data set if it is on this machine; else say what can be done."""
        found = self.app_state.datasets.get(DatasetSpec(name))
        task = self._begin(name, f"reading {loading.title(name)} …")
        if found is not None:
            self._open(found)
        else:
            self.later(task.read, self._looked, self._not_there, group="data")

    def _looked(self, dataset: Dataset | None) -> None:
        if dataset is None:
            self._not_there("")
        else:
            self._open(dataset)

    @on(LoadingPane.Wanted)
    def action_fetch(self) -> None:
        if self._exhibit is not None or self._getting is not None:
            return
        if loading.can_be_fetched(self._wanted):
            task = self._begin(self._wanted, f"fetching {loading.title(self._wanted)} …")
            self.later(task.fetch, self._open, self._not_there, group="data")
        else:
            self._look_for(self._wanted)

    def _begin(self, name: str, head: str) -> DatasetLoad:
        """Whatever is shown or under way gives place to the getting of this."""
        self._leave_getting()
        self._wanted = name
        self._browser.exhibit = None
        self.add_class("-getting")
        fetching = self.query_one(LoadingPane)
        fetching.border_title = Content(loading.title(name))
        fetching.begin(Content.styled(head, "bold"), "escape cancels")
        fetching.focus()
        self._getting = DatasetLoad(self.app_state.datasets, name)
        self._steps.resume()
        self.refresh_bindings()
        return self._getting

    def _not_there(self, why: str) -> None:
        """Nothing to show: say so in place, and what to press."""
        self._tell_steps()
        self._getting = None
        self._steps.pause()
        fetching, name = self.query_one(LoadingPane), loading.title(self._wanted)
        head = [Content.styled(f"{name} cannot be shown" if why else f"{name} is not here", "bold")]
        if why:
            head.append(Content(safe_text(loading.advice(why, fetching.told))))
        fetching.say(Content("\n").join(head), loading.ways_on(self._wanted, bool(why)))
        self.refresh_bindings()

    @on(LoadingPane.Cancelled)
    def _cancelled(self) -> None:
        if self._getting is not None:
            self._getting.cancel()
            self.workers.cancel_group(self, "data")
            self._not_there("cancelled; what had come is kept")

    def _tell_steps(self) -> None:
        if self._getting is not None and (news := self._getting.news()):
            self.query_one(LoadingPane).add(news)

    def _leave_getting(self) -> None:
        """Whatever is being read or fetched is of no interest any more."""
        if self._getting is not None:
            self._getting.cancel()
        self._getting = None
        self.workers.cancel_group(self, "data")
        self._steps.pause()

    def _open(self, dataset: Dataset) -> None:
        self._getting = None
        self._steps.pause()
        self.app_state.settings.save("dataset", self._wanted)
        self._config = None
        self.remove_class("-getting")
        self._browser.open(DatasetView(DatasetFilter(dataset)))
        self._browser.gallery.focus()
        self.refresh_bindings()

    def _look_at_files(self) -> None:
        """Pictures stay in memory; that their files have gone is worth saying all the same."""
        exhibit = self._exhibit
        if exhibit is not None:
            told = partial(self._files, exhibit)
            look = partial(self.app_state.datasets.is_present, self._wanted)
            self.later(look, told, lambda why: told(False), group="files")

    def _files(self, exhibit: DatasetView, there: bool) -> None:
        if exhibit is self._exhibit:
            self._browser.note_files(there)

    # -- choosing one --------------------------------------------------------------------

    @on(Head.Title)
    def action_dataset(self) -> None:
        names = [*dataset_catalog.DATASETS]
        if self._wanted and self._wanted not in names:
            names.append(self._wanted)
        present = self.app_state.datasets.is_present
        self.later(lambda: {name: present(name) for name in names}, self._pick, group="pick")

    def _pick(self, there: dict[str, bool]) -> None:
        path = Content("? a folder of class folders, or of idx files: type where it is")
        items = [*loading.choices(there), (_PATH, path)]
        self.over(PickerDialog("data set", items), self._picked)

    def _picked(self, name: str | None, typed: str = "folder:") -> None:
        if name == _PATH:
            ask = PromptDialog("folder:PATH, idx:PATH or both:PATH", typed, "folder:PATH")
            self.app.push_screen(ask, self._typed)
        elif name is not None:
            self._look_for(name)

    def _typed(self, text: str | None) -> None:
        if text is not None:
            self.later(partial(loading.named, text), partial(self._named, text), group="pick")

    def _named(self, text: str, name: str) -> None:
        if dataset_catalog.is_dataset_name(name):
            self._look_for(name)
        else:
            self.notify_error(
                f"“{safe_text(text, 60)}” names no data set: folder:PATH is one, or mnist"
            )
            self._picked(_PATH, text)

    def action_sketches(self) -> None:
        self._look_for(loading.SKETCHES)

    def action_about(self) -> None:
        exhibit = self._exhibit
        if exhibit is None:
            return
        dataset = exhibit.browse.dataset
        counts = (f"{name} {len(dataset.split(name)):,}" for name in SPLITS)
        lines = [dataset.info.about, f"from {dataset.source}", " · ".join(counts)]
        if not exhibit.on_disk:
            lines.append("its files are gone; what is shown here is kept in memory")
        if dataset.notes:
            lines += ["", *dataset.notes]
        text = "\n".join(safe_text(line) for line in lines)
        self.app.push_screen(TextDialog(safe_text(dataset.info.title), Content(text)))

    # -- looking at it -------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "fetch":
            return self.has_class("-getting") and self._getting is None
        if action in ("goto", "augmented", "means", "zoom", "about"):
            return not self.has_class("-getting")
        return True

    def _appear(self) -> None:
        """Draw pictures in the way that was chosen, here or on another screen."""
        usual_zoom = "full" if self.app.size.width >= 100 else "small"
        zoom = self.app_state.settings.get("zoom", usual_zoom)
        self._browser.appear(zoom if zoom in ZOOMS else usual_zoom, self.app_state.renderer)

    def action_zoom(self) -> None:
        zooms = list(ZOOMS)
        now = self._browser.gallery.zoom
        self.app_state.settings.save("zoom", zooms[(zooms.index(now) + 1) % len(zooms)])
        self._appear()

    def action_renderer(self) -> None:
        if self.app_state.ascii:
            self.notify("started with --ascii: pictures are ASCII until you leave")
            return
        kinds = renderer_names()
        now = self._browser.gallery.renderer
        self.app_state.settings.save("renderer", kinds[(kinds.index(now) + 1) % len(kinds)])
        self._appear()

    def action_goto(self) -> None:
        self.app.push_screen(
            PromptDialog("go to index", hint="12: the picture's place in its file"), self._go
        )

    def _go(self, text: str | None) -> None:
        if text is not None:
            try:
                self._browser.go_to(text)
            except UserError as error:
                self.notify_error(str(error))

    def action_means(self) -> None:
        exhibit = self._exhibit
        if exhibit is not None:
            browse = exhibit.browse
            work = partial(class_means, browse.split, len(browse.classes))
            self.later(work, partial(self._show_means, browse.split.name), group="means")

    def _show_means(self, split: str, means: Image) -> None:
        exhibit = self._exhibit
        if exhibit is not None and exhibit.browse.split.name == split:
            exhibit.show_means(means)
            if self._browser.one:
                self._browser.show_one(False)
            self._browser.renew()

    # -- as a model is shown it ------------------------------------------------------------

    def action_augmented(self) -> None:
        """The pictures under the augmentation in use; another throw of the dice each time."""
        exhibit = self._exhibit
        if exhibit is None:
            return
        try:
            config, whose = augmentation.in_use(self.app_state)
        except UserError as error:
            self.notify_error(str(error))
            return
        told = augmentation.described(config)
        if not told:
            self.notify(
                f"{whose} has no augmentation: a model is shown the pictures as they are. "
                "Choose one in Train's form: press 2"
            )
            return
        means = exhibit.view == "means"
        self._config, self._seed = config, self._seed + 1
        exhibit.show_augmented(f"{told} · {whose}")
        if means:
            self._browser.renew()
        else:
            self._browser.redraw()
        self._augment(exhibit)

    @on(Browser.Changed)
    def _changed(self) -> None:
        exhibit = self._exhibit
        if exhibit is None:
            return
        if exhibit.stale:
            self.action_means()
        elif exhibit.lacks(self._browser.gallery.shown):
            self._augment(exhibit)

    def _augment(self, exhibit: DatasetView) -> None:
        numbers = list(self._browser.gallery.shown)
        if self._config is None or not numbers:
            return
        originals = exhibit.originals(numbers)
        side = min(originals.shape[1:3])
        if max(self._config.crop, self._config.shift) >= side:
            self._give_up(
                exhibit, f"the augmentation is for larger pictures than these of {side} pixels"
            )
            return
        try:
            future = self.app_state.session.augment(self._config, originals, self._seed)
        except UserError as error:
            self._give_up(exhibit, str(error))
            return
        then = partial(self._take, exhibit, exhibit.generation, numbers)
        self.answer(future, then, partial(self._give_up, exhibit), group="augmented")

    def _give_up(self, exhibit: DatasetView, why: str) -> None:
        """The pictures as they are, and why they are no others."""
        self.notify_error(why)
        if exhibit.view == "augmented":
            exhibit.show_plain()
            self._browser.redraw()

    def _take(
        self, exhibit: DatasetView, generation: int, numbers: list[int], images: Image
    ) -> None:
        current = exhibit is self._exhibit and generation == exhibit.generation
        if current and exhibit.view == "augmented":
            exhibit.take(dict(zip(numbers, images, strict=True)))
            self._browser.redraw()
