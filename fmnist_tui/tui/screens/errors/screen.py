"""Errors: the images that a run's checkpoint got wrong, or any pair of classes, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from textual import getters, on
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.reactive import Reactive
from textual.widget import Widget
from textual.widgets import Input

from fmnist_tui.analysis.predictions import Misclassified, MissOrder
from fmnist_tui.tui.base.copying import ToCopy
from fmnist_tui.tui.base.dialog_flow import dialog_flow
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.base.image_screen import ImageScreen
from fmnist_tui.tui.base.screen import FOLD_BELOW
from fmnist_tui.tui.key_names import key_name, name_keys
from fmnist_tui.tui.screens.errors import captions, filters
from fmnist_tui.tui.screens.errors.detail import ImageDetail
from fmnist_tui.tui.screens.errors.filters import ALL_ERRORS, ORDERS, ImageFilter, Pair
from fmnist_tui.tui.screens.errors.loader import ErrorLoader, LoadedErrors
from fmnist_tui.tui.screens.errors.to_copy import errors_to_copy
from fmnist_tui.tui.shared.selected_run_screen import SelectedRunScreen
from fmnist_tui.tui.widgets.gallery import Gallery, Tile
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.util.sequences import next_item
from fmnist_tui.util.text import safe_text

_ORDER_SETTING = "errors.order"


class ErrorsScreen(SelectedRunScreen, ImageScreen):
    NAME, KEY, TITLE = "errors", "4", "Errors"
    HELP = (
        "The images that the selected run got wrong on a split. {errors.filter} filters them by "
        "what you type: shirt, shirt>coat, >coat or an index. {errors.pair} shows any pair of "
        "classes, correct ones included."
    )
    CSS = """
    ErrorsScreen {
        .results { layout: horizontal; }
        #left { width: 1fr; }
        ImageDetail { width: 44; height: 100%; }
        &.-wide ImageDetail { width: 62; }
        &.-alone ImageDetail { width: 1fr; }
    }
    """
    BINDINGS = [
        Binding("c", "pair", "Classes", id="errors.pair"),
        Binding("slash", "filter", "Filter", id="errors.filter"),
        Binding("o", "order", "Order", id="errors.order"),
        Binding("p", "split", "Split", id="errors.split"),
        Binding("w", "run", "Which run", id="errors.run"),
        Binding("z", "zoom", "Zoom", id="view.zoom"),
        Binding("g", "goto", "Go to", id="errors.goto"),
        Binding("e", "evaluate", "Evaluate now", id="errors.evaluate"),
        Binding("r", "renderer", "How images are drawn", show=False, id="view.renderer"),
        Binding("escape", "back", "Back", id="errors.back"),
    ]

    # Whether one image fills the screen.
    _alone = Reactive(False, repaint=False, bindings=True, toggle_class="-alone")
    _gallery = getters.query_one(Gallery)
    _detail = getters.query_one(ImageDetail)
    _filter_input = getters.query_one("#filter", Input)

    def __init__(self) -> None:
        super().__init__()
        self._loader = ErrorLoader(self, self._apply_filter)
        self._filter = ImageFilter()
        self._misses: list[Misclassified] = []

    def results(self) -> Iterable[Widget]:
        with Container(classes="results"):
            with Vertical(id="left"):
                yield Gallery(classes="pane")
                yield Input(placeholder="shirt, shirt>coat, >coat, #123", id="filter")
            yield ImageDetail(classes="pane")

    def on_mount(self) -> None:
        self._filter_input.display = False

    def on_screen_resume(self) -> None:
        pair, self.app_state.class_pair = self.app_state.class_pair, None
        folder = self.context.selected_run
        if pair is not None and folder is not None:
            self.app_state.evaluations.choose_split(folder, pair.split)
            self._loader.pair = (pair.true, pair.predicted)
            self._clear_filter()
            self._alone = False
        if self._loader.error:
            # Another screen may have fixed the cause.
            self._loader.reset()
        self._arrange()

    @property
    def _order(self) -> MissOrder:
        setting = self.app_state.settings.get(_ORDER_SETTING)
        return next((order for order in ORDERS if order == setting), "confidence")

    # -- loading ----------------------------------------------------------------------

    def show_selection(self) -> None:
        loaded = self.selected.loaded
        if loaded is None:
            self._loader.reset()
        else:
            self._loader.load(loaded, self._order, self.selected.feed)
        self._update_text()

    def _apply_filter(self) -> None:
        """Show the loaded images that the filter matches."""
        loaded = self._loader.loaded
        if loaded is None:
            self._update_text()
            return
        classes = loaded.evaluation.predictions.classes
        self._filter = filters.parse_filter(self._filter_input.value, classes)
        self._misses = [miss for miss in loaded.misses if self._filter.matches(miss)]
        self._update_text()
        empty = self._empty_text(loaded.pair)
        self._gallery.show(len(self._misses), partial(self._tile, loaded), empty)
        if not self._misses:
            self._detail.show(None, [], [], None)
        if self.is_current and self.focused is None:
            (self._detail if self._alone else self._gallery).focus()

    def _empty_text(self, pair: Pair) -> str:
        if self._filter.problem:
            return f"{self._filter.problem}\n{key_name('errors.back')} clears the filter"
        if self._filter_input.value.strip():
            return name_keys("no image matches this filter\n{errors.back} clears it")
        if pair != ALL_ERRORS:
            return name_keys("no images of this pair\n{errors.back} shows all errors")
        return "no errors on this split"

    def _tile(self, loaded: LoadedErrors, number: int, columns: int) -> Tile:
        miss = self._misses[number]
        classes = loaded.evaluation.predictions.classes
        return captions.build_tile(
            miss, classes, loaded.pair, columns, loaded.images.image(miss.index)
        )

    # -- showing ----------------------------------------------------------------------

    def _update_text(self) -> None:
        """Update the text around the images."""
        loaded = self._loader.loaded
        if loaded is None:
            has_predictions = self.selected.loaded is not None
            notice = captions.loading_notice(self._loader.error) if has_predictions else None
            self.show_summary(None, notice)
            return
        self.show_summary(captions.summary_facts(loaded))
        self._update_titles()

    def _update_titles(self) -> None:
        loaded = self._loader.loaded
        if loaded is not None:
            text, count = self._filter_input.value, len(self._misses)
            title = captions.images_title(loaded, text, count)
            set_border_titles(self._gallery, title, self._gallery.position if count else "")
            set_border_titles(self._detail, title if self._alone else "Selected image")

    @on(Gallery.CursorMoved)
    def _show_image(self, event: Gallery.CursorMoved) -> None:
        loaded = self._loader.loaded
        self._update_titles()
        if loaded is None or not 0 <= event.number < len(self._misses):
            return
        miss, predictions = self._misses[event.number], loaded.evaluation.predictions
        self._detail.show(
            loaded.images.image(miss.index),
            captions.image_facts(miss, predictions, event.number, len(self._misses)),
            captions.class_probabilities(predictions, miss),
            predictions.classes[miss.true],
        )

    @property
    def default_zoom(self) -> str:
        return "small"  # The selected image is shown large beside the others.

    def update_appearance(self) -> None:
        self._gallery.zoom = self.zoom
        self._gallery.renderer = self.app_state.renderer
        self._detail.set_renderer(self.app_state.renderer)

    def _arrange(self) -> None:
        """Show the gallery and the selected image side by side, or one of them."""
        self._detail.set_class(self._alone, "-beside")
        self.query_one("#left").display = not self._alone
        self._detail.display = self._alone or self.app.size.width >= FOLD_BELOW

    def on_resize(self) -> None:
        self.update_appearance()
        self._arrange()
        self._update_titles()

    def to_copy(self) -> ToCopy:
        loaded, folder = self._loader.loaded, self.selected.folder
        if loaded is None or folder is None:
            return ToCopy(path=folder.path if folder is not None else None)
        cursor = self._gallery.cursor
        return errors_to_copy(self.app_state, folder, loaded, self._filter, self._misses, cursor)

    # -- moving -----------------------------------------------------------------------

    @on(Gallery.ImageOpened)
    def _open_image(self) -> None:
        self._show_alone(True)

    def _show_alone(self, alone: bool) -> None:
        self._alone = alone
        self.set_focus(None)
        self._arrange()
        self._update_titles()
        (self._detail if alone else self._gallery).focus()

    @on(ImageDetail.Stepped)
    def _step(self, event: ImageDetail.Stepped) -> None:
        self._gallery.go_to(self._gallery.cursor + event.by)

    def action_back(self) -> None:
        """Go back one step: from the filter input, the single image, the filter, the pair."""
        if self._filter_input.has_focus:
            self._leave_filter()
        elif self._alone:
            self._show_alone(False)
        elif self._filter_input.value:
            self._clear_filter()
        elif self._loader.pair != ALL_ERRORS:
            self._show_pair(ALL_ERRORS)

    @dialog_flow
    async def action_goto(self) -> None:
        hint = "12: the image's index in its dataset"
        text = await self.ask(PromptDialog("go to index", "", hint, self._check_index))
        number = self._find_number(text or "")
        if number is not None:
            self._gallery.go_to(number)

    def _find_number(self, text: str) -> int | None:
        """The position of the image with a typed index."""
        index = text.strip().removeprefix("#")
        numbers = (number for number, miss in enumerate(self._misses) if str(miss.index) == index)
        return next(numbers, None)

    def _check_index(self, text: str) -> str:
        """What is wrong with a typed index; empty input cancels."""
        if not text.strip() or self._find_number(text) is not None:
            return ""
        return f"#{safe_text(text.strip().removeprefix('#'), 20)} is not among these images"

    # -- choosing ---------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("filter", "order", "zoom", "goto"):
            return self._loader.loaded is not None and not (action == "zoom" and self._alone)
        if action == "back":
            is_narrowed = self._filter_input.display or self._loader.pair != ALL_ERRORS
            return self._alone or is_narrowed
        if action == "pair":
            return self.selected.loaded is not None
        return super().check_action(action, parameters)

    @dialog_flow
    async def action_pair(self) -> None:
        evaluation = self.selected.loaded
        if evaluation is None:
            return
        classes = evaluation.predictions.classes
        choices = filters.pair_choices(evaluation.evaluation.confusion, classes)
        key = await self.ask(PickerDialog("Which classes: true → predicted", choices))
        if key is not None:
            self._show_pair(filters.parse_key(key))

    def _show_pair(self, pair: Pair) -> None:
        self._loader.pair = pair
        self.show_selection()

    def action_filter(self) -> None:
        if self._alone:
            self._show_alone(False)
        self._filter_input.display = True
        self._filter_input.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self) -> None:
        self._apply_filter()

    @on(Input.Submitted, "#filter")
    def _leave_filter(self) -> None:
        self._gallery.focus()
        self._filter_input.display = bool(self._filter_input.value.strip())

    def _clear_filter(self) -> None:
        self._filter_input.value = ""
        self._filter_input.display = False

    def action_order(self) -> None:
        self.app_state.settings.save(_ORDER_SETTING, next_item(ORDERS, self._order))
        self.show_selection()
