"""Predict: pictures from the disk, a folder that is watched, or a drawing, asked of a model."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from textual import events, on
from textual.binding import Binding
from textual.containers import Container
from textual.message import Message
from textual.widget import Widget
from textual.widgets import DataTable, Input

from fmnist_tui.config import recipes
from fmnist_tui.render.renderers import renderer_names
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.base.dialogs import PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.predict import inputs
from fmnist_tui.tui.screens.predict.draw_pad import DrawPad
from fmnist_tui.tui.screens.predict.file_table import FileTable
from fmnist_tui.tui.screens.predict.folder_watch import FolderChange, FolderWatch
from fmnist_tui.tui.screens.predict.inputs import PictureInput
from fmnist_tui.tui.screens.predict.path_input import PathInput
from fmnist_tui.tui.screens.predict.predictor import Predictor
from fmnist_tui.tui.screens.predict.result_pane import ResultPane
from fmnist_tui.tui.screens.predict.results import MOST, Result
from fmnist_tui.tui.screens.predict.stages import StagesPane
from fmnist_tui.tui.shared.model_picker import pick_model
from fmnist_tui.tui.widgets.incremental import entitle
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.tui.widgets.picture import known_renderer
from fmnist_tui.util.paths import expand_home, format_path
from fmnist_tui.util.text import safe_text

NO_MODEL = "no model yet: w chooses a run or a model file; 2, then space, trains one"
NO_PICTURE = (
    "enter  type a path\n"
    "       or paste or drop files\n"
    "i      draw a picture\n"
    "W      watch a folder"
)
SAMPLES = "samples"
NO_ANSWER = "what it is, as the model sees it, stands here"
NO_DRAWING = "draw something: it is asked about as you draw"
HINT = "a picture or a folder; nothing for the sample pictures"


class PredictScreen(DashboardScreen):
    """What is given is above and to the left, how the model sees it and what it says beside."""

    NAME, KEY, TITLE = "predict", "5", "Predict"
    HELP = "Pictures are made into what the model was trained on, step by step, then asked about."
    CSS_PATH = "screen.tcss"
    BINDINGS = [
        Binding("enter,g", "type", "Type a path", id="predict.type"),
        Binding("i", "pad", "Draw or files", id="predict.pad"),
        Binding("w", "which", "Which model", id="predict.model"),
        Binding("W", "watch", "Watch a folder", id="predict.watch"),
        Binding("r", "renderer", "How pictures are drawn", show=False, id="view.renderer"),
        Binding("escape", "back", "Leave the line", show=False, id="predict.back"),
    ]

    class Arrived(Message):
        """The watched folder has news. Posted by the watching thread."""

        def __init__(self, news: FolderChange) -> None:
            super().__init__()
            self.news = news

    def __init__(self) -> None:
        super().__init__()
        self._oracle = Predictor(self, self._told, self._show_drawing)
        self._watch: FolderWatch | None = None
        self._stale = False
        self._note = ""
        self._trouble = ""

    def panes(self) -> Iterable[Widget]:
        with Container(id="given", classes="pane"):
            yield PathInput(HINT, id="path")
        with Container(id="body"):
            yield FileTable(id="files", classes="pane")
            yield DrawPad(id="pad", classes="pane")
            with Container(id="rest"):
                yield StagesPane(id="steps", classes="pane")
                yield ResultPane(id="answer", classes="pane")

    def on_mount(self) -> None:
        for selector, title in (("#pad", "Draw"), ("#steps", "Steps"), ("#answer", "Answer")):
            self.query_one(selector).border_title = title
        self.context.selection_changed.subscribe(self, lambda _: self._renew())
        self.context.run_replaced.subscribe(self, lambda _: self._look())
        self.query_one(StagesPane).focus()
        self._appear()
        self._show()

    def on_screen_resume(self) -> None:
        self._appear()
        # After what has been published meanwhile, or a model would be asked twice.
        self.call_next(self._look)

    def on_unmount(self) -> None:
        self._end_watch()

    # -- what is in view ----------------------------------------------------------------------

    @property
    def _pad_mode(self) -> bool:
        return self.has_class("-pad")

    @property
    def _table(self) -> FileTable:
        return self.query_one(FileTable)

    @property
    def _current(self) -> Path | None:
        """The picture in view."""
        if self.has_class("-several"):
            return self._table.file
        return next(iter(self._oracle.enquiry.answers), None)

    def _look(self) -> None:
        """See whether another model is meant by now."""
        if self.is_current:
            if self._stale:
                self._renew()
            else:
                self._oracle.look()
                self._list()
                self._show()

    def _renew(self) -> None:
        """Another model is meant, or the same has learnt more."""
        self._stale = not self.is_current
        if not self._stale:
            self._oracle.renew()
            self._list()
            self._show()

    @on(LineTable.Resized)
    def _list(self) -> None:
        """Bring the table up to date as a whole."""
        if self.has_class("-several"):
            self._table.fill(self._oracle.enquiry.answers)

    def _told(self, answers: list[Result]) -> None:
        """Answers about files have come."""
        if self.has_class("-several"):
            known = self._oracle.enquiry.answers
            self._table.tell(answer for answer in answers if answer.file in known)
        self._show()

    @on(DataTable.RowHighlighted)
    def _show(self) -> None:
        """Bring what is shown of the picture or the drawing up to date."""
        oracle, verdict = self._oracle, self.query_one(ResultPane)
        name = oracle.name
        asked = f"Ask {name}" if name else "Ask a model"
        entitle(self.query_one("#given"), asked, self._note)
        entitle(self.query_one("#pad"), f"Draw for {name}" if name else "Draw")
        total = len(oracle.enquiry.answers)
        entitle(self._table, f"Pictures  {oracle.enquiry.done:,} of {total:,}")
        file = None if self._pad_mode else self._current
        answer = oracle.drawing if self._pad_mode else (oracle.want(file) if file else None)
        empty = NO_DRAWING if self._pad_mode else "" if file else NO_PICTURE
        if answer is not None:
            verdict.show(answer, "" if self._pad_mode else safe_text(answer.file.name))
            empty = "no steps: there is no picture"
        elif trouble := self._trouble or oracle.trouble:
            verdict.say(trouble, wrong=True)
        elif not name:
            verdict.say(NO_MODEL)
        elif oracle.asking:
            empty = f"asking {name} …"
            verdict.say(empty)
        else:
            verdict.say(NO_ANSWER)
        stages = answer.stages if answer is not None else ()
        self.query_one(StagesPane).show(stages, empty, self._renderer)

    def _show_drawing(self) -> None:
        if self._pad_mode:
            self._show()

    @property
    def _renderer(self) -> str:
        return known_renderer(self.app_state.renderer)

    def _appear(self) -> None:
        self.query_one(DrawPad).renderer = self._renderer
        self._show()

    # -- files ----------------------------------------------------------------------------------

    @on(Input.Submitted, "#path")
    def _typed(self, event: Input.Submitted) -> None:
        self._give(
            event.value if event.value.strip() else str(recipes.shipped_folder("assets") / SAMPLES)
        )

    @on(PathInput.Dropped)
    def _dropped(self, event: PathInput.Dropped) -> None:
        self._give(event.text)

    def on_paste(self, event: events.Paste) -> None:
        if event.text.strip():
            self._give(event.text)

    def _give(self, text: str) -> None:
        """Ask about what a typed line or a paste stands for."""
        if self._pad_mode:
            self.action_pad()
        self.later(partial(inputs.gather, text), self._given, self._not_given, group="gather")

    def _given(self, found: PictureInput) -> None:
        self._end_watch()
        self._begin(found)

    def _begin(self, found: PictureInput) -> None:
        self._note, self._trouble = found.note, ""
        self.set_class(len(found.files) != 1 or found.folder is not None, "-several")
        self._oracle.begin(found.files)
        place = found.folder or (found.files[0] if len(found.files) == 1 else "")
        # A name that had to be made safe would not be the file's name any more.
        self.query_one("#path", PathInput).value = (
            format_path(Path(place)) if place and str(place) == safe_text(place) else ""
        )
        self._list()
        self._focus()
        self._show()

    def _not_given(self, why: str) -> None:
        self._trouble = why
        self._oracle.begin(())
        self.remove_class("-several")
        self._show()

    # -- a watched folder -------------------------------------------------------------------------

    def action_watch(self) -> None:
        if self._watch is not None:
            self._note = f"{safe_text(self._watch.folder)} is not watched any more"
            self._end_watch()
            self._show()
            return
        value = self.query_one("#path", PathInput).value.strip()

        def named(folder: str | None) -> None:
            if folder and folder.strip():
                path = expand_home(folder.strip())
                self.later(
                    lambda: PictureInput(tuple(inputs.pictures(path)[:MOST]), path),
                    self._watched,
                    self.notify_error,
                    group="gather",
                )

        self.app.push_screen(
            PromptDialog("Watch a folder", value, "a folder that pictures come into"), named
        )

    def _watched(self, found: PictureInput) -> None:
        self._end_watch()
        if self._pad_mode:
            self.action_pad()
        self._begin(found)
        if found.folder is not None:
            self._watch = FolderWatch(found.folder, lambda news: self._heard(news))
            self._note = f"watching {safe_text(found.folder)}  (W ends it)"
        self._show()

    def _heard(self, news: FolderChange) -> None:
        # On the watching thread: posting is all that may be done there.
        self.post_message(self.Arrived(news))

    @on(Arrived)
    def _arrived(self, event: Arrived) -> None:
        news = event.news
        if self._watch is None or news.folder != self._watch.folder:
            return
        if news.ended:
            self._end_watch()
            self._note = news.ended
            self._show()
            return
        # Whoever looks at the newest goes on looking at the newest.
        follows = self._table.is_at_end
        self._oracle.add(news.files)
        self._list()
        if follows:
            self._table.go_to(str(news.files[-1]))
        self._show()

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    # -- keys -------------------------------------------------------------------------------------

    def _focus(self) -> None:
        """Give the keys to what is given: the pad, the table, or the steps of one picture."""
        if self._pad_mode:
            self.query_one(DrawPad).focus()
        elif self.has_class("-several"):
            self._table.focus()
        else:
            self.query_one(StagesPane).focus()

    @on(DataTable.RowSelected)
    def _opened(self) -> None:
        self.query_one(StagesPane).focus()

    @on(DrawPad.Drawn)
    def _drawn(self) -> None:
        pad = self.query_one(DrawPad)
        self._oracle.draw(None if pad.is_blank else pad.picture())

    def action_type(self) -> None:
        if self._pad_mode:
            self.action_pad()
        self.query_one("#path", PathInput).focus()

    def action_back(self) -> None:
        self._focus()

    def action_pad(self) -> None:
        self.toggle_class("-pad")
        self._focus()
        self._show()

    def action_renderer(self) -> None:
        kinds = renderer_names()
        kind = kinds[(kinds.index(self._renderer) + 1) % len(kinds)]
        self.app_state.settings.save("renderer", kind)
        self._appear()
        self.notify(f"pictures as {self.app_state.renderer}")

    def action_which(self) -> None:
        def run(folder: RunFolder) -> None:
            self._oracle.model = None
            self.context.select_run(folder)

        def file(path: Path) -> None:
            self._oracle.model = path
            self._renew()

        pick_model(self, run, file)
