"""The Predict screen with a fake model: files, folders, a watched folder, the pad."""

from __future__ import annotations

import asyncio
import shutil
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from textual import events
from textual.pilot import Pilot
from textual.widgets import Static

from fmnist_tui.config import recipes
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.screens.predict.draw_pad import DrawPad
from fmnist_tui.tui.screens.predict.image_list import ImageList
from fmnist_tui.tui.screens.predict.path_input import PathInput
from fmnist_tui.tui.screens.predict.predictor import DRAWING_SECONDS
from fmnist_tui.tui.screens.predict.result_pane import ResultPane
from fmnist_tui.tui.screens.predict.screen import PredictScreen
from fmnist_tui.tui.screens.predict.stages import StageStrip
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.widgets.image_view import ImageView
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars
from tests.tui.conftest import OpenDashboard
from tests.tui.fake_model import FakeModel
from tests.tui.support import make_run, record_toasts, screen_input, wait_until


@pytest.fixture
def model(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """A fake model and a selected run."""
    model = FakeModel()
    monkeypatch.setattr(app_state.session, "predict", model.predict)
    monkeypatch.setattr(app_state.session, "classify", model.classify)
    app_state.selected_run = make_run(app_state.runs_dir, splits=())
    return model


def save_image(path: Path, size: tuple[int, int] = (60, 40)) -> Path:
    """A dark box on white."""
    image = Image.new("RGB", size, "white")
    image.paste((90, 40, 30), (size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2))
    image.save(path)
    return path


def result_text(dashboard: Dashboard) -> str:
    """The text of the result pane."""
    pane = dashboard.screen.query_one(ResultPane)
    return "\n".join(str(part.content) for part in pane.query(Static) if part.display)


def path_input(dashboard: Dashboard) -> PathInput:
    return dashboard.screen.query_one(PathInput)


def file_table(dashboard: Dashboard) -> ImageList:
    return dashboard.screen.query_one(ImageList)


def rows(dashboard: Dashboard) -> list[str]:
    table = file_table(dashboard)
    return [line.plain for line in table.rows.values()]


def stages(dashboard: Dashboard) -> list[str]:
    result = dashboard.screen.query_one(ResultPane)
    return (
        [] if result.has_class("-empty") else [s.name for s in result.query_one(StageStrip).stages]
    )


def note(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one("#input").border_subtitle)


async def paste(dashboard: Dashboard, pilot: Pilot[int], text: str) -> None:
    """Paste as the terminal does: into the focused widget, or else the screen."""
    received = asyncio.Event()
    dashboard.post_message(events.Paste(text))
    dashboard.call_later(received.set)
    await received.wait()
    await pilot.pause()


async def test_without_a_run_the_keys_are_named(
    open_dashboard: OpenDashboard, tmp_path: Path
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        assert "w chooses a run" in result_text(dashboard)
        assert "press" not in str(path_input(dashboard).value)
        await paste(dashboard, pilot, str(save_image(tmp_path / "a.png")))
        await pilot.press("r", "W", "escape", "i", "space", "right", "i")
        assert "w chooses a run" in result_text(dashboard)


async def test_a_typed_path_shows_the_result_and_its_steps(
    open_dashboard: OpenDashboard, app_state: AppState, model: FakeModel, tmp_path: Path
) -> None:
    file = save_image(tmp_path / "my bag.png")
    async with open_dashboard("predict") as (dashboard, pilot):
        assert dashboard.screen.query_one(ResultPane).has_focus
        await pilot.press("enter")
        assert path_input(dashboard).has_focus
        path_input(dashboard).value = str(file)
        await pilot.press("enter")
        await wait_until(pilot, lambda: "Bag, 97.0 %" in result_text(dashboard))
        assert stages(dashboard)[0] == "upright"
        assert stages(dashboard)[-1] == "scaled"
        assert "my bag.png" in result_text(dashboard)
        assert model.requests == [
            (app_state.selected_run.path if app_state.selected_run else None, (file,))
        ]
        captions = str(dashboard.screen.query_one("#captions", Static).content)
        assert "60×40 PNG RGB" in captions
        assert dashboard.screen.query_one(ResultPane).has_focus


async def test_digits_type_in_the_path_and_switch_screens_elsewhere(
    open_dashboard: OpenDashboard, model: FakeModel
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("g", "2", "q")
        assert path_input(dashboard).value == "2q"
        await pilot.press("escape", "6")
        assert dashboard.current_mode == "runs"
        await pilot.press("5")
        assert dashboard.current_mode == "predict"


async def test_tab_completes_the_path_and_then_moves_on(
    open_dashboard: OpenDashboard, model: FakeModel, tmp_path: Path
) -> None:
    (tmp_path / "garments").mkdir()
    save_image(tmp_path / "garments" / "shoe.png")
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("enter")
        path_input(dashboard).value = f"{tmp_path}/gar"
        await pilot.press("tab")
        await wait_until(pilot, lambda: path_input(dashboard).value == f"{tmp_path}/garments/")
        await pilot.press("tab")
        await wait_until(pilot, lambda: path_input(dashboard).value.endswith("/shoe.png"))
        await pilot.press("tab")
        await wait_until(pilot, lambda: not path_input(dashboard).has_focus)
        await pilot.press("enter", "end", "backspace", "backspace")
        await wait_until(pilot, lambda: path_input(dashboard)._suggestion.endswith("/shoe.png"))
        await pilot.press("right")
        assert path_input(dashboard).value.endswith("/shoe.png")


async def test_an_empty_path_predicts_the_samples(
    open_dashboard: OpenDashboard, model: FakeModel
) -> None:
    samples = sorted((recipes.shipped_folder("assets") / "samples").iterdir())
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("enter", "enter")
        await wait_until(
            pilot, lambda: sum("97.0 %" in row for row in rows(dashboard)) == len(samples)
        )
        assert file_table(dashboard).has_focus
        assert str(file_table(dashboard).border_title) == "Images  6"


async def test_the_table_of_a_folder_shows_errors_too(
    open_dashboard: OpenDashboard, model: FakeModel, tmp_path: Path
) -> None:
    for name in "abcdef":
        save_image(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"not an image")
    async with open_dashboard("predict", size=(200, 60)) as (dashboard, pilot):
        await paste(dashboard, pilot, f"'{tmp_path}'\n")
        await wait_until(pilot, lambda: sum("97.0 %" in row for row in rows(dashboard)) == 5)
        assert "✗ not an image" in rows(dashboard)[2]
        # Nothing lies below the scroll bar.
        lines = [line for row in rows(dashboard) for line in row.split("\n")]
        assert max(map(len, lines)) < file_table(dashboard).line_width - 10
        await pilot.press("down", "j")
        await wait_until(pilot, lambda: "not an image, or damaged" in result_text(dashboard))
        assert stages(dashboard) == []
        await pilot.press("end")
        await wait_until(pilot, lambda: "f.png" in result_text(dashboard))
        await pilot.press("k")
        await wait_until(pilot, lambda: "e.png" in result_text(dashboard))
        await pilot.press("home")
        await wait_until(pilot, lambda: "a.png" in result_text(dashboard))
        await pilot.press("j", "j", "j", "enter")
        await wait_until(pilot, lambda: "d.png" in result_text(dashboard))
        assert stages(dashboard)
        assert dashboard.screen.query_one(ResultPane).has_focus


async def test_the_list_shows_thumbnails_and_marks_what_the_model_is_unsure_of(
    open_dashboard: OpenDashboard, app_state: AppState, model: FakeModel, tmp_path: Path
) -> None:
    for name in "abc":
        save_image(tmp_path / f"{name}.png")
    (tmp_path / "d.png").write_bytes(b"not an image")
    model.unsure = {"b.png"}
    async with open_dashboard("predict", size=(120, 36)) as (dashboard, pilot):
        table, result = file_table(dashboard), dashboard.screen.query_one(ResultPane)
        await paste(dashboard, pilot, str(tmp_path))
        await wait_until(pilot, lambda: str(table.border_subtitle) == "? 1 unsure  ✗ 1 error")
        sure, unsure = rows(dashboard)[:2]
        assert "Bag" in sure and "?" not in sure
        assert "? Bag" in unsure and "or Pullover" in unsure
        # The brown box of the file, beside its name.
        line = table.render_line(1)
        assert "a.png" in line.text
        colours = [segment.style.bgcolor for segment in line.crop(0, 10) if segment.style]
        assert any(
            each and each.get_truecolor().red > each.get_truecolor().blue for each in colours
        )
        # The image as the network gets it, and all classes.
        view = result.query_one(ImageView)
        assert view.size == (28, 15)
        assert view._image is not None and view._image.shape == (28, 28, 1)
        assert len(result.query_one(ProbabilityBars)._ranked) == 10
        await pilot.press("down")
        await wait_until(pilot, lambda: "all below 60 %" in result_text(dashboard))
        assert "? Bag or Pullover" in result_text(dashboard)
        await pilot.press("o")
        assert [row.split()[0] for row in rows(dashboard)] == ["b.png", "a.png", "c.png", "d.png"]
        assert "order: least sure" in str(table.border_subtitle)
        assert table.file == tmp_path / "b.png"
        await pilot.press("o", "end")
        await wait_until(pilot, lambda: "not an image" in result_text(dashboard))
        assert not view.display
        await pilot.press("z")
        assert table.row_height == 7
        await pilot.press("z")
        assert table.row_height == 1
        assert [row.split()[:2] for row in rows(dashboard)[:2]] == [
            ["a.png", "Bag"],
            ["b.png", "?"],
        ]
        assert app_state.settings.get("predict.thumbnails") == "none"
        await pilot.press("z")
        await pilot.resize_terminal(80, 24)
        # No class is cut, not even beside its mark.
        await wait_until(pilot, lambda: "? Bag" in rows(dashboard)[1] and table.row_height == 4)
        assert not any("…" in row for row in rows(dashboard)[:3])


async def test_a_table_that_was_hidden_lists_the_files_of_the_new_folder(
    open_dashboard: OpenDashboard, model: FakeModel, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        save_image(tmp_path / name / f"{name}.png")
    async with open_dashboard("predict") as (dashboard, pilot):
        await paste(dashboard, pilot, str(tmp_path / "first"))
        await wait_until(pilot, lambda: "first.png" in "".join(rows(dashboard)))
        await paste(dashboard, pilot, str(save_image(tmp_path / "single.png")))
        await wait_until(pilot, lambda: not file_table(dashboard).region)
        await paste(dashboard, pilot, str(tmp_path / "second"))
        await wait_until(
            pilot, lambda: [row.split()[0] for row in rows(dashboard)] == ["second.png"]
        )
        await wait_until(pilot, lambda: "second.png" in result_text(dashboard))


@pytest.mark.parametrize("focused", [False, True])
async def test_files_can_be_dropped_anywhere(
    open_dashboard: OpenDashboard, model: FakeModel, tmp_path: Path, focused: bool
) -> None:
    one, two = save_image(tmp_path / "one bag.png"), save_image(tmp_path / "two.png")
    async with open_dashboard("predict") as (dashboard, pilot):
        if focused:
            await pilot.press("enter", "x")
        await paste(dashboard, pilot, f"'{one}' {two} ")
        await wait_until(pilot, lambda: sum("97.0 %" in row for row in rows(dashboard)) == 2)
        dashboard.screen.set_focus(None)
        await paste(dashboard, pilot, f"file://{str(one).replace(' ', '%20')}\r\n")
        await wait_until(pilot, lambda: path_input(dashboard).value == str(one))
        await wait_until(pilot, lambda: "one bag.png" in result_text(dashboard))


async def test_a_part_of_a_path_is_pasted_into_the_path(
    open_dashboard: OpenDashboard, model: FakeModel
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("enter", *"im")
        await paste(dashboard, pilot, "ages\x1b[31m/a.png\n")
        assert path_input(dashboard).value == "images[31m/a.png"
        assert model.requests == []


async def test_errors_are_shown_in_the_result_pane(
    open_dashboard: OpenDashboard, model: FakeModel, tmp_path: Path
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        await paste(dashboard, pilot, str(tmp_path / "gone.png"))
        await wait_until(pilot, lambda: "No such file" in result_text(dashboard))
        (tmp_path / "empty").mkdir()
        await paste(dashboard, pilot, str(tmp_path / "empty"))
        await wait_until(pilot, lambda: "no images in" in result_text(dashboard))
        model.error = "there is no checkpoint yet"
        await paste(dashboard, pilot, str(save_image(tmp_path / "a.png")))
        await wait_until(pilot, lambda: "no checkpoint yet" in result_text(dashboard))
        model.error = ""
        await paste(dashboard, pilot, str(tmp_path / "a.png"))
        await wait_until(pilot, lambda: "Bag, 97.0 %" in result_text(dashboard))


async def test_control_characters_in_file_names_are_escaped(
    open_dashboard: OpenDashboard, model: FakeModel, tmp_path: Path
) -> None:
    folder = tmp_path / "[b]x\x1b]0;t\x07"
    folder.mkdir()
    save_image(folder / "[red]a\x1b[2J.png")
    async with open_dashboard("predict", size=(200, 60)) as (dashboard, pilot):
        await paste(dashboard, pilot, f"'{folder}'")
        await wait_until(pilot, lambda: any("97.0 %" in row for row in rows(dashboard)))
        assert "[red]a␛[2J.png" in rows(dashboard)[0]
        assert path_input(dashboard).value == ""
        await wait_until(pilot, lambda: "[red]a␛[2J.png" in result_text(dashboard))


async def test_another_selected_run_predicts_again(
    open_dashboard: OpenDashboard, app_state: AppState, model: FakeModel, tmp_path: Path
) -> None:
    other = make_run(app_state.runs_dir, splits=())
    file = save_image(tmp_path / "a.png")
    async with open_dashboard("predict") as (dashboard, pilot):
        await paste(dashboard, pilot, str(file))
        await wait_until(pilot, lambda: "Bag" in result_text(dashboard))
        await pilot.press("w")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        (await screen_input(dashboard, pilot)).value = other.id
        await pilot.press("enter")
        await wait_until(pilot, lambda: len(model.requests) > 1 and "Bag" in result_text(dashboard))
        assert app_state.selected_run == other
        # Only once.
        assert model.requests[1:] == [(other.path, (file,))]
        assert other.id in str(dashboard.screen.query_one("#input").border_title)


async def test_the_first_model_that_is_offered_is_a_run(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    run = make_run(app_state.runs_dir, splits=())
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("w")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PredictScreen))
        assert app_state.selected_run == run


async def test_a_model_file_can_be_chosen_instead(
    open_dashboard: OpenDashboard, model: FakeModel, tmp_path: Path
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        await paste(dashboard, pilot, str(save_image(tmp_path / "a.png")))
        await wait_until(pilot, lambda: "Bag" in result_text(dashboard))
        await pilot.press("w")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        (await screen_input(dashboard, pilot)).value = "file"
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        (await screen_input(dashboard, pilot)).value = str(tmp_path / "net.safetensors")
        await pilot.press("enter")
        await wait_until(pilot, lambda: len(model.requests) == 2)
        assert model.requests[-1][0] == tmp_path / "net.safetensors"
        assert "net.safetensors" in str(dashboard.screen.query_one("#input").border_title)


async def test_a_result_of_the_previous_model_is_not_shown(
    open_dashboard: OpenDashboard, app_state: AppState, model: FakeModel, tmp_path: Path
) -> None:
    other = make_run(app_state.runs_dir, splits=())
    model.hold = True
    async with open_dashboard("predict") as (dashboard, pilot):
        await paste(dashboard, pilot, str(save_image(tmp_path / "a.png")))
        await wait_until(pilot, lambda: len(model.requests) == 1)
        assert "predicting with tiny" in result_text(dashboard)
        dashboard.select_run(other)
        await pilot.pause()
        model.release()
        await wait_until(pilot, lambda: len(model.requests) == 2)
        assert "Bag" not in result_text(dashboard)
        model.release()
        await wait_until(pilot, lambda: "Bag" in result_text(dashboard))


async def test_a_watched_folder_adds_images_until_it_is_gone(
    open_dashboard: OpenDashboard, model: FakeModel, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("W")
        assert isinstance(dashboard.screen, PromptDialog)
        (await screen_input(dashboard, pilot)).value = str(folder)
        await pilot.press("enter")
        await wait_until(pilot, lambda: "watching" in note(dashboard))
        await wait_until(pilot, lambda: "waiting for images" in file_table(dashboard).empty)
        save_image(folder / "first.png")
        await wait_until(pilot, lambda: bool(rows(dashboard)) and "97.0 %" in rows(dashboard)[0])
        save_image(folder / "second.png")
        await wait_until(
            pilot, lambda: len(rows(dashboard)) == 2 and "97.0 %" in rows(dashboard)[1]
        )
        await wait_until(pilot, lambda: "second.png" in result_text(dashboard))
        (folder / "second.png").write_bytes(b"spoilt")
        await wait_until(pilot, lambda: "✗" in rows(dashboard)[1])
        shutil.rmtree(folder)
        await wait_until(pilot, lambda: "the watched folder is gone" in note(dashboard))
        assert len(rows(dashboard)) == 2
        await paste(dashboard, pilot, str(save_image(tmp_path / "later.png")))
        await wait_until(pilot, lambda: "later.png" in result_text(dashboard))


async def test_w_ends_the_watch_and_a_missing_folder_is_an_error(
    monkeypatch: pytest.MonkeyPatch, open_dashboard: OpenDashboard, model: FakeModel, tmp_path: Path
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        messages = record_toasts(monkeypatch)
        await pilot.press("W")
        (await screen_input(dashboard, pilot)).value = str(tmp_path / "missing")
        await pilot.press("enter")
        await wait_until(pilot, lambda: bool(messages))
        assert "cannot be read" in messages[0]
        await pilot.press("W")
        (await screen_input(dashboard, pilot)).value = str(tmp_path)
        await pilot.press("enter")
        await wait_until(pilot, lambda: "watching" in note(dashboard))
        screen = dashboard.screen
        assert isinstance(screen, PredictScreen)
        watch = screen._watch
        assert watch is not None
        await pilot.press("W")
        assert "no longer watching" in note(dashboard)
        watch.join(60)
        assert not watch.is_alive()


async def test_a_drawing_is_predicted_while_it_is_drawn(
    open_dashboard: OpenDashboard, model: FakeModel
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("i")
        pad = dashboard.screen.query_one(DrawPad)
        assert pad.has_focus
        assert not dashboard.screen.query_one("#input").display
        await pilot.press("space", "right", "down")
        await wait_until(pilot, lambda: "Bag, 97.0 %" in result_text(dashboard))
        await wait_until(pilot, lambda: np.array_equal(model.drawings[-1], pad.image()))
        assert "scaled" in stages(dashboard)
        drawn = pad.image().sum()
        await pilot.press("x", "space")
        assert pad.image().sum() < drawn
        await pilot.press("backspace")
        assert pad.is_blank
        await wait_until(pilot, lambda: "Bag" not in result_text(dashboard))
        await pilot.press("i")
        assert dashboard.screen.query_one("#input").display
        assert dashboard.screen.query_one(ResultPane).has_focus


async def test_the_mouse_draws_and_its_right_button_erases(
    open_dashboard: OpenDashboard, model: FakeModel
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("i")
        pad = dashboard.screen.query_one(DrawPad)
        await pilot.mouse_down(DrawPad, offset=(5, 5))
        await pilot.hover(DrawPad, offset=(40, 5))
        await pilot.mouse_up(DrawPad, offset=(40, 5))
        drawn = pad.image()
        assert drawn.max() == 255
        # Also between the two points, and nothing more once the button is released.
        assert (drawn.max(axis=0) > 0).mean() > 0.5
        await pilot.hover(DrawPad, offset=(40, 12))
        assert np.array_equal(pad.image(), drawn)
        await pilot.mouse_down(DrawPad, offset=(5, 5), button=3)
        await pilot.hover(DrawPad, offset=(40, 5))
        await pilot.mouse_up(DrawPad, offset=(40, 5))
        assert pad.is_blank
        await wait_until(
            pilot,
            lambda: "draw something" in result_text(dashboard),
        )


async def test_the_tools_of_the_pad_work_by_key_and_by_mouse(
    open_dashboard: OpenDashboard, model: FakeModel
) -> None:
    async with open_dashboard("predict", size=(120, 36)) as (dashboard, pilot):
        await pilot.press("i")
        pad = dashboard.screen.query_one(DrawPad)
        tools = pad._layout_canvas()[1] // 2 + 1

        def lines() -> str:
            return "\n".join(pad.render_line(y).text for y in range(pad.size.height))

        async def click(word: str) -> None:
            column = pad.render_line(tools - 1).text.index(word)
            await pilot.click(DrawPad, offset=(column + 2, tools))

        await click("undo")
        assert "nothing to undo" in lines()
        await pilot.press("space", "right")
        thin = pad.image().sum()
        await pilot.press("u", "u")
        assert pad.is_blank
        await click("+")
        await pilot.press("plus", "space", "right")
        assert "brush 4/4" in lines()
        assert pad.image().sum() > 2 * thin
        await click("erase")
        assert "[erase]" in lines()
        thick = pad.image().sum()
        await pilot.press("space")
        assert pad.image().sum() < thick
        await click("clear")
        await click("fill")
        await pilot.click(DrawPad, offset=(3, 3))
        assert pad.image().min() == 255
        await pilot.press("space")
        assert "nothing to fill here" in lines()
        await click("clear")
        assert pad.is_blank
        await pilot.press("u")
        assert pad.image().min() == 255
        await pilot.press("f")
        assert "[draw]" in lines()
        await pilot.press("escape")
        assert not pad.display


async def test_of_many_strokes_the_newest_is_predicted_and_few_before(
    open_dashboard: OpenDashboard, model: FakeModel
) -> None:
    model.hold = True
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("i", "space")
        await wait_until(pilot, lambda: len(model.drawings) == 1)
        first = model.drawings[0]
        await pilot.press("right", "down", "right", "down")
        assert len(model.drawings) == 1
        answered = time.monotonic()
        model.release()
        pad = dashboard.screen.query_one(DrawPad)
        await wait_until(pilot, lambda: len(model.drawings) == 2)
        assert np.array_equal(model.drawings[1], pad.image())
        assert not np.array_equal(first, pad.image())
        # Quick strokes after a result are predicted together.
        model.hold = False
        model.release()
        await pilot.press("down", "down", "down", "down")
        await wait_until(pilot, lambda: np.array_equal(model.drawings[-1], pad.image()))
        assert len(model.drawings) <= 3 + (time.monotonic() - answered) / DRAWING_SECONDS


async def test_a_drawing_does_not_get_the_error_of_the_previous_model(
    open_dashboard: OpenDashboard, app_state: AppState, model: FakeModel
) -> None:
    model.hold = True
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("i", "space")
        await wait_until(pilot, lambda: len(model.drawings) == 1)
        model.error = "the checkpoint is gone"
        dashboard.select_run(make_run(app_state.runs_dir, splits=()))
        await pilot.pause()
        model.release()
        # The other model predicts although the previous one could not.
        await wait_until(pilot, lambda: len(model.drawings) == 2)
        assert "gone" not in result_text(dashboard)
        model.release()
        await wait_until(pilot, lambda: "the checkpoint is gone" in result_text(dashboard))


async def test_an_error_replaces_the_result_of_an_older_drawing(
    open_dashboard: OpenDashboard, model: FakeModel
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("i", "space")
        await wait_until(pilot, lambda: "Bag" in result_text(dashboard))
        model.error = "the checkpoint is gone"
        await pilot.press("right")
        await wait_until(pilot, lambda: "the checkpoint is gone" in result_text(dashboard))


async def test_every_key_of_the_pad_moves_the_pen_or_draws(
    open_dashboard: OpenDashboard, model: FakeModel
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        await pilot.press("i")
        pad = dashboard.screen.query_one(DrawPad)
        x, y = pad._pen
        keys = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
        keys |= dict(zip("hlkj", list(keys.values()), strict=True))
        for key, (across, down) in keys.items():
            await pilot.press(key)
            x, y = x + across, y + down
            assert pad._pen == (x, y), key
        assert not pad.image().any()
        for clear in ("backspace", "delete"):
            await pilot.press("space")
            assert pad.image().any()
            await pilot.press(clear, "right")
            # Cleared, and the pen is up again.
            assert not pad.image().any()


async def test_r_changes_the_renderer_and_saves_it(
    open_dashboard: OpenDashboard, app_state: AppState, model: FakeModel, tmp_path: Path
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        await paste(dashboard, pilot, str(save_image(tmp_path / "a.png")))
        await wait_until(pilot, lambda: "Bag" in result_text(dashboard))
        await pilot.press("r")
        assert app_state.settings.get("renderer") == "braille"
        assert dashboard.screen.query_one(StageStrip).renderer == "braille"
        assert dashboard.screen.query_one(DrawPad).renderer == "braille"


@pytest.mark.parametrize("size", [(50, 14), (80, 24), (200, 60)])
async def test_it_fits_small_and_large_terminals(
    open_dashboard: OpenDashboard, model: FakeModel, tmp_path: Path, size: tuple[int, int]
) -> None:
    for name in "ab":
        save_image(tmp_path / f"{name}.png")
    async with open_dashboard("predict", size=size) as (dashboard, pilot):
        await paste(dashboard, pilot, f"{tmp_path}/a.png {tmp_path}/b.png")
        await wait_until(pilot, lambda: sum("97.0 %" in row for row in rows(dashboard)) == 2)
        for widget in (
            file_table(dashboard),
            dashboard.screen.query_one(ResultPane),
            dashboard.screen.query_one(ResultPane),
        ):
            assert widget.region.right <= size[0]
            assert widget.region.bottom <= size[1]
            assert widget.size.height >= 1
        if size == (50, 14):
            steps = dashboard.screen.query_one(ResultPane)
            steps.focus()
            await wait_until(pilot, lambda: steps.max_scroll_y > 1)
            for key, place in (("j", 1), ("j", 2), ("k", 1)):
                await pilot.press(key)
                await wait_until(pilot, partial(lambda y: steps.scroll_offset.y == y, place))
        await pilot.press("i", "space", "left")
        pad = dashboard.screen.query_one(DrawPad)
        assert pad.region.bottom <= size[1]


async def test_a_deleted_run_is_an_error_and_other_screens_work(
    open_dashboard: OpenDashboard, app_state: AppState, model: FakeModel, tmp_path: Path
) -> None:
    async with open_dashboard("predict") as (dashboard, pilot):
        dashboard.select_run(RunFolder(app_state.runs_dir / "gone"))
        model.error = "no run in gone: not a folder"
        await paste(dashboard, pilot, str(save_image(tmp_path / "a.png")))
        await wait_until(pilot, lambda: "not a folder" in result_text(dashboard))
        await pilot.press("6", "5")
        assert "not a folder" in result_text(dashboard)
