"""The base of Evaluate and Errors: screens about one split of the selected run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from fmnist_tui.tui.base.dialog_flow import dialog_flow
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.shared.selected_run import SelectedRun
from fmnist_tui.tui.shared.selected_run_text import describe, evaluation_status, explain_missing
from fmnist_tui.tui.widgets.summary_line import SummaryLine


class SelectedRunScreen(DashboardScreen):
    """Subclasses yield their panes from `results`, in one widget of the class `results`, and
    show the predictions in `show_selection`."""

    DEFAULT_CSS = """
    SelectedRunScreen {
        #notice { padding: 1 2; text-align: center; display: none; }
        .results { height: 1fr; }
        &.-no-results .results { display: none; }
        &.-no-results #notice { display: block; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.selected = SelectedRun(self, self._on_change)

    def panes(self) -> Iterable[Widget]:
        yield SummaryLine(id="summary")
        yield Static(id="notice", classes="empty")
        yield from self.results()

    def results(self) -> Iterable[Widget]:
        raise NotImplementedError

    def on_mount(self) -> None:
        self.selected.subscribe()

    def on_screen_resume(self) -> None:
        self.selected.resume()

    def on_screen_suspend(self) -> None:
        self.selected.suspend()

    def _on_change(self) -> None:
        if self.is_open:
            self.show_selection()

    def show_selection(self) -> None:
        """Show the run, its predictions and the state of its evaluation, which have changed."""
        raise NotImplementedError

    def show_summary(self, facts: Sequence[Content] | None, notice: Content | None = None) -> None:
        """Show facts above the results; where there are none (None), show a notice in place of
        the results, by default why there are no predictions."""
        selected, summary = self.selected, self.query_one(SummaryLine)
        run = describe(selected) if selected.folder is not None else []
        self.set_class(facts is None, "-no-results")
        if facts is None:
            self.set_focus(None)
            self.query_one("#notice", Static).update(notice or explain_missing(selected))
            summary.show(run)
        else:
            summary.show(run, facts, evaluation_status(selected))
        self.refresh_bindings()

    # -- keys -------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide keys that have nothing to act on."""
        return self.selected.folder is not None if action in ("split", "evaluate") else True

    def action_split(self) -> None:
        self.selected.next_split()

    @dialog_flow
    async def action_run(self) -> None:
        await self.selected.pick_run()

    def action_evaluate(self) -> None:
        self.selected.evaluate()
