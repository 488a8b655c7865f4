"""Browsing a dataset: splits and classes on the left, images on the right."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from fmnist_tui.data.browse import match_classes
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.screens.data.class_list import ClassList, DatasetHeader
from fmnist_tui.tui.screens.data.sample import SampleNumbers, SampleView
from fmnist_tui.tui.screens.data.view import DatasetView, Mode
from fmnist_tui.tui.widgets.gallery import Gallery
from fmnist_tui.tui.widgets.image_view import ImageView
from fmnist_tui.util.text import safe_text

# Seconds that the cursor rests before the large image beside the gallery is drawn.
_LARGE_IMAGE_DELAY = 0.15


class DatasetBrowser(Horizontal):
    """Shows the images of a DatasetView."""

    KEYS_TITLE = "Dataset"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "split", "Split", id="data.split"),
        Binding("slash", "filter", "Filter", key_display="/", id="data.filter"),
        Binding("backspace", "all_classes", "All classes", show=False, id="data.everything"),
        Binding("escape", "back", "Back", show=False, id="data.back"),
    ]
    view: DatasetView | None = None
    _timer: Timer | None = None

    header = getters.query_one(DatasetHeader)
    filter_input = getters.query_one("#filter", Input)
    class_list = getters.query_one(ClassList)
    large_image = getters.query_one("#large", ImageView)
    numbers = getters.query_one(SampleNumbers)
    gallery = getters.query_one(Gallery)
    sample = getters.query_one(SampleView)

    class ImagesChanged(Message):
        """Other images are on the page, or the cursor has moved."""

    class Left(Message):
        """The user has gone back where nothing is open that could be closed."""

    def compose(self) -> ComposeResult:
        with Vertical(id="side"):
            yield DatasetHeader(classes="pane")
            yield Input(placeholder="part of a class name, or its number", id="filter")
            yield ClassList(classes="pane")
            with Vertical(id="sample", classes="pane") as sample:
                sample.border_title = "under the cursor"
                yield ImageView(id="large")
                yield SampleNumbers()
        with Vertical(id="main"):
            yield Gallery(classes="pane")
            yield SampleView(classes="pane")

    @property
    def is_single(self) -> bool:
        """Whether one image is shown instead of a page of them."""
        return self.has_class("-single")

    @property
    def is_filtering(self) -> bool:
        return self.has_class("-filtering")

    # -- what is shown --------------------------------------------------------------------

    def open(self, view: DatasetView) -> None:
        """Show another dataset."""
        self.view = view
        self.filter_input.clear()
        self.remove_class("-single", "-filtering")
        self.class_list.cursor = 0
        self.update()

    def update(self, cursor: int = 0) -> None:
        """Show everything again after the split, the filter or the mode has changed."""
        view = self.view
        if view is None:
            return
        self.header.show(view.filter, view.on_disk)
        self.class_list.show(view.filter)
        self._show_class_count()
        empty = f"no images of {view.filter.describe()} in {view.filter.split.name}"
        if view.filter.selected:
            empty += name_keys("\n{data.everything} shows all classes")
        self.gallery.show(len(view), view.tile, empty, cursor)
        if not len(view):
            self.remove_class("-single")
            self._show_details()

    def set_mode(self, mode: Mode) -> None:
        if self.view is not None:
            previous, self.view.mode = self.view.mode, mode
            if "means" in (previous, mode):
                self.update()
            else:
                self.redraw()

    def set_on_disk(self, on_disk: bool) -> None:
        """Show whether the files of the dataset still exist."""
        if self.view is not None and self.view.on_disk != on_disk:
            self.view.on_disk = on_disk
            self.header.show(self.view.filter, on_disk)

    def _show_class_count(self) -> None:
        if self.view is not None:
            selected, classes = self.view.filter.selected, self.view.filter.classes
            count = f"{len(selected)} of {len(classes)} classes" if selected else "all classes"
            self.class_list.border_title = count

    def redraw(self) -> None:
        """Draw the same images again: they look different now."""
        self.gallery.redraw()
        self._show_details()

    def set_appearance(self, zoom: str, renderer: str) -> None:
        self.gallery.zoom = zoom
        for widget in (self.gallery, *self.query(ImageView)):
            widget.renderer = renderer
        self._show_details()

    def show_single(self, single: bool) -> None:
        """Show the image at the cursor alone, or the page again."""
        self.set_class(single, "-single")
        self._show_details()
        self._focus_images()

    def _focus_images(self) -> None:
        (self.sample if self.is_single else self.gallery).focus()

    def _show_details(self) -> None:
        """Update titles and numbers for the image at the cursor."""
        view, gallery = self.view, self.gallery
        if view is None:
            return
        title = Content(safe_text(view.title))
        gallery.label(title, Content(f"{gallery.position} · {gallery.zoom} · {gallery.renderer}"))
        if self._timer is not None:
            self._timer.stop()
        if not len(view):
            self.numbers.show([], None)
            self.large_image.show(None)
            return
        image, facts = view.image(gallery.cursor), view.facts(gallery.cursor)
        self.numbers.show(facts, image)
        if self.is_single:
            self.sample.border_title = title
            self.sample.border_subtitle = name_keys(
                "{sample.previous}, {sample.next}: other images · {data.back}: the page"
            )
            self.sample.show(image, Content("  ".join(value for _, value in facts)))
        elif self.large_image.display:
            show = partial(self.large_image.show, image)
            self._timer = self.set_timer(_LARGE_IMAGE_DELAY, show)

    @on(Gallery.CursorMoved)
    def _on_cursor_moved(self) -> None:
        self._show_details()
        self.post_message(self.ImagesChanged())

    @on(Gallery.ImageOpened)
    def _on_image_opened(self, event: Gallery.ImageOpened) -> None:
        if self.view is not None and self.view.mode == "means":
            self._select_classes({event.number})
        else:
            self.show_single(True)

    @on(SampleView.SampleStepped)
    def _on_stepped(self, event: SampleView.SampleStepped) -> None:
        self.gallery.cursor += event.by

    # -- split and filter -----------------------------------------------------------------

    def go_to(self, number: int) -> None:
        """Put the cursor on this image; instead of class means the images are shown."""
        if self.view is not None and self.view.mode == "means":
            self.view.mode = "original"
            self.update(number)
        self.gallery.go_to(number)

    def action_split(self) -> None:
        if self.view is not None:
            self._select_split(self.view.filter.next_split())

    @on(DatasetHeader.SplitClicked)
    def _on_split_clicked(self, event: DatasetHeader.SplitClicked) -> None:
        self._select_split(event.split)

    def _select_split(self, name: str) -> None:
        if self.view is not None and self.view.filter.split.name != name:
            self.view.select_split(name)
            self.update()

    def action_all_classes(self) -> None:
        self._select_classes(())

    def action_filter(self) -> None:
        # A key that arrives while the dataset is being replaced must not focus a hidden input.
        if self.view is not None:
            self.add_class("-filtering")
            self.filter_input.focus()

    @on(Input.Changed, "#filter")
    def _on_filter_changed(self, event: Input.Changed) -> None:
        if self.view is None or not self.is_filtering:
            return
        matches = match_classes(self.view.filter.classes, event.value)
        if event.value.strip() and not matches:
            self.class_list.border_title = "no matching class"
        elif matches != self.view.filter.selected:
            self._select_classes(matches)
        else:
            self._show_class_count()

    @on(ClassList.ClassToggled)
    def _on_class_toggled(self, event: ClassList.ClassToggled) -> None:
        if self.view is not None:
            self._select_classes(self.view.filter.selected ^ {event.number})

    def _select_classes(self, classes: Iterable[int]) -> None:
        if self.view is not None:
            self.view.select_classes(classes)
            self.update()

    @on(Input.Submitted, "#filter")
    def _end_filter(self) -> None:
        self.filter_input.clear()
        self.remove_class("-filtering")
        self._show_class_count()
        self._focus_images()

    def action_back(self) -> None:
        """Go one step back: from the filter line, the single image, the mode, the filter."""
        if self.view is None:
            return
        if self.is_filtering:
            self._end_filter()
            self._select_classes(())
        elif self.is_single:
            self.show_single(False)
        elif self.view.mode != "original":
            self.set_mode("original")
        elif self.view.filter.selected:
            self._select_classes(())
        else:
            self.post_message(self.Left())
