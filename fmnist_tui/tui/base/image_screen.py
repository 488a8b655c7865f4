"""The base of screens that show images."""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_tui.render.renderers import renderer_names
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.widgets.gallery import ZOOMS
from fmnist_tui.util.sequences import next_item


class ImageScreen(DashboardScreen):
    """Each of these screens remembers its zoom; they share how images are drawn."""

    @property
    def default_zoom(self) -> str:
        return "full"

    @property
    def zoom(self) -> str:
        zoom = self.app_state.settings.get(self._zoom_setting, self.default_zoom)
        return zoom if zoom in ZOOMS else self.default_zoom

    @property
    def _zoom_setting(self) -> str:
        return f"{self.NAME}.zoom"

    def update_appearance(self) -> None:
        """Use the zoom, and the renderer, which may have changed on another screen."""
        raise NotImplementedError

    def on_screen_resume(self) -> None:
        self.update_appearance()

    def action_zoom(self) -> None:
        self._save_next(self._zoom_setting, list(ZOOMS), self.zoom)

    def action_renderer(self) -> None:
        if self.app_state.ascii:
            self.notify("started with --ascii: images stay ASCII")
        else:
            self._save_next("renderer", renderer_names(), self.app_state.renderer)
            self.notify(f"images as {self.app_state.renderer}")

    def _save_next(self, setting: str, values: Sequence[str], current: str) -> None:
        self.app_state.settings.save(setting, next_item(values, current))
        self.update_appearance()
