"""The Data screen: the images of a dataset, by split and class, as they are or augmented."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import getters, on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import Reactive
from textual.widget import Widget

from fmnist_tui.config.dataset_catalog import DATASETS, SPLITS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.browse import class_means
from fmnist_tui.tui.base.copying import ToCopy
from fmnist_tui.tui.base.dialog_flow import dialog_flow
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog, TextDialog
from fmnist_tui.tui.base.image_screen import ImageScreen
from fmnist_tui.tui.base.screen import FOLD_BELOW
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.screens.data import augmentation, loading
from fmnist_tui.tui.screens.data.browser import DatasetBrowser
from fmnist_tui.tui.screens.data.class_list import DatasetHeader
from fmnist_tui.tui.screens.data.first_start import FirstStart
from fmnist_tui.tui.screens.data.loading_pane import LoadingPane
from fmnist_tui.tui.screens.data.to_copy import dataset_to_copy
from fmnist_tui.tui.screens.data.view import DatasetView, Image
from fmnist_tui.tui.screens.data.welcome import WelcomePane
from fmnist_tui.tui.state.dataset_cache import DatasetSpec
from fmnist_tui.tui.state.dataset_load import DatasetLoad
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.dataset import Dataset

DEFAULT_DATASET = "fashion"
_PATH = "path"
# Seconds between checks whether the dataset's files still exist.
FILE_CHECK_INTERVAL = 2.0


class DataScreen(ImageScreen):
    """A dataset to browse, or how to get one."""

    NAME, KEY, TITLE = "data", "1", "Data"
    HELP = (
        "The images that models are trained and tested on. With no class selected, all classes "
        "are shown. #12 is an image's index: its position in the file that it comes from."
    )
    CSS_PATH = "screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "fetch", "Fetch", id="data.fetch"),
        Binding("s", "dataset", "Dataset", id="data.dataset"),
        Binding("g", "goto", "Go to", id="data.goto"),
        Binding("a", "augmented", "Augmented", id="data.augmented"),
        Binding("m", "means", "Means", id="data.means"),
        Binding("z", "zoom", "Zoom", id="view.zoom"),
        Binding("r", "renderer", "How images are drawn", show=False, id="view.renderer"),
        Binding("i", "about", "About this dataset", show=False, id="data.about"),
        Binding("S", "sketches", "Sketches (SYNTHETIC)", show=False, id="data.sketches"),
    ]
    # Textual repaints the whole screen when this changes; here only two panes look different.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    browser = getters.query_one(DatasetBrowser)
    loading_pane = getters.query_one(LoadingPane)
    _dataset_name = ""
    _load: DatasetLoad | None = None
    _config: RunConfig | None = None
    _seed = 0

    def __init__(self) -> None:
        super().__init__(classes="-loading")
        self._first_start = FirstStart(self)

    def panes(self) -> Iterable[Widget]:
        yield DatasetBrowser()
        yield LoadingPane(classes="pane")
        welcome = WelcomePane(classes="pane")
        welcome.border_title = "Welcome"
        yield welcome

    def on_mount(self) -> None:
        self._step_timer = self.set_interval(0.1, self._show_steps, pause=True)
        self._file_timer = self.set_interval(FILE_CHECK_INTERVAL, self._check_files)
        chosen = self.app_state.settings.get("dataset")
        if chosen:
            self.load_dataset(chosen)
        else:
            self.run_in_thread(self._first_start.is_first, self._begin)

    def _begin(self, is_first: bool) -> None:
        if is_first:
            self._show_welcome()
            # Its threads would delay the first frame.
            self.call_after_refresh(self._first_start.begin, DEFAULT_DATASET)
        else:
            self.load_dataset(DEFAULT_DATASET)

    def _show_welcome(self) -> None:
        self._cancel_load()
        self.browser.view = None
        self.remove_class("-loading")
        self.add_class("-welcome")
        self.query_one(WelcomePane).focus()
        self.refresh_bindings()

    @on(DatasetBrowser.Left)
    def _go_back(self) -> None:
        if self._first_start.is_active:
            self._show_welcome()

    def on_unmount(self) -> None:
        self._cancel_load()

    def on_screen_suspend(self) -> None:
        self._step_timer.pause()
        self._file_timer.pause()

    def on_screen_resume(self) -> None:
        self._file_timer.resume()
        if self._first_start.is_active and self.app_state.feed is not None:
            self._end_first_start()
        if self._load is not None:
            self._step_timer.resume()
        elif self.view is None and self._dataset_name in DATASETS:
            # A run may have fetched it in the meantime.
            is_present = partial(self.app_state.datasets.is_present, self._dataset_name)
            self.run_in_thread(is_present, partial(self._reload, self._dataset_name))

    def _end_first_start(self) -> None:
        """There is a run: show what it is trained on, or go on fetching."""
        self._first_start.update()
        if not self._first_start.is_fetching:
            self._first_start.end()
            if self.has_class("-welcome"):
                self.load_dataset(self._first_start.dataset)

    def _reload(self, name: str, is_present: bool) -> None:
        if is_present and name == self._dataset_name and self._load is None:
            self.load_dataset(name)

    @property
    def view(self) -> DatasetView | None:
        return self.browser.view

    # -- loading a dataset ----------------------------------------------------------------

    def load_dataset(self, name: str, fetch: bool = False) -> None:
        """Show a dataset if it is on this machine or may be fetched, else what can be done."""
        self._cancel_load()
        self._dataset_name, self.browser.view = name, None
        self._load = load = DatasetLoad(self.app_state.datasets, name)
        self.remove_class("-welcome")
        self.add_class("-loading")
        self.loading_pane.border_title = Content(loading.title(name))
        heading = f"{'fetching' if fetch else 'reading'} {loading.title(name)} …"
        self.loading_pane.show(
            Content.styled(heading, "bold"), Content(name_keys("{fetching.cancel} cancels"))
        )
        self.loading_pane.focus()
        self._step_timer.resume()
        self.refresh_bindings()
        loaded = self.app_state.datasets.get(DatasetSpec(name))
        if loaded is not None:
            self._on_loaded(loaded)
        else:
            run = partial(load.run, fetch)
            self.run_in_thread(run, self._on_loaded, self._on_unavailable, group="data")

    def _show_steps(self) -> None:
        if self._load is not None:
            self.loading_pane.show_steps(tuple(self._load.steps))

    def _cancel_load(self) -> None:
        if self._load is not None:
            self._load.cancelled.set()
            self.workers.cancel_group(self, "data")
        self._end_load()

    def _end_load(self) -> None:
        self._load = None
        self._step_timer.pause()
        self.refresh_bindings()

    def _on_loaded(self, dataset: Dataset | None) -> None:
        if dataset is None:
            self._on_unavailable("")
            return
        self._end_load()
        if not self._first_start.is_active:
            self.app_state.settings.save("dataset", self._dataset_name)
        self._config = None
        self.remove_class("-loading")
        self.browser.open(DatasetView(dataset))
        self.browser.gallery.focus()

    def _on_unavailable(self, reason: str) -> None:
        """Show why there is no dataset, and which keys to press."""
        steps = self._load.final_steps() if self._load is not None else []
        self._end_load()
        name = loading.title(self._dataset_name)
        heading = f"{name} cannot be loaded" if reason else f"{name} is not downloaded yet"
        lines = [Content.styled(heading, "bold")]
        if sum(step.state == "failed" for step in steps) > 1:
            # The sources are listed below; only the last sentence, what to do, is new.
            reason = reason.rsplit(". ", 1)[-1]
        if reason:
            lines.append(Content(safe_text(reason)))
        hints = loading.key_hints(self._dataset_name, bool(reason))
        self.loading_pane.show(Content("\n").join(lines), hints, steps)

    def action_cancel_load(self) -> None:
        if self.has_class("-welcome") and self.app_state.fetch is not None:
            self.app_state.fetch.cancel()
        elif self._load is not None:
            self._load.cancelled.set()
            self.workers.cancel_group(self, "data")
            self._on_unavailable("cancelled; partial downloads are kept")

    def action_first_training(self) -> None:
        self._first_start.train()

    def action_first_images(self) -> None:
        self.load_dataset(self._first_start.dataset)

    def action_fetch(self) -> None:
        if self.has_class("-welcome"):
            self._first_start.again()
        elif self.view is None and self._load is None:
            self.load_dataset(self._dataset_name, fetch=self._dataset_name in DATASETS)

    @work(group="files", exclusive=True)
    async def _check_files(self) -> None:
        """Show whether the files of the dataset still exist; its images stay in memory."""
        view = self.view
        if view is None:
            return
        try:
            name = self._dataset_name
            on_disk = await self.in_thread(partial(self.app_state.datasets.is_present, name))
        except (UserError, OSError):
            on_disk = False
        if view is self.view:
            self.browser.set_on_disk(on_disk)

    # -- choosing a dataset ---------------------------------------------------------------

    @on(DatasetHeader.TitleClicked)
    @dialog_flow
    async def action_dataset(self) -> None:
        is_present = self.app_state.datasets.is_present
        # The dataset shown may be one from a path.
        names = dict.fromkeys([*DATASETS, self._dataset_name])
        present = await self.in_thread(lambda: {name: is_present(name) for name in names})
        path = Content("? a folder of class folders or of idx files: enter its path")
        items = [*loading.picker_items(present), (_PATH, path)]
        name = await self.ask(PickerDialog("Which dataset", items))
        if name == _PATH:
            hint = "folder:PATH, idx:PATH, or both:PATH with Fashion-MNIST"
            dialog = PromptDialog("Path of a dataset", "", hint, loading.check_name)
            typed = await self.ask(dialog)
            name = typed and await self.in_thread(partial(loading.complete_name, typed))
        if name and self._first_start.is_active:
            self._first_start.end()
            if self.app_state.fetch is not None and name != self.app_state.fetch.name:
                self.app_state.fetch.cancel()
        if name:
            self.load_dataset(name)

    def action_sketches(self) -> None:
        self.load_dataset(loading.SKETCHES)

    def action_about(self) -> None:
        if self.view is None:
            return
        dataset = self.view.filter.dataset
        counts = (f"{name} {len(dataset.split(name)):,}" for name in SPLITS)
        lines = [dataset.info.about, f"from {dataset.source}", " · ".join(counts)]
        if not self.view.on_disk:
            lines.append("The files are missing; the images shown are kept in memory.")
        if dataset.notes:
            lines += ["", *dataset.notes]
        text = "\n".join(safe_text(line) for line in lines)
        self.app.push_screen(TextDialog(safe_text(dataset.info.title), Content(text)))

    def to_copy(self) -> ToCopy:
        if self.view is None:
            return ToCopy()
        cursor, page = self.browser.gallery.cursor, self.browser.gallery.page_numbers
        return dataset_to_copy(self.app_state, self._dataset_name, self.view, cursor, page)

    # -- browsing it ----------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "cancel_load":
            return self._load is not None or self._first_start.is_fetching
        if action == "fetch" and self.has_class("-welcome"):
            return self._first_start.has_failed
        if action == "fetch":
            return self.has_class("-loading") and self._load is None
        if action in ("goto", "augmented", "means", "zoom", "about"):
            return not (self.has_class("-loading") or self.has_class("-welcome"))
        return True

    @property
    def default_zoom(self) -> str:
        return "full" if self.app.size.width >= FOLD_BELOW else "small"

    def update_appearance(self) -> None:
        self.browser.set_appearance(self.zoom, self.app_state.renderer)
        self.query_one(WelcomePane).set_renderer(self.app_state.renderer)

    @dialog_flow
    async def action_goto(self) -> None:
        view = self.view
        if view is None:
            return
        hint = "12: the image's position in its file"
        text = await self.ask(PromptDialog("go to index", "", hint, view.check_index))
        if text is not None and view is self.view:
            self.browser.go_to(view.filter.find(text))

    def action_means(self) -> None:
        """Show the mean image of each class, or the images again."""
        if self.view is not None and self.view.mode == "means":
            self.browser.set_mode("original")
        else:
            self._show_means()

    @work(group="means", exclusive=True)
    async def _show_means(self) -> None:
        view = self.view
        if view is None:
            return
        split, classes = view.filter.split, view.filter.classes
        means = await self.in_thread(partial(class_means, split, len(classes)))
        if view is self.view and view.filter.split is split:
            view.set_means(means)
            if self.browser.is_single:
                self.browser.show_single(False)
            self.browser.set_mode("means")

    # -- augmented images -----------------------------------------------------------------

    def action_augmented(self) -> None:
        """Show the images with the current augmentation, with other random numbers each time."""
        if self.view is None:
            return
        try:
            config, source = augmentation.current_config(self.app_state)
        except UserError as error:
            self.notify_error(str(error))
            return
        description = augmentation.describe_augmentation(config)
        if not description:
            self.notify(f"{source} has no augmentation: choose one on Train ({{show.train}})")
            return
        self._config, self._seed = config, self._seed + 1
        self.view.augmentation = f"{description} · {source}"
        self.browser.set_mode("augmented")
        self._augment(self.view)

    @on(DatasetBrowser.ImagesChanged)
    def _update_images(self) -> None:
        if self.view is not None and self.view.has_old_means:
            self._show_means()
        elif self.view is not None and self.view.is_pending(self.browser.gallery.page_numbers):
            self._augment(self.view)

    def _augment(self, view: DatasetView) -> None:
        numbers = list(self.browser.gallery.page_numbers)
        if self._config is None or not numbers:
            return
        originals, images = view.originals(numbers), view.augmented
        side = min(originals.shape[1:3])
        try:
            if max(self._config.crop, self._config.shift) >= side:
                raise UserError(f"crop and shift must be smaller than the images: {side} pixels")
            future = self.app_state.session.augment(self._config, originals, self._seed)
        except UserError as error:
            self._on_augment_failed(str(error))
            return

        def on_augmented(augmented: Image) -> None:
            # If the filter has changed meanwhile, the view has another dict.
            images.clear()
            images.update(zip(numbers, augmented, strict=True))
            self.browser.redraw()

        self.await_session(future, on_augmented, self._on_augment_failed, group="augmented")

    def _on_augment_failed(self, message: str) -> None:
        self.notify_error(message)
        if self.view is not None and self.view.mode == "augmented":
            self.browser.set_mode("original")
