"""Errors: the images that a run's checkpoint got wrong, or any pair of classes, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from textual import on
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from fmnist_tui.analysis.predictions import Misclassified, MissOrder
from fmnist_tui.render import names as renderers
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.errors import captions, filters
from fmnist_tui.tui.screens.errors.detail import Detail
from fmnist_tui.tui.screens.errors.filters import EVERY, IN_WORDS, ORDERS, Classes, Filter
from fmnist_tui.tui.screens.errors.loader import ErrorLoader, LoadedErrors
from fmnist_tui.tui.shared import selected_run_text
from fmnist_tui.tui.shared.selected_run import SelectedRun
from fmnist_tui.tui.widgets.gallery import Gallery, Tile
from fmnist_tui.tui.widgets.gallery_layout import ZOOMS
from fmnist_tui.tui.widgets.incremental import entitle
from fmnist_tui.tui.widgets.summary_line import SummaryLine
from fmnist_tui.util.text import safe_text

_ORDER = "errors.order"


class ErrorsScreen(DashboardScreen):
    NAME, KEY, TITLE = "errors", "4", "Errors"
    HELP = (
        "What the run in hand got wrong on a split. Type after / to narrow: shirt, shirt>coat, "
        ">coat or an index; c shows any pair of classes, also the ones got right."
    )
    CSS = """
    ErrorsScreen {
        #notice { padding: 1 2; text-align: center; display: none; }
        #both { height: 1fr; layout: horizontal; }
        #left { width: 1fr; }
        Detail { width: 44; height: 100%; }
        &.-wide Detail { width: 62; }
        &.-nothing #both { display: none; }
        &.-nothing #notice { display: block; }
        &.-alone Detail { width: 1fr; }
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
        Binding("e", "evaluate", "Evaluate now", show=False, id="errors.evaluate"),
        Binding("r", "renderer", "How pictures are drawn", show=False, id="view.renderer"),
        Binding("escape", "back", "Back, or all again", show=False, id="errors.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._hand = SelectedRun(self, self._changed)
        self._images = ErrorLoader(self, self._narrow)
        self._filter = Filter()
        self._misses: list[Misclassified] = []
        self._alone = False

    def panes(self) -> Iterable[Widget]:
        yield SummaryLine(id="headline")
        yield Static(id="notice", classes="empty")
        with Container(id="both"):
            with Vertical(id="left"):
                yield Gallery(classes="pane")
                yield Input(placeholder="shirt, shirt>coat, >coat, #123", id="filter")
            yield Detail(classes="pane")

    def on_mount(self) -> None:
        self._gallery.border_title = Content("images")
        self.query_one(Detail).border_title = Content("the chosen one")
        self.query_one("#filter").display = False
        self._hand.attach()

    def on_screen_resume(self) -> None:
        pair, self.app_state.class_pair = self.app_state.class_pair, None
        folder = self.context.selected_run
        if pair is not None and folder is not None:
            self.app_state.evaluations.choose(folder, pair.split)
            self._images.pair = (pair.true, pair.predicted)
            self._clear_filter()
            self._alone = False
        if self._images.trouble:
            # Other screens may have put that right.
            self._images.nothing()
        self._appear()
        self._arrange()
        self._hand.resume()

    def on_screen_suspend(self) -> None:
        self._hand.suspend()

    @property
    def _gallery(self) -> Gallery:
        return self.query_one(Gallery)

    @property
    def _order(self) -> MissOrder:
        kept = self.app_state.settings.get(_ORDER)
        return next((order for order in ORDERS if order == kept), ORDERS[0])

    # -- what there is ----------------------------------------------------------------

    def _changed(self) -> None:
        """The run, its predictions or what is going on with them are others now."""
        if not self.is_mounted:
            return
        found = self._hand.found
        if found is None:
            self._images.nothing()
        else:
            self._images.gather(found, self._order, self._hand.feed)
        self._tell()

    def _narrow(self) -> None:
        """Show those of the images that the filter leaves."""
        gathered = self._images.gathered
        if gathered is None:
            self._tell()
            return
        filtering = self.query_one("#filter", Input)
        self._filter = filters.parsed(filtering.value, gathered.found.predictions.classes)
        self._misses = [miss for miss in gathered.misses if self._filter.keeps(miss)]
        self._tell()
        self._gallery.show(len(self._misses), partial(self._tile, gathered), self._empty())
        if not self._misses:
            self._gallery.border_subtitle = ""
            self.query_one(Detail).show(None, [], [], None)
        if self.is_current and self.focused is None:
            (self.query_one(Detail) if self._alone else self._gallery).focus()

    def _empty(self) -> str:
        if self._filter.problem:
            return f"{self._filter.problem}\nescape clears the filter"
        if self.query_one("#filter", Input).value.strip():
            return "no image is left by this filter\nescape clears it"
        if self._images.pair != EVERY:
            return "there is no such image\nescape shows all errors"
        return "nothing was got wrong on this split"

    def _tile(self, gathered: LoadedErrors, number: int) -> Tile:
        miss = self._misses[number]
        classes = gathered.found.predictions.classes
        columns = ZOOMS[self._gallery.zoom][0]
        image = gathered.album.image(miss.index)
        return captions.tile(miss, classes, columns, image)

    # -- showing ----------------------------------------------------------------------

    def _tell(self) -> None:
        """Bring the words around the pictures up to date."""
        hand, gathered = self._hand, self._images.gathered
        who = selected_run_text.who(hand) if hand.folder is not None else []
        self.set_class(gathered is None, "-nothing")
        if gathered is None:
            self.set_focus(None)
            told = selected_run_text.absence(hand)
            if hand.found is not None:
                told = captions.without_pictures(self._images.trouble)
            self.query_one("#notice", Static).update(told)
            self.query_one(SummaryLine).show(who)
        else:
            facts = captions.facts(
                gathered.found, self._images.pair, len(gathered.misses), IN_WORDS[self._order]
            )
            filtering = self.query_one("#filter", Input)
            if filtering.value.strip():
                typed = safe_text(filtering.value.strip(), 30)
                facts.append(Content(f"filter “{typed}” leaves {len(self._misses):,}"))
            if gathered.strays:
                facts.append(captions.strays(gathered.strays))
            self.query_one(SummaryLine).show(who, facts, selected_run_text.afoot(hand))
        self.refresh_bindings()

    @on(Gallery.Moved)
    def _moved(self, event: Gallery.Moved) -> None:
        gathered = self._images.gathered
        entitle(self._gallery, subtitle=self._gallery.place)
        if gathered is None or not 0 <= event.number < len(self._misses):
            return
        miss, predictions = self._misses[event.number], gathered.found.predictions
        self.query_one(Detail).show(
            gathered.album.image(miss.index),
            captions.described(miss, predictions, event.number, len(self._misses)),
            filters.ranked(predictions, miss),
            predictions.classes[miss.true],
        )

    def _appear(self) -> None:
        """Draw pictures in the way that was chosen, here or on another screen."""
        # The chosen one is shown large beside the others.
        usual = "full" if self.has_class("-wide") else "small"
        zoom = self.app_state.settings.get("zoom", usual)
        self._gallery.zoom = zoom if zoom in ZOOMS else usual
        self._gallery.renderer = self.app_state.renderer
        self.query_one(Detail).appear(self.app_state.renderer)

    def _arrange(self) -> None:
        """Gallery and detail side by side, or the one of them that is in view."""
        narrow = self.app.size.width < 100
        detail = self.query_one(Detail)
        self.set_class(self._alone, "-alone")
        detail.set_class(self._alone, "-beside")
        self.query_one("#left").display = not self._alone
        detail.display = self._alone or not narrow

    def on_resize(self) -> None:
        self._appear()
        self._arrange()
        entitle(self._gallery, subtitle=self._gallery.place)

    # -- moving -----------------------------------------------------------------------

    @on(Gallery.Opened)
    def _opened(self) -> None:
        self._show_alone(True)

    def _show_alone(self, alone: bool) -> None:
        self._alone = alone
        self.set_focus(None)
        self._arrange()
        (self.query_one(Detail) if alone else self._gallery).focus()
        self.refresh_bindings()

    @on(Detail.Stepped)
    def _stepped(self, event: Detail.Stepped) -> None:
        self._gallery.go_to(self._gallery.cursor + event.by)

    def action_back(self) -> None:
        """One step back: out of the filter's line, the single view, the filter, the pair."""
        filtering = self.query_one("#filter", Input)
        if filtering.has_focus:
            self._leave_filter()
        elif self._alone:
            self._show_alone(False)
        elif filtering.value:
            self._clear_filter()
        elif self._images.pair != EVERY:
            self._choose(EVERY)

    def action_goto(self) -> None:
        ask = PromptDialog("go to index", hint="12: the picture's place in its file")
        self.app.push_screen(ask, self._go)

    def _go(self, text: str | None) -> None:
        number = (text or "").strip().removeprefix("#")
        if text is None or not number:
            return
        places = (at for at, miss in enumerate(self._misses) if str(miss.index) == number)
        place = next(places, None)
        if place is None:
            self.notify_error(f"#{safe_text(number, 20)} is not among these images")
        else:
            self._gallery.go_to(place)

    # -- choosing ---------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that have nothing to work on are not offered."""
        if action in ("filter", "order", "zoom", "goto"):
            return self._images.gathered is not None
        if action == "pair":
            return self._hand.found is not None
        if action in ("split", "evaluate"):
            return self._hand.folder is not None
        return True

    def action_pair(self) -> None:
        found = self._hand.found
        if found is not None:
            classes = found.predictions.classes
            items = filters.choices(found.evaluation.confusion, classes)
            self.app.push_screen(
                PickerDialog("Which classes: true → predicted", items), self._picked
            )

    def _picked(self, name: str | None) -> None:
        if name is not None:
            self._choose(filters.from_key(name))

    def _choose(self, pair: Classes) -> None:
        self._images.pair = pair
        self._changed()

    def action_filter(self) -> None:
        if self._alone:
            self._show_alone(False)
        filtering = self.query_one("#filter", Input)
        filtering.display = True
        filtering.focus()

    @on(Input.Changed, "#filter")
    def _typed(self) -> None:
        self._narrow()

    @on(Input.Submitted, "#filter")
    def _leave_filter(self) -> None:
        filtering = self.query_one("#filter", Input)
        self._gallery.focus()
        filtering.display = bool(filtering.value.strip())

    def _clear_filter(self) -> None:
        filtering = self.query_one("#filter", Input)
        filtering.value = ""
        filtering.display = False

    def action_order(self) -> None:
        order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self.app_state.settings.keep(_ORDER, order)
        self._changed()

    def action_split(self) -> None:
        self._hand.next_split()

    def action_run(self) -> None:
        self._hand.pick_run()

    def action_evaluate(self) -> None:
        self._hand.evaluate()

    def action_zoom(self) -> None:
        zooms = list(ZOOMS)
        self.app_state.settings.keep(
            "zoom", zooms[(zooms.index(self._gallery.zoom) + 1) % len(zooms)]
        )
        self._appear()

    def action_renderer(self) -> None:
        kinds = renderers()
        now = self._gallery.renderer
        self.app_state.settings.keep("renderer", kinds[(kinds.index(now) + 1) % len(kinds)])
        self._appear()
        self.notify(f"pictures as {self.app_state.renderer}")
