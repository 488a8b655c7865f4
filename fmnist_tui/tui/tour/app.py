"""The dashboard on a tour: seven stops that really train, with runs of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.driver import Driver
from textual.widget import Widget

from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.state.app_state import AppState, QuitMode
from fmnist_tui.tui.tour.panel import PanelText, TourPanel
from fmnist_tui.tui.tour.stops import STOPS, Start, TourStop
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.paths import format_path


class TourDashboard(Dashboard):
    """Every screen has a panel with the stop and its keys; leaving asks nothing."""

    # Above the panel
    CSS = "ToastRack { margin-bottom: 5; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "stop(1)", "Next stop", show=False, priority=True, id="tour.next"),
        Binding("ctrl+o", "stop(-1)", "Stop before", show=False, priority=True, id="tour.back"),
    ]

    def __init__(
        self, app_state: AppState, first: str = "data", driver: type[Driver] | None = None
    ) -> None:
        super().__init__(app_state, STOPS[0].screen, driver)
        self._at, self._is_starting = 0, False
        self._started: set[TourStop] = set()

    def docked_panels(self) -> Iterable[Widget]:
        yield TourPanel(self._describe)

    @property
    def _stop(self) -> TourStop:
        return STOPS[self._at]

    @property
    def _is_waiting(self) -> bool:
        feed = self.app_state.feed
        is_live = feed is not None and feed.is_live
        return self._stop.waits and (is_live or self._is_starting)

    def action_stop(self, by: int) -> None:
        """Go to the next stop or the one before; the last one is followed by the end."""
        if by > 0 and self._is_waiting:
            return
        if self._at + by >= len(STOPS):
            self.action_leave()
            return
        self._at = max(0, self._at + by)
        stop = self._stop
        self.show(stop.screen)
        if stop.start is not None and stop not in self._started:
            self._started.add(stop)
            self._is_starting = True
            self.call_after_refresh(self._start, stop.start)
        self._show_panel()

    def _start(self, start: Start) -> None:
        try:
            start(self, self.app_state.runs_dir.parent)
        except UserError as error:
            self.notify(str(error).split("\n")[0], "error")
        finally:
            self._is_starting = False

    def _show_panel(self) -> None:
        if isinstance(self.screen, DashboardScreen):
            for panel in self.screen.query(TourPanel):
                panel.show()

    def _describe(self) -> PanelText:
        title = next(tab.title for tab in self.tabs if tab.name == self._stop.screen)
        place = f"Tour {self._at + 1} of {len(STOPS)} · {title}"
        text = self._stop.text(self.app_state.runs_dir.parent)
        waiting = " It takes a few seconds …" if self._is_waiting else ""
        forward = "end" if self._at + 1 == len(STOPS) else "next"
        keys = [] if self._is_waiting else [f"{key_name('tour.next')} {forward}"]
        if self._at:
            keys.append(f"{key_name('tour.back')} back")
        keys.append(f"{key_name('app.leave')} leave")
        return PanelText(place, Content.assemble(text, (waiting, "bold")), " · ".join(keys))

    # -- leaving ----------------------------------------------------------------------------

    def action_leave(self) -> None:
        self.quit_now(QuitMode.STOP, 0)

    def action_interrupt(self) -> None:
        self.quit_now(QuitMode.STOP, 130)

    def action_detach(self) -> None:
        folder = format_path(self.app_state.runs_dir)
        self.notify(f"the runs of the tour, in {folder}, end with it", "warning")

    def action_tour(self) -> None:
        self.notify("this is the tour")
