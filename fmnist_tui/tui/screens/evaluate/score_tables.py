"""Two tables of an evaluation: the classes with their scores, and the pairs mixed up most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import on
from textual.color import Color
from textual.content import Content
from textual.message import Message

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.render.contact_sheet import cells
from fmnist_tui.tui.widgets.columns import Column, head, laid_out, line
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.text import safe_text

# The orders of the classes and how they are told; the worst class comes first.
ORDERS = {"class": "", "precision": "precision", "recall": "recall", "f1": "F1"}
_PAIRS = 200
_SCORES = (
    Column("class", "class", 11, 0),
    Column("precision", "prec.", 5, 2, right=True),
    Column("recall", "recall", 6, 1, right=True),
    Column("f1", "F1", 5, 1, right=True),
    Column("support", "images", 6, 3, right=True),
    Column("mostly", "most often taken for", 20, 4),
)
_CONFUSED = (
    Column("pair", "true → predicted", 12, 0),
    Column("count", "images", 6, 1, right=True),
    Column("share", "share", 6, 2, right=True),
    Column("bar", "", 12, 3),
)


class Judged(LineTable):
    """A table that opens the images behind the row under its cursor."""

    @dataclass
    class Opened(Message):
        """The images of a pair of classes were asked for; None stands for any."""

        true: int | None
        predicted: int | None

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._evaluation: Evaluation | None = None

    def judge(self, evaluation: Evaluation) -> None:
        """Show this evaluation, as soon as there is room for it."""
        self._evaluation = evaluation
        self.refill()

    def on_resize(self) -> None:
        self.refill()

    def refill(self) -> None:
        """Lay the lines out anew."""
        if self._evaluation is not None and self.size.width:
            self._fill(self._evaluation)

    @property
    def _room(self) -> int:
        """The cells of a line; the last column is left to the scroll bar."""
        return max(1, self.size.width - 1)

    def _fill(self, evaluation: Evaluation) -> None:
        raise NotImplementedError

    @on(LineTable.RowSelected)
    def _selected(self, event: LineTable.RowSelected) -> None:
        event.stop()
        true, _, said = (event.row_key.value or "").partition(">")
        if true:
            self.post_message(self.Opened(int(true), int(said) if said else None))


class ClassScores(Judged):
    """Precision, recall and F1 of every class, in the order of the classes or worst first."""

    KEYS_TITLE = "Classes"
    order = "class"

    def next_order(self) -> None:
        """By class, then worst precision, recall and F1 first."""
        orders = list(ORDERS)
        self.order = orders[(orders.index(self.order) + 1) % len(orders)]
        self.refill()
        self.move_cursor(row=0)

    def _fill(self, evaluation: Evaluation) -> None:
        told = ORDERS[self.order]
        self.border_title = Content(f"classes, %, lowest {told} first" if told else "classes, %")
        columns = laid_out(_SCORES, self._room)
        scores = list(enumerate(evaluation.classes))
        if self.order != "class":
            scores.sort(key=lambda score: getattr(score[1], self.order))
        rows = []
        for place, score in scores:
            cells = {
                "class": Text(safe_text(score.name)),
                "precision": _hundred(score.precision),
                "recall": _hundred(score.recall),
                "f1": _hundred(score.f1),
                "support": Text(f"{score.support:,}"),
                "mostly": Text(_mostly(evaluation, place)),
            }
            rows.append((str(place), line(columns, cells)))
        averages = {
            "class": Text("mean", style="bold"),
            "precision": _hundred(evaluation.macro_precision, "bold"),
            "recall": _hundred(evaluation.macro_recall, "bold"),
            "f1": _hundred(evaluation.macro_f1, "bold"),
            "support": Text(f"{evaluation.count:,}", style="bold"),
        }
        self.show(head(columns), [*rows, ("", line(columns, averages))])


class ConfusedPairs(Judged):
    """The pairs of classes that are mixed up most, most first."""

    KEYS_TITLE = "Most confused"

    def _fill(self, evaluation: Evaluation) -> None:
        self.border_title = Content("most confused")
        names = [safe_text(score.name) for score in evaluation.classes]
        pairs = evaluation.most_confused(_PAIRS)
        columns = laid_out(_CONFUSED, self._room)
        highest = pairs[0][2] if pairs else 1
        wide = next((column.width for column in columns if column.key == "bar"), 0)
        wrong = self.app.theme_variables["error"]
        rows = []
        for true, said, count in pairs:
            share = count / max(1, evaluation.classes[true].support)
            cells = {
                "pair": Text(_pair(names, true, said, columns[0].width)),
                "count": Text(f"{count:,}"),
                "share": Text(f"{100 * share:.1f} %"),
                "bar": Text("━" * max(1, round(wide * count / highest)), style=_colour(wrong)),
            }
            rows.append((f"{true}>{said}", line(columns, cells)))
        self.show(head(columns), rows, "nothing was got wrong")


def _pair(names: Sequence[str], true: int, said: int, width: int) -> str:
    """`Shirt → Coat`; where there is no room, the longer name ends earlier."""
    first, second = names[true], names[said]
    while cells(first) + cells(second) + 3 > width and len(first) + len(second) > 4:
        if cells(first) >= cells(second):
            first = first[:-1]
        else:
            second = second[:-1]
    return f"{first} → {second}"


def _colour(name: str) -> str:
    """A theme's colour as rich writes it."""
    return Color.parse(name).hex6


def _mostly(evaluation: Evaluation, true: int) -> str:
    """The class that a class is most often taken for, and how often."""
    row = [(count, -said) for said, count in enumerate(evaluation.confusion[true]) if said != true]
    count, said = max(row, default=(0, 0))
    return f"{safe_text(evaluation.classes[-said].name, 14)} {count:,}" if count else "–"


def _hundred(share: float, style: str = "") -> Text:
    return Text(f"{100 * share:.1f}", style=style)
