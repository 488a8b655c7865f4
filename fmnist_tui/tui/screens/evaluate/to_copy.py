"""What can be copied from Evaluate: of the pane that has the keyboard."""

from __future__ import annotations

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.base.copying import CopyTable, ToCopy, repeat_command
from fmnist_tui.tui.screens.evaluate.confusion_layout import Cell, describe_cell
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.util.formatting import format_percent

_MAX_PAIRS = 200


def evaluation_to_copy(
    app_state: AppState,
    folder: RunFolder,
    split: str,
    evaluation: Evaluation,
    pane: str,
    cell: Cell,
    row: str,
) -> ToCopy:
    """`pane` is the id of the focused pane; `cell` is under the matrix's cursor, and `row` the key
    of the row under that of the tables."""
    names = [score.name for score in evaluation.classes]
    value, table = f"{format_percent(evaluation.accuracy)}", matrix_table(evaluation)
    if pane == "matrix":
        value = describe_cell(evaluation.confusion, names, cell)
    elif pane == "scores":
        table = scores_table(evaluation)
        if row:
            name, *scores, _ = table.rows[int(row)]
            value = "{}: precision {} %, recall {} %, F1 {} %".format(name, *scores)
    elif pane == "pairs":
        table = _pairs_table(evaluation)
        if row:
            true, predicted = map(int, row.split(">"))
            value = describe_cell(evaluation.confusion, names, (true, predicted))
    command = repeat_command(app_state, "evaluate", folder.id, f"--split={split}", data=True)
    return ToCopy(value, table, folder.path, command)


def matrix_table(evaluation: Evaluation) -> CopyTable:
    """True classes as rows, predicted classes as columns."""
    names = [score.name for score in evaluation.classes]
    rows = [(name, *row) for name, row in zip(names, evaluation.confusion, strict=True)]
    return CopyTable(("true ↓ predicted →", *names), rows)


def scores_table(evaluation: Evaluation) -> CopyTable:
    """The classes in their own order, scores in per cent."""
    rows = [
        (
            score.name,
            *(f"{100 * share:.1f}" for share in (score.precision, score.recall, score.f1)),
            score.support,
        )
        for score in evaluation.classes
    ]
    return CopyTable(("class", "precision", "recall", "F1", "images"), rows)


def _pairs_table(evaluation: Evaluation) -> CopyTable:
    classes = evaluation.classes
    rows = [
        (
            classes[true].name,
            classes[predicted].name,
            count,
            format_percent(count / max(1, classes[true].support), 1),
        )
        for true, predicted, count in evaluation.most_confused(_MAX_PAIRS)
    ]
    return CopyTable(("true", "predicted", "images", "share"), rows)
