"""Predict: classifies image files, the images of a watched folder, or a drawing."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from textual import events, getters, on
from textual.binding import Binding
from textual.containers import Container
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input

from fmnist_tui.config import recipes
from fmnist_tui.data.images.image_folder import FolderWatch
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.base.copying import ToCopy
from fmnist_tui.tui.base.dialog_flow import dialog_flow
from fmnist_tui.tui.base.dialogs import PromptDialog
from fmnist_tui.tui.base.image_screen import ImageScreen
from fmnist_tui.tui.key_names import key_name, list_keys
from fmnist_tui.tui.screens.predict.draw_pad import DrawPad
from fmnist_tui.tui.screens.predict.folder_watch import FolderChanged, WatchThread
from fmnist_tui.tui.screens.predict.image_list import ImageList
from fmnist_tui.tui.screens.predict.inputs import ImageInput, parse_input
from fmnist_tui.tui.screens.predict.path_input import PathInput
from fmnist_tui.tui.screens.predict.predictor import Predictor
from fmnist_tui.tui.screens.predict.result_pane import ResultPane
from fmnist_tui.tui.screens.predict.results import MAX_FILES, SURE, UNSURE_SIGN, Result
from fmnist_tui.tui.screens.predict.to_copy import prediction_to_copy
from fmnist_tui.tui.shared.model_picker import pick_model
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.paths import expand_home, format_path
from fmnist_tui.util.text import safe_text

NO_MODEL = (
    "no model yet: {predict.model} chooses a run or a model file; "
    "{show.train}, then {train.go}, trains one"
)
NO_IMAGE = (
    ("{predict.type}", "type a path"),
    ("", "or paste or drop files"),
    ("{predict.type} enter", "the sample images"),
    ("{predict.pad}", "draw an image"),
    ("{predict.watch}", "watch a folder"),
)
NO_RESULT = "the predicted class is shown here"
NO_DRAWING = "draw something: it is classified as you draw"
# The settings that keep the size of thumbnails and the order of images.
THUMBNAILS, ORDER = "predict.thumbnails", "predict.order"
PATH_HINT = "an image file or a folder; empty for the sample images"


class PredictScreen(ImageScreen):
    """The input is above and on the left; its stages and the result are beside it."""

    NAME, KEY, TITLE = "predict", "5", "Predict"
    HELP = (
        "Images are prepared step by step as the model expects them, then classified."
        f" {UNSURE_SIGN} marks those of which the model is unsure: no class has {100 * SURE:.0f} %."
    )
    CSS_PATH = "screen.tcss"
    BINDINGS = [
        Binding("enter,g", "type_path", "Type a path", id="predict.type"),
        Binding("i", "toggle_pad", "Draw", id="predict.pad"),
        Binding("w", "choose_model", "Which model", id="predict.model"),
        Binding("W", "toggle_watch", "Watch a folder", id="predict.watch"),
        Binding("r", "renderer", "How images are drawn", show=False, id="view.renderer"),
        Binding("escape", "leave_input", "Leave the path", show=False, id="predict.back"),
    ]

    _is_pad_open = reactive(False, repaint=False, toggle_class="-pad")
    _is_table_shown = reactive(False, repaint=False, toggle_class="-several")

    _path = getters.query_one(PathInput)
    _table = getters.query_one(ImageList)
    _pad = getters.query_one(DrawPad)
    _result = getters.query_one(ResultPane)

    def __init__(self) -> None:
        super().__init__()
        self._predictor = Predictor(self, self._on_results, self._urgent_files)
        self._watch: WatchThread | None = None
        # The model has changed while another screen was shown.
        self._is_stale = False
        self._note = ""
        self._input_error = ""
        # The folder whose images these are, if one was given.
        self._folder: Path | None = None

    def panes(self) -> Iterable[Widget]:
        with Container(id="input", classes="pane"):
            yield PathInput(PATH_HINT, id="path")
        with Container(id="body"):
            look = self.app_state.settings.get(THUMBNAILS), self.app_state.settings.get(ORDER)
            yield ImageList(*look, id="files", classes="pane")
            yield DrawPad(id="pad", classes="pane")
            yield ResultPane(id="result", classes="pane")

    def on_mount(self) -> None:
        self._result.border_title = "Result"
        self.context.selection_changed.subscribe(self, lambda _: self._restart())
        self.context.run_replaced.subscribe(self, lambda _: self._check_model())
        self._result.focus()

    def on_screen_resume(self) -> None:
        # After the signals that are still due: otherwise a model would predict twice.
        self.call_next(self._check_model)

    def on_unmount(self) -> None:
        self._end_watch()

    # -- what is shown ------------------------------------------------------------------------

    @property
    def _file(self) -> Path | None:
        """The file whose result is shown."""
        if self._is_table_shown:
            return self._table.file
        return next(iter(self._predictor.queue.results), None)

    def _urgent_files(self) -> list[Path]:
        """The files whose results can be seen."""
        return self._table.visible_files if self._is_table_shown else []

    def _check_model(self) -> None:
        if self.is_current:
            if self._is_stale:
                self._restart()
            else:
                self._predictor.restart_if_changed()
                self._show_all()

    def _restart(self) -> None:
        """Predict everything again: the model is another, or has been trained further."""
        self._is_stale = not self.is_current
        if not self._is_stale:
            self._predictor.restart()
            self._show_all()

    def _show_all(self) -> None:
        self._fill_table()
        self._show()

    @on(LineTable.Resized)
    def _fill_table(self) -> None:
        if self._is_table_shown:
            self._table.show_all(self._predictor.queue.results)

    def _on_results(self, results: list[Result]) -> None:
        if self._is_table_shown:
            files = self._predictor.queue.results
            self._table.show_results(result for result in results if result.file in files)
            if results and self._table.is_sorted_when_done and None not in files.values():
                self._fill_table()
        self._show()

    @on(LineTable.RowHighlighted)
    def _show(self) -> None:
        """Show the result of the current file or of the drawing."""
        predictor, pane, file = self._predictor, self._result, self._file
        name, queue = predictor.name, predictor.queue
        set_border_titles(self.query_one("#input"), f"Predict with {name or 'a model'}", self._note)
        set_border_titles(self._pad, f"Draw for {name}" if name else "Draw")
        self._table.show_counts(queue.results)
        if self._is_pad_open:
            result, message = predictor.drawing, NO_DRAWING
        else:
            result = predictor.get_result(file) if file else None
            message = "" if file else list_keys(NO_IMAGE)
        if result is not None:
            name = "" if self._is_pad_open else result.file.name
            pane.show(result, name, self.app_state.renderer)
        elif error := self._input_error or predictor.error:
            pane.show_message(error, message, is_error=True)
        elif not name:
            pane.show_message(NO_MODEL, message)
        elif predictor.is_busy:
            pane.show_message(f"predicting with {name} …", message)
        else:
            pane.show_message(NO_RESULT, message)

    def to_copy(self) -> ToCopy:
        predictor, file = self._predictor, self._file
        if self._is_pad_open:
            return prediction_to_copy(predictor.source, predictor.drawing, {}, None)
        files = predictor.queue.results
        shown = files.get(file) if file is not None else None
        return prediction_to_copy(predictor.source, shown, files, self._folder)

    def update_appearance(self) -> None:
        self._pad.renderer = self._table.renderer = self.app_state.renderer
        self._show()

    @on(ImageList.LookChanged)
    def _on_look_changed(self) -> None:
        self.app_state.settings.save(THUMBNAILS, self._table.thumbnails)
        self.app_state.settings.save(ORDER, self._table.order)
        self._fill_table()
        self._show()

    # -- files ----------------------------------------------------------------------------------

    @on(Input.Submitted, "#path")
    def _on_path_submitted(self, event: Input.Submitted) -> None:
        self._load_input(event.value.strip() or str(recipes.shipped_folder("assets") / "samples"))

    @on(PathInput.FilesDropped)
    def _on_files_dropped(self, event: PathInput.FilesDropped) -> None:
        self._load_input(event.text)

    def on_paste(self, event: events.Paste) -> None:
        if event.text.strip():
            self._load_input(event.text)

    def _load_input(self, text: str) -> None:
        """Predict the files that a typed path or a paste names."""
        self._close_pad()
        self.run_in_thread(
            partial(parse_input, text), self._set_input, self._reject_input, group="load input"
        )

    def _set_input(self, images: ImageInput) -> None:
        self._end_watch()
        self._note, self._input_error, self._folder = images.note, "", images.folder
        is_single = len(images.files) == 1 and images.folder is None
        self._is_table_shown = not is_single
        self._predictor.predict(images.files)
        path = images.files[0] if is_single else images.folder
        # A name that is not shown as it is cannot be edited.
        self._path.value = format_path(path) if path and str(path) == safe_text(path) else ""
        self._focus_input()
        self._show_all()

    def _reject_input(self, error: str) -> None:
        self._input_error = error
        self._predictor.predict(())
        self._is_table_shown = False
        self._show()

    # -- a watched folder -------------------------------------------------------------------------

    @dialog_flow
    async def action_toggle_watch(self) -> None:
        if self._watch is not None:
            self._note = f"no longer watching {safe_text(self._watch.folder)}"
            self._end_watch()
            self._show()
            return
        path = self._path.value.strip()
        name = await self.ask(PromptDialog("Watch a folder", path, "a folder that images go to"))
        if name and name.strip():
            folder = expand_home(name.strip())
            watch = partial(FolderWatch, [folder])
            self.run_in_thread(watch, self._start_watch, group="load input")

    def _start_watch(self, watch: FolderWatch) -> None:
        (folder,) = watch.folders
        self._close_pad()
        self._set_input(ImageInput(tuple(watch.images[folder])[:MAX_FILES], folder))
        self._watch = WatchThread(watch, self.post_message)
        self._note = f"watching {safe_text(folder)}  ({key_name('predict.watch')} ends it)"
        self._show()

    @on(FolderChanged)
    def _on_folder_changed(self, change: FolderChanged) -> None:
        if self._watch is None or change.folder != self._watch.folder:
            return
        if change.ended:
            self._end_watch()
            self._note = change.ended
            self._show()
            return
        # A cursor on the newest image follows the newest image.
        follow = self._table.is_at_end
        self._predictor.add(change.files)
        self._fill_table()
        if follow:
            self._table.go_to(str(change.files[-1]))
        self._show()

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    # -- keys -------------------------------------------------------------------------------------

    def _focus_input(self) -> None:
        """Focus the pad or the table, or the result of a single image."""
        if self._is_pad_open:
            self._pad.focus()
        elif self._is_table_shown:
            self._table.focus()
        else:
            self._result.focus()

    @on(LineTable.RowSelected)
    def _on_row_selected(self) -> None:
        self._result.focus()

    @on(DrawPad.DrawingChanged)
    def _on_drawing_changed(self) -> None:
        self._predictor.draw(None if self._pad.is_blank else self._pad.image())
        if self._predictor.drawing is None:
            self._show()

    def action_type_path(self) -> None:
        self._close_pad()
        self._path.focus()

    def action_leave_input(self) -> None:
        self._focus_input()

    def action_toggle_pad(self) -> None:
        self._is_pad_open = not self._is_pad_open
        self._focus_input()
        self._show()

    def _close_pad(self) -> None:
        if self._is_pad_open:
            self.action_toggle_pad()

    @dialog_flow
    async def action_choose_model(self) -> None:
        model = await pick_model(self)
        if isinstance(model, RunFolder):
            self._predictor.model = None
            self.context.select_run(model)
        elif isinstance(model, Path):
            self._predictor.model = model
            self._restart()
