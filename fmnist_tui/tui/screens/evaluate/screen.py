"""Evaluate: what a run's checkpoint is worth on a split, and where it goes wrong."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from fmnist_tui.analysis.overfitting import judge_fit
from fmnist_tui.render.line_chart import Line
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.evaluate import confusion_layout, summary
from fmnist_tui.tui.screens.evaluate.confusion_table import ConfusionTable
from fmnist_tui.tui.screens.evaluate.score_tables import ClassScores, ConfusedPairs, Judged
from fmnist_tui.tui.shared import selected_run_text
from fmnist_tui.tui.shared.selected_run import SelectedRun
from fmnist_tui.tui.state.app_state import ClassPair
from fmnist_tui.tui.state.evaluation_cache import LoadedEvaluation
from fmnist_tui.tui.widgets.line_chart import LineChart
from fmnist_tui.tui.widgets.summary_line import SummaryLine

# Where there is no room for all panes they come in pages; tab goes through them in this
# order, and the page of the pane in use is shown.
PAGES = (("matrix", "pairs"), ("scores", "fit"), ("reliability",))
LEAST_BELOW = {"-low": 6, "-tall": 14}
_LEAST_FIT = 8
_BARS = _FRAME = 2


class EvaluateScreen(DashboardScreen):
    NAME, KEY, TITLE = "evaluate", "3", "Evaluate"
    CSS_PATH = "screen.tcss"
    HELP = (
        "The figures of a run's best checkpoint on a split. Rows of the matrix are true classes, "
        "columns are what they were taken for; enter shows the images behind a cell or a row."
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

    def __init__(self) -> None:
        super().__init__()
        self._hand = SelectedRun(self, self._changed)
        self._shown: LoadedEvaluation | None = None
        self._page = 0

    def panes(self) -> Iterable[Widget]:
        yield SummaryLine(id="headline")
        yield Static(id="notice", classes="empty")
        with Container(id="verdict"):
            yield ConfusionTable(id="matrix", classes="pane")
            yield ClassScores(id="scores", classes="pane")
            with VerticalScroll(id="fit", classes="pane") as fit:
                fit.border_title = Content("fit")
                yield Static(id="judgement")
            yield ConfusedPairs(id="pairs", classes="pane")
            yield LineChart(
                "reliability", percent=True, square=True, id="reliability", classes="pane"
            )

    def on_mount(self) -> None:
        self._hand.attach()

    def on_screen_resume(self) -> None:
        self._hand.resume()

    def on_screen_suspend(self) -> None:
        self._hand.suspend()

    # -- showing ----------------------------------------------------------------------

    def _changed(self) -> None:
        """The run, its figures or what is going on with them are others now."""
        if not self.is_mounted:
            return
        found = self._hand.found
        self.set_class(found is None, "-nothing")
        self._tell()
        self.refresh_bindings()
        if found is None:
            self._shown = None
            self.set_focus(None)
            return
        if found is not self._shown:
            self._show(found)
        self._judge()
        if self.is_current and (self.focused is None or not self.focused.display):
            self.query_one(f"#{PAGES[self._page][0]}").focus()

    def _show(self, found: LoadedEvaluation) -> None:
        self._shown = found
        evaluation = found.evaluation
        names = [score.name for score in evaluation.classes]
        self.query_one(ConfusionTable).show(evaluation.confusion, names)
        self.query_one(ClassScores).judge(evaluation)
        self.query_one(ConfusedPairs).judge(evaluation)
        chart = self.query_one(LineChart)
        confidences, accuracies = summary.curve(evaluation.reliability)
        chart.show(
            [
                Line("ideal", [0.0, 1.0], [0.0, 1.0], "green"),
                Line("actual", confidences, accuracies, "orange"),
            ],
            xlabel="confidence",
        )
        chart.border_subtitle = Content(summary.reliability(evaluation))
        self._lay_out()

    def _judge(self) -> None:
        state = self._hand.state
        if state is not None:
            room = self.query_one("#fit").size.width
            self.query_one("#judgement", Static).update(summary.fit(judge_fit(state), room))

    def _tell(self) -> None:
        """Bring the words up to date."""
        hand = self._hand
        who = selected_run_text.who(hand) if hand.folder is not None else []
        if hand.found is not None:
            figures = summary.figures(hand.found.evaluation)
            self.query_one(SummaryLine).show(who, figures, selected_run_text.afoot(hand))
        else:
            self.query_one("#notice", Static).update(selected_run_text.absence(hand))
            self.query_one(SummaryLine).show(who)

    # -- room -------------------------------------------------------------------------

    @property
    def _folded(self) -> bool:
        return self.has_class("-narrow") or self.has_class("-low")

    def on_resize(self) -> None:
        self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        if self._shown is not None:
            self._lay_out()
            self._judge()

    def _lay_out(self) -> None:
        """Show the panes that there is room for, and give the matrix the lines it can use."""
        if self._shown is None:
            return
        folded, page = self._folded, self._page
        for number, panes in enumerate(PAGES):
            for pane in panes:
                self.query_one(f"#{pane}").display = not folded or number == page
        told = ("tab: classes, fit, reliability", "tab: reliability") if folded else ("", "")
        self.query_one("#pairs").border_subtitle = told[0]
        self.query_one("#fit").border_subtitle = told[1]
        rows = self._rows(len(self._shown.evaluation.classes))
        self.set_class(len(rows) == 3, "-three")
        self.query_one("#verdict").styles.grid_rows = " ".join(rows)

    def _rows(self, count: int) -> list[str]:
        """How high the panes are that lie above each other."""
        below = LEAST_BELOW["-low" if self.has_class("-low") else "-tall"]
        most = self.size.height - _BARS - self.query_one(SummaryLine).size.height - below - _FRAME
        upper = confusion_layout.height_for(count, max(4, most)) + _FRAME
        # Head and means are the table's lines beyond the classes.
        table = min(count + 2, max(4, most)) + _FRAME
        if self._folded:
            side_by_side = not self.has_class("-narrow")
            if side_by_side or self._page == len(PAGES) - 1:
                return ["1fr"]
            return [str(upper if self._page == 0 else table), "1fr"]
        if self.has_class("-wide") and upper - table >= _LEAST_FIT:
            return [str(table), str(upper - table), "1fr"]
        return [str(max(upper, table)), "1fr"]

    def on_descendant_focus(self) -> None:
        if self.focused is not None and self.focused.id is not None:
            self._turn_to(self.focused.id)

    def _turn_to(self, pane: str) -> None:
        page = next((number for number, panes in enumerate(PAGES) if pane in panes), self._page)
        if page != self._page:
            self._page = page
            self._lay_out()

    def action_pane(self, by: int) -> None:
        if not self._folded or self._shown is None:
            (self.focus_next if by > 0 else self.focus_previous)()
            return
        order = [pane for page in PAGES for pane in page]
        here = self.focused.id if self.focused is not None else None
        pane = order[(order.index(here) + by if here in order else 0) % len(order)]
        # A pane that is hidden while it has the focus would hand it to any other.
        self.set_focus(None)
        self._turn_to(pane)
        self.query_one(f"#{pane}").focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that have nothing to work on are not offered."""
        if action in ("numbers", "order", "pane"):
            return self._hand.found is not None
        if action in ("split", "evaluate"):
            return self._hand.folder is not None
        return True

    # -- keys -------------------------------------------------------------------------

    def action_split(self) -> None:
        self._hand.next_split()

    def action_run(self) -> None:
        self._hand.pick_run()

    def action_numbers(self) -> None:
        self.query_one(ConfusionTable).next_mode()

    def action_order(self) -> None:
        self.query_one(ClassScores).next_order()

    def action_evaluate(self) -> None:
        self._hand.evaluate()

    def on_confusion_table_opened(self, event: ConfusionTable.Opened) -> None:
        self._open(event.true, event.predicted)

    def on_judged_opened(self, event: Judged.Opened) -> None:
        self._open(event.true, event.predicted)

    def _open(self, true: int | None, predicted: int | None) -> None:
        self.context.open_errors(ClassPair(self._hand.split, true, predicted))
