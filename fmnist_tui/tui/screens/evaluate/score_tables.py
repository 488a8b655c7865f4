"""Two tables of an evaluation: the scores of each class, and the most confused pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import on
from textual.color import Color
from textual.content import Content
from textual.message import Message

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.tui.widgets.columns import Column, fit_columns, format_head, format_row
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.class_names import short_names, short_pairs
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.sequences import next_item

# The orders of the classes, with the names of the scores; lowest score first.
ORDERS = {"class": "", "precision": "precision", "recall": "recall", "f1": "F1"}
_MAX_PAIRS = 200
_SCORE_COLUMNS = (
    Column("class", "class", 11, 0),
    Column("precision", "prec.", 5, 2, right=True),
    Column("recall", "recall", 6, 1, right=True),
    Column("f1", "F1", 5, 1, right=True),
    Column("support", "images", 6, 3, right=True),
    Column("confused", "most confused with", 20, 4),
)
_PAIR_COLUMNS = (
    Column("pair", "true → predicted", 12, 0),
    Column("count", "images", 6, 1, right=True),
    Column("share", "share", 7, 2, right=True),
    Column("bar", "", 12, 3),
)


class ScoreTable(LineTable):
    """A table of an evaluation; `enter` opens the images of the row at the cursor."""

    @dataclass
    class RowOpened(Message):
        """The user opens the images of a pair of classes; None stands for any class."""

        true: int | None
        predicted: int | None

    _evaluation: Evaluation | None = None

    def show_evaluation(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self.refill()

    @on(LineTable.Resized)
    def refill(self) -> None:
        """Fill the table for the present width, once there is one."""
        if self._evaluation is not None and self.line_width > 0:
            self._fill(self._evaluation, self.line_width)

    def _fill(self, evaluation: Evaluation, width: int) -> None:
        raise NotImplementedError

    @on(LineTable.RowSelected)
    def _open_row(self, event: LineTable.RowSelected) -> None:
        event.stop()
        true, _, predicted = event.key.partition(">")
        if true:
            self.post_message(self.RowOpened(int(true), int(predicted) if predicted else None))


class ClassScores(ScoreTable):
    """Precision, recall and F1 of every class, by class or lowest score first."""

    KEYS_TITLE = "Classes"
    order = "class"

    def next_order(self) -> None:
        self.order = next_item(ORDERS, self.order)
        self.refill()
        if self.has_focus:
            self.move_cursor(0)

    def _fill(self, evaluation: Evaluation, width: int) -> None:
        score_name = ORDERS[self.order]
        order = f", lowest {score_name} first" if score_name else ""
        self.border_title = Content(f"Classes, %{order}")
        columns = fit_columns(_SCORE_COLUMNS, width)
        classes = [score.name for score in evaluation.classes]
        names, others = short_names(classes, columns[0].width), short_names(classes, 14)
        scores = list(enumerate(evaluation.classes))
        if score_name:
            scores.sort(key=lambda item: getattr(item[1], self.order))
        rows = []
        for number, score in scores:
            texts = {
                "class": Text(names[number]),
                "precision": _score_text(score.precision),
                "recall": _score_text(score.recall),
                "f1": _score_text(score.f1),
                "support": Text(f"{score.support:,}"),
                "confused": Text(_confused_text(evaluation, others, number)),
            }
            rows.append((str(number), format_row(columns, texts)))
        means = {
            "class": Text("mean", style="bold"),
            "precision": _score_text(evaluation.macro_precision, "bold"),
            "recall": _score_text(evaluation.macro_recall, "bold"),
            "f1": _score_text(evaluation.macro_f1, "bold"),
            "support": Text(f"{evaluation.count:,}", style="bold"),
        }
        self.set_rows(format_head(columns), [*rows, ("", format_row(columns, means))])


class ConfusedPairs(ScoreTable):
    """The pairs of classes that are confused, most frequent first."""

    KEYS_TITLE = "Most confused"

    def _fill(self, evaluation: Evaluation, width: int) -> None:
        self.border_title = Content("Most confused")
        names = [score.name for score in evaluation.classes]
        pairs = evaluation.most_confused(_MAX_PAIRS)
        columns = fit_columns(_PAIR_COLUMNS, width)
        highest = pairs[0][2] if pairs else 1
        bar_width = next((column.width for column in columns if column.key == "bar"), 0)
        colour = Color.parse(self.app.theme_variables["error"]).hex6
        labels = short_pairs(names, [pair[:2] for pair in pairs], columns[0].width)
        rows = []
        for label, (true, predicted, count) in zip(labels, pairs, strict=True):
            share = count / max(1, evaluation.classes[true].support)
            texts = {
                "pair": Text(label),
                "count": Text(f"{count:,}"),
                "share": Text(format_percent(share, 1)),
                "bar": Text("━" * max(1, round(bar_width * count / highest)), style=colour),
            }
            rows.append((f"{true}>{predicted}", format_row(columns, texts)))
        self.set_rows(format_head(columns), rows, "no errors")


def most_confused_with(evaluation: Evaluation, true: int) -> int:
    """The wrong class that is predicted most often for a class; the class itself if none is."""
    row = evaluation.confusion[true]
    counts = [(count, -number) for number, count in enumerate(row) if number != true and count]
    return -max(counts, default=(0, -true))[1]


def _confused_text(evaluation: Evaluation, names: Sequence[str], true: int) -> str:
    """`Shirt 88`."""
    wrong = most_confused_with(evaluation, true)
    return f"{names[wrong]} {evaluation.confusion[true][wrong]:,}" if wrong != true else "–"


def _score_text(share: float, style: str = "") -> Text:
    return Text(f"{100 * share:.1f}", style=style)
