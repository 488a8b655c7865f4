"""Evaluate: the scores of a run's checkpoint on a split, and where it goes wrong."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from fmnist_tui.analysis.overfitting import judge_fit
from fmnist_tui.protocol.validation import training_note
from fmnist_tui.render.line_chart import Line
from fmnist_tui.tui.base.copying import ToCopy
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.screens.evaluate import confusion_layout, summary
from fmnist_tui.tui.screens.evaluate.confusion_table import ConfusionTable
from fmnist_tui.tui.screens.evaluate.score_tables import (
    ClassScores,
    ConfusedPairs,
    ScoreTable,
    most_confused_with,
)
from fmnist_tui.tui.screens.evaluate.to_copy import evaluation_to_copy
from fmnist_tui.tui.shared.selected_run_screen import SelectedRunScreen
from fmnist_tui.tui.state.app_state import ClassPair
from fmnist_tui.tui.state.evaluation_cache import LoadedEvaluation
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from fmnist_tui.tui.widgets.summary_line import SummaryLine
from fmnist_tui.util.sequences import next_item

# Where not all panes fit they come in pages. tab visits the panes in this order, and the page
# of the focused pane is shown.
PAGES = (("matrix", "pairs"), ("scores", "fit"), ("reliability",))
_MIN_LOWER_HEIGHT = {"-low": 6, "-tall": 14}
_MIN_FIT_HEIGHT = 8
_BARS = _FRAME = 2


class EvaluateScreen(SelectedRunScreen):
    NAME, KEY, TITLE = "evaluate", "3", "Evaluate"
    CSS_PATH = "screen.tcss"
    HELP = (
        "The scores of a run's best checkpoint on a split. Rows of the matrix are true classes, "
        "columns are predicted classes; {matrix.open} shows the images of a cell or a row."
    )
    BINDINGS = [
        Binding("p", "split", "Split", id="evaluate.split"),
        Binding("w", "run", "Which run", id="evaluate.run"),
        Binding("n", "numbers", "Counts, row %, column %", id="evaluate.numbers"),
        Binding("o", "order", "Order of classes", id="evaluate.order"),
        Binding("e", "evaluate", "Evaluate now", id="evaluate.now"),
        Binding("tab", "pane(1)", "Next pane", show=False, id="evaluate.next"),
        Binding("shift+tab", "pane(-1)", "Previous pane", show=False, id="evaluate.previous"),
    ]

    _evaluation: LoadedEvaluation | None = None
    _page = 0

    def results(self) -> Iterable[Widget]:
        with Container(id="grid", classes="results"):
            yield ConfusionTable(id="matrix", classes="pane")
            yield ClassScores(id="scores", classes="pane")
            with VerticalScroll(id="fit", classes="pane") as fit:
                fit.border_title = Content("Fit")
                yield Static(id="fit-text")
            yield ConfusedPairs(id="pairs", classes="pane")
            yield LineChart(
                "Reliability", percent=True, square=True, id="reliability", classes="pane"
            )

    # -- showing ----------------------------------------------------------------------

    def show_selection(self) -> None:
        loaded = self.selected.loaded
        if loaded is None:
            self._evaluation = None
            self.show_summary(None)
            return
        self.show_summary(summary.score_facts(loaded.evaluation))
        if loaded is not self._evaluation:
            self._show(loaded)
        self._update_fit()
        if self.is_current and (self.focused is None or not self.focused.display):
            self.query_one(f"#{PAGES[self._page][0]}").focus()

    def _show(self, loaded: LoadedEvaluation) -> None:
        self._evaluation = loaded
        evaluation = loaded.evaluation
        names = [score.name for score in evaluation.classes]
        matrix = self.query_one(ConfusionTable)
        matrix.show(evaluation.confusion, names)
        self.query_one(ClassScores).show_evaluation(evaluation)
        self.query_one(ConfusedPairs).show_evaluation(evaluation)
        self._highlight(*matrix.cursor)
        groups = evaluation.reliability
        confidences = [group.confidence for group in groups]
        accuracies = [group.accuracy for group in groups]
        chart = self.query_one(LineChart)
        chart.show(
            [
                Line("ideal", [0.0, 1.0], [0.0, 1.0], "green"),
                Line("actual", confidences, accuracies, "orange"),
            ],
            xlabel="confidence",
        )
        chart.border_subtitle = Content(summary.reliability_text(evaluation))
        self._arrange()

    def _update_fit(self) -> None:
        state = self.selected.state
        if state is not None:
            width, note = self.query_one("#fit-text").size.width, training_note(state.started)
            text = summary.fit_text(judge_fit(state), note, width)
            self.query_one("#fit-text", Static).update(text)

    def to_copy(self) -> ToCopy:
        loaded, folder, focused = self._evaluation, self.selected.folder, self.focused
        if loaded is None or folder is None:
            return ToCopy(path=folder.path if folder is not None else None)
        return evaluation_to_copy(
            self.app_state,
            folder,
            self.selected.split,
            loaded.evaluation,
            (focused.id or "") if focused is not None else "",
            self.query_one(ConfusionTable).cursor,
            (focused.current or "") if isinstance(focused, ScoreTable) else "",
        )

    # -- the class that matrix and tables highlight -------------------------------------

    @on(ConfusionTable.CellHighlighted)
    def _cell_highlighted(self, event: ConfusionTable.CellHighlighted) -> None:
        self._highlight(event.true, event.predicted)

    @on(ScoreTable.RowHighlighted)
    def _row_highlighted(self, event: ScoreTable.RowHighlighted) -> None:
        matrix = self.query_one(ConfusionTable)
        if not event.table.has_focus:
            self._highlight(*matrix.cursor)  # it has been filled
        if not event.table.has_focus or not event.key or self._evaluation is None:
            return
        true, _, predicted = event.key.partition(">")
        wrong = most_confused_with(self._evaluation.evaluation, int(true))
        matrix.cursor = (int(true), int(predicted) if predicted else wrong)

    def _highlight(self, true: int, predicted: int) -> None:
        """Have the tables highlight a cell of the matrix; the focused one is left to its keys."""
        for table, key in ((ClassScores, f"{true}"), (ConfusedPairs, f"{true}>{predicted}")):
            if not self.query_one(table).has_focus:
                self.query_one(table).go_to(key)

    # -- layout -----------------------------------------------------------------------

    @property
    def _folded(self) -> bool:
        return self.has_class("-narrow") or self.has_class("-low")

    @on(SummaryLine.HeightChanged)
    def on_resize(self) -> None:
        self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        if self._evaluation is not None:
            self._arrange()
            self._update_fit()

    def _arrange(self) -> None:
        """Show the panes that fit, and give the matrix the lines that it can use."""
        if self._evaluation is None:
            return
        folded = self._folded
        for number, panes in enumerate(PAGES):
            for pane in panes:
                self.query_one(f"#{pane}").display = not folded or number == self._page
        self.query_one("#pairs").border_subtitle = (
            name_keys("{evaluate.next}: classes, fit, reliability") if folded else ""
        )
        self.query_one("#fit").border_subtitle = (
            name_keys("{evaluate.next}: reliability") if folded else ""
        )
        rows = self._row_heights(len(self._evaluation.evaluation.classes))
        self.set_class(len(rows) == 3, "-three")
        self.query_one("#grid").styles.grid_rows = " ".join(rows)

    def _row_heights(self, classes: int) -> list[str]:
        """The heights of the grid's rows."""
        lower = _MIN_LOWER_HEIGHT["-low" if self.has_class("-low") else "-tall"]
        above = _BARS + self.query_one(SummaryLine).size.height
        limit = max(4, self.size.height - above - lower - _FRAME)
        matrix = confusion_layout.best_height(classes, limit) + _FRAME
        # Headings and means add two lines to the classes.
        table = min(classes + 2, limit) + _FRAME
        if self._folded:
            side_by_side = not self.has_class("-narrow")
            if side_by_side or self._page == len(PAGES) - 1:
                return ["1fr"]
            return [str(matrix if self._page == 0 else table), "1fr"]
        if self.has_class("-wide") and matrix - table >= _MIN_FIT_HEIGHT:
            return [str(table), str(matrix - table), "1fr"]
        return [str(max(matrix, table)), "1fr"]

    def on_descendant_focus(self) -> None:
        if self.focused is not None and self.focused.id is not None:
            self._show_page_of(self.focused.id)

    def _show_page_of(self, pane: str) -> None:
        page = next((number for number, panes in enumerate(PAGES) if pane in panes), self._page)
        if page != self._page:
            self._page = page
            self._arrange()

    def action_pane(self, by: int) -> None:
        if not self._folded or self._evaluation is None:
            (self.focus_next if by > 0 else self.focus_previous)()
            return
        order = [pane for page in PAGES for pane in page]
        focused = self.focused.id if self.focused is not None else None
        pane = next_item(order, focused or "", by)
        # A focused pane that is hidden would pass the focus to an arbitrary one.
        self.set_focus(None)
        self._show_page_of(pane)
        self.query_one(f"#{pane}").focus()

    # -- keys -------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("numbers", "order", "pane"):
            return self.selected.loaded is not None
        return super().check_action(action, parameters)

    def action_numbers(self) -> None:
        self.query_one(ConfusionTable).next_mode()

    def action_order(self) -> None:
        self.query_one(ClassScores).next_order()

    @on(ConfusionTable.CellOpened)
    @on(ScoreTable.RowOpened)
    def _open_images(self, event: ConfusionTable.CellOpened | ScoreTable.RowOpened) -> None:
        pair = ClassPair(self.selected.split, event.true, event.predicted)
        self.context.open_errors(pair)
