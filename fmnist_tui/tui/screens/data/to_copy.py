"""What can be copied from Data."""

from __future__ import annotations

from fmnist_tui.tui.base.copying import CopyTable, ToCopy, repeat_command
from fmnist_tui.tui.screens.data.view import DatasetView
from fmnist_tui.tui.state.app_state import AppState


def dataset_to_copy(
    app_state: AppState, name: str, view: DatasetView, cursor: int, page: range
) -> ToCopy:
    """The image under the cursor, the table of classes, and `data show` for the same page."""
    images, split = view.filter, view.filter.split.name
    value = " ".join(text for _, text in view.facts(cursor)[:2]) if len(view) else ""
    counts = zip(images.classes, images.counts, strict=True)
    table = CopyTable(("class", f"images in {split}"), [*counts])
    words = ["data", "show", name, f"--split={split}"]
    if view.mode == "means" or len(images.selected) > 1:
        return ToCopy(value, table)  # `data show` has no flag for these
    words += [f"--class={images.classes[number]}" for number in images.selected]
    words += [f"--start={page.start}", f"--count={len(page)}"]
    return ToCopy(value, table, command=repeat_command(app_state, *words, runs=False, data=True))
