"""A data set to look through: splits and classes on the left, pictures on the right."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from fmnist_tui.data.browse import match_classes
from fmnist_tui.tui.screens.data.class_list import ClassList, Head
from fmnist_tui.tui.screens.data.sample import SampleNumbers, SampleView
from fmnist_tui.tui.screens.data.view import DatasetView
from fmnist_tui.tui.widgets.gallery import Gallery
from fmnist_tui.tui.widgets.picture import PictureView
from fmnist_tui.util.text import safe_text

# The large picture beside the gallery waits until the cursor rests.
_REST = 0.15


class Browser(Horizontal):
    """Shows an exhibit; says `Changed` whenever other pictures of it are on the page."""

    KEYS_TITLE = "The data set"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "split", "Split", id="data.split"),
        Binding("slash", "filter", "Filter", key_display="/", id="data.filter"),
        Binding("backspace", "everything", "All classes", show=False, id="data.everything"),
        Binding("escape", "back", "Back", show=False, id="data.back"),
    ]

    class Changed(Message):
        """Other pictures are shown: another page, split or filter."""

    def __init__(self) -> None:
        super().__init__()
        self.exhibit: DatasetView | None = None
        self._rest: Timer | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="side"):
            yield Head(classes="pane")
            yield Input(placeholder="part of a class, or a number", id="filter")
            yield ClassList(classes="pane")
            with Vertical(id="sample", classes="pane") as sample:
                sample.border_title = "under the cursor"
                yield PictureView(id="large")
                yield SampleNumbers()
        with Vertical(id="main"):
            yield Gallery(classes="pane")
            yield SampleView(classes="pane")

    @property
    def gallery(self) -> Gallery:
        return self.query_one(Gallery)

    @property
    def one(self) -> bool:
        """Whether a single picture is shown, not a page of them."""
        return self.has_class("-one")

    # -- what is shown ---------------------------------------------------------------------

    def open(self, exhibit: DatasetView) -> None:
        """Show another data set."""
        self.exhibit = exhibit
        self.query_one("#filter", Input).clear()
        self.remove_class("-one", "-filtering")
        self.query_one(ClassList).cursor = 0
        self.renew()

    def renew(self, at: int = 0) -> None:
        """Show everything anew: split, filter or kind of view are others."""
        exhibit = self.exhibit
        if exhibit is None:
            return
        browse = exhibit.browse
        self.query_one(Head).show(browse, exhibit.on_disk)
        self.query_one(ClassList).show(browse)
        self._count_classes()
        empty = f"no pictures of {browse.describe()} in {browse.split.name}"
        if browse.selected:
            empty += "\nbackspace shows all classes"
        self.gallery.show(len(exhibit), exhibit.tile, empty, at)
        if not len(exhibit):
            self.remove_class("-one")
            self._tell()

    def note_files(self, on_disk: bool) -> None:
        """Say whether the files of what is shown are still there."""
        if self.exhibit is not None and self.exhibit.on_disk != on_disk:
            self.exhibit.on_disk = on_disk
            self.query_one(Head).show(self.exhibit.browse, on_disk)

    def _count_classes(self) -> None:
        if self.exhibit is not None:
            chosen, classes = self.exhibit.browse.selected, self.exhibit.browse.classes
            self.query_one(ClassList).border_title = (
                f"{len(chosen)} of {len(classes)} classes" if chosen else "all classes"
            )

    def redraw(self) -> None:
        """The same pictures look different now."""
        self.gallery.redraw()
        self._tell()

    def appear(self, zoom: str, renderer: str) -> None:
        """Draw pictures in this size and this way."""
        self.gallery.zoom = zoom
        for picture in (self.gallery, *self.query(PictureView)):
            picture.renderer = renderer
        self._tell()

    def show_one(self, one: bool) -> None:
        """Show the picture under the cursor alone, or the page again."""
        self.set_class(one, "-one")
        self._tell()
        (self.query_one(SampleView) if one else self.gallery).focus()

    def _tell(self) -> None:
        """Bring titles and numbers up to date with the picture under the cursor."""
        exhibit, gallery = self.exhibit, self.gallery
        if exhibit is None:
            return
        title = Content(safe_text(exhibit.title))
        sample, large = self.query_one(SampleView), self.query_one("#large", PictureView)
        gallery.label(title, Content(f"{gallery.place} · {gallery.zoom} · {gallery.renderer}"))
        if self._rest is not None:
            self._rest.stop()
        if not len(exhibit):
            self.query_one(SampleNumbers).show([], None)
            large.show(None)
            return
        number = gallery.cursor
        image, facts = exhibit.image(number), exhibit.facts(number)
        self.query_one(SampleNumbers).show(facts, image)
        if self.one:
            sample.border_title = title
            sample.show(image, Content("  ".join(value for _, value in facts)))
            sample.border_subtitle = "left and right: the others · escape: the page"
        elif large.display:
            self._rest = self.set_timer(_REST, partial(large.show, image))

    @on(Gallery.Moved)
    def _moved(self) -> None:
        self._tell()
        self.post_message(self.Changed())

    @on(Gallery.Opened)
    def _opened(self, event: Gallery.Opened) -> None:
        exhibit = self.exhibit
        if exhibit is not None and exhibit.view == "means":
            exhibit.show_plain()
            self._choose({event.number})
        else:
            self.show_one(True)

    @on(SampleView.Stepped)
    def _stepped(self, event: SampleView.Stepped) -> None:
        self.gallery.cursor += event.by

    # -- split and filter ------------------------------------------------------------------

    def go_to(self, text: str) -> None:
        """Put the cursor on the picture with this index; a UserError says why it cannot be."""
        if self.exhibit is not None:
            number = self.exhibit.browse.find(text)
            if self.exhibit.view == "means":
                self.exhibit.show_plain()
                self.renew(number)
            self.gallery.go_to(number)

    def action_split(self) -> None:
        if self.exhibit is not None:
            self._to_split(self.exhibit.browse.next_split())

    @on(Head.Chosen)
    def _split_clicked(self, event: Head.Chosen) -> None:
        self._to_split(event.split)

    def _to_split(self, name: str) -> None:
        if self.exhibit is not None and self.exhibit.browse.split.name != name:
            self.exhibit.browse.select_split(name)
            self.exhibit.forget()
            self.renew()

    def action_everything(self) -> None:
        self._choose(())

    def action_filter(self) -> None:
        # A key that comes while the data set is being left must not give the focus to a line
        # that is out of sight by then.
        if self.exhibit is None:
            return
        self.add_class("-filtering")
        self.query_one("#filter", Input).focus()

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        if self.exhibit is None or not self.has_class("-filtering"):
            return
        browse = self.exhibit.browse
        found = match_classes(browse.classes, event.value)
        if event.value.strip() and not found:
            self.query_one(ClassList).border_title = "no class is called so"
        elif found != browse.selected:
            self._choose(found)
        else:
            self._count_classes()

    @on(Input.Submitted, "#filter")
    def _typed_enough(self) -> None:
        self._end_filter()

    @on(ClassList.Toggled)
    def _toggled(self, event: ClassList.Toggled) -> None:
        if self.exhibit is not None:
            self._choose(self.exhibit.browse.selected ^ {event.number})

    def _choose(self, classes: Iterable[int]) -> None:
        if self.exhibit is None:
            return
        self.exhibit.browse.select_classes(classes)
        if self.exhibit.view == "means":
            self.exhibit.show_plain()
        self.exhibit.forget()
        self.renew()

    def _end_filter(self) -> None:
        self.query_one("#filter", Input).clear()
        self.remove_class("-filtering")
        self._count_classes()
        (self.query_one(SampleView) if self.one else self.gallery).focus()

    def action_back(self) -> None:
        """One step back: out of the filter's line, the single picture, the view, the filter."""
        exhibit = self.exhibit
        if exhibit is None:
            return
        if self.has_class("-filtering"):
            self._end_filter()
            self._choose(())
        elif self.one:
            self.show_one(False)
        elif exhibit.view == "means":
            exhibit.show_plain()
            self.renew()
        elif exhibit.view == "augmented":
            exhibit.show_plain()
            self.redraw()
        elif exhibit.browse.selected:
            self._choose(())
