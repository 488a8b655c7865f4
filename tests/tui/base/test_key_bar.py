"""The bar of keys: on every screen it names the keys that work there, as the user has set them."""

from __future__ import annotations

from fmnist_tui.tui.app import SCREENS
from fmnist_tui.tui.base.key_bar import KeyBar
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.conftest import OpenDashboard
from tests.tui.support import make_run


async def test_the_bar_of_every_screen_names_exactly_the_keys_that_work_there(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    app_state.ascii = True
    app_state.settings.keymap |= {"app.help": "f1", "runs.archive": "A", "train.recipe": "f2"}
    make_run(app_state.runs_dir)
    async with open_dashboard("data", size=(240, 40)) as (dashboard, pilot):
        bars: dict[str, str] = {}
        for screen in SCREENS:
            dashboard.show(screen.NAME)
            await pilot.pause()
            expected: dict[str, str] = {}
            labels = getattr(dashboard.screen, "key_labels", {})
            for key, active in dashboard.screen.active_bindings.items():
                binding = active.binding
                if binding.show and active.enabled and binding.description:
                    assert binding.key == key
                    shown = dashboard.get_key_display(binding)
                    label = labels.get(binding.id or "", binding.description)
                    expected.setdefault(label, f" {shown} {label} ")
            bar = dashboard.screen.query_one(KeyBar).render().plain
            assert bar == "".join([*expected.values(), " f1 keys "])
            assert bar.isascii() and expected
            bars[screen.NAME] = bar
    assert " A Archive " in bars["runs"] and " f2 Recipe " in bars["train"]
    assert " enter " in bars["runs"]
