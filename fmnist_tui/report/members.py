"""The members of an ensemble, each with what it is worth by itself."""

from __future__ import annotations

from fmnist_tui.protocol.events import ENSEMBLE
from fmnist_tui.report.collect import ReportFacts
from fmnist_tui.report.formatting import NONE, percent
from fmnist_tui.report.html import Html, tag
from fmnist_tui.report.parts import table


def members(facts: ReportFacts) -> Html | None:
    """None for a run that is no ensemble."""
    if facts.summary.kind != ENSEMBLE:
        return None
    if not facts.members:
        return tag("p", "Its config.toml does not name its members.")
    rows = []
    for member in facts.members:
        found = member.summary
        rows.append(
            (
                member.name,
                found.model if found is not None else NONE,
                percent(found.best_val_accuracy) if found is not None else NONE,
                percent(found.test_accuracy) if found is not None else NONE,
                member.checkpoint or NONE,
            )
        )
    return table(
        "What it is made of; accuracies of each member by itself, where its run is still there",
        ("run", "model", "val", "test", "checkpoint"),
        rows,
    )
