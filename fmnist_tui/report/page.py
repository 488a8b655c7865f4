"""The page: a run's facts in order, with its own style and nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import time
from pathlib import Path

import fmnist_tui
from fmnist_tui.analysis.metrics import interval
from fmnist_tui.protocol.events import ENSEMBLE, FINISHED
from fmnist_tui.report import provenance
from fmnist_tui.report.calibration import calibration
from fmnist_tui.report.collect import MissingPart, ReportFacts
from fmnist_tui.report.confusion_matrix import class_table, confused, matrix
from fmnist_tui.report.curves import curves
from fmnist_tui.report.error_gallery import gallery
from fmnist_tui.report.formatting import duration, number, percent, when
from fmnist_tui.report.html import Html, join, tag
from fmnist_tui.report.members import members
from fmnist_tui.report.parts import section
from fmnist_tui.report.scores import SplitScores
from fmnist_tui.util.text import counted, safe_text

_STYLE = Path(__file__).with_name("style.css")
_CONTENTS = {
    "learning": "Learning curves",
    "matrix": "Confusion matrix",
    "classes": "Classes",
    "pairs": "Most confused pairs",
    "calibration": "Calibration",
    "errors": "Errors",
    "members": "Members",
    "fit": "Fit",
    "settings": "Settings",
    "again": "How it was made",
    "data": "Data",
    "machine": "Machine and versions",
    "notes": "Notes of the run",
}

# Next to each other where there is room; the first two only while the matrix is narrow.
_PAIRED = ("matrix", "classes", "pairs", "calibration", "data", "machine")
_NARROW = 12


def page(facts: ReportFacts) -> str:
    """The whole page as text."""
    style = _STYLE.read_text(encoding="utf-8")
    shown = {name: part for name, part in _sections(facts).items() if part is not None}
    contents = tag(
        "nav",
        tag("ul", *(tag("li", tag("a", _CONTENTS[name], href=f"#{name}")) for name in shown)),
        aria_label="Contents",
    )
    main = tag(
        "main",
        _headline(facts),
        _gaps(facts.gaps),
        contents,
        *(
            section(name, _CONTENTS[name], part, half=name in _half(facts))
            for name, part in shown.items()
        ),
        id="main",
    )
    body = tag(
        "body",
        tag("a", "Skip to the figures", href="#main", class_="skip"),
        _header(facts),
        main,
        _footer(),
    )
    return f"<!doctype html>\n{tag('html', _head(facts, style), body, lang='en')}\n"


def _half(facts: ReportFacts) -> tuple[str, ...]:
    """The sections that stand two side by side, if their tables are narrow."""
    return _PAIRED if len(facts.classes) <= _NARROW else _PAIRED[2:]


def _head(facts: ReportFacts, style: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="generator", content=f"fmnist-tui {fmnist_tui.__version__}"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{_title(facts)} · report"),
        # Our own file, hashed above: the one thing that must not be escaped.
        tag("style", Html(style)),
    )


def _title(facts: ReportFacts) -> str:
    return safe_text(f"{facts.summary.recipe} {facts.folder.id}".strip(), 80)


def _header(facts: ReportFacts) -> Html:
    summary, started = facts.summary, facts.state.started
    words = [facts.dataset.title if facts.dataset is not None else summary.dataset, summary.model]
    if started is not None and started.parameters:
        words.append(counted(started.parameters, "parameter"))
    words.append(when(summary.started))
    return tag(
        "header",
        tag("p", "fmnist-tui report", class_="kicker"),
        tag("h1", _title(facts)),
        tag("p", " · ".join(word for word in words if word)),
        _standing(facts),
        tag("p", "SYNTHETIC data: drawn by this program", class_="badge")
        if summary.synthetic
        else None,
    )


def _standing(facts: ReportFacts) -> Html:
    """Whether the run has come to its end, and how."""
    summary, state = facts.summary, facts.state
    done = counted(state.epochs_done, "epoch")
    if summary.is_live:
        of = f" of {summary.epochs_total:,}" if summary.epochs_total else ""
        words = f"STILL GOING ({summary.state}): a report of the {state.epochs_done:,}{of} epochs"
        return tag("p", f"{words} there were when it was written", class_="badge")
    if summary.state == FINISHED:
        after = f" after {done}" if summary.kind != ENSEMBLE else ""
        return tag("p", f"finished{after}, {duration(state.seconds)}")
    why = f": {summary.reason}" if summary.reason else ""
    return tag("p", f"{summary.state.upper()} after {done}{why}", class_="badge")


def _headline(facts: ReportFacts) -> Html:
    """The figures that are asked for first."""
    tiles = _score_tiles(facts.scores) if facts.scores is not None else []
    best = facts.state.best
    if best is not None and best.val_accuracy is not None:
        low, high = interval(round(best.val_accuracy * best.val_count), best.val_count)
        told = f"95 %: {percent(low)} – {percent(high)}, {counted(best.val_count, 'image')}"
        name = f"accuracy on val, epoch {best.epoch}"
        tiles.insert(3, _tile(name, percent(best.val_accuracy), told, wide=True))
    if facts.fit is not None:
        tiles.append(_tile("fit", facts.fit.verdict, "why is told below"))
    if not tiles:
        return tag("p", "There are no figures yet.")
    return tag("section", tag("h2", "Figures", class_="hidden"), tag("dl", *tiles, class_="tiles"))


def _score_tiles(scores: SplitScores) -> list[Html]:
    low, high = scores.interval
    epoch = f", epoch {scores.epoch}" if scores.epoch is not None else ""
    return [
        _tile(
            f"accuracy on {scores.split}",
            percent(scores.accuracy),
            f"95 %: {percent(low)} – {percent(high)}, {counted(scores.count, 'image')}",
            wide=True,
        ),
        _tile("macro F1", percent(scores.macro_f1), f"loss {number(scores.loss)}"),
        _tile("calibration error", percent(scores.ece), f"ECE on {scores.split}"),
        _tile("errors", f"{scores.wrong:,}", f"checkpoint {scores.checkpoint}{epoch}"),
    ]


def _tile(name: str, value: str, about: str, *, wide: bool = False) -> Html:
    figure = tag("dd", tag("b", value), tag("small", about))
    return tag("div", tag("dt", name), figure, class_="across" if wide else None)


def _gaps(gaps: tuple[MissingPart, ...]) -> Html | None:
    if not gaps:
        return None
    items = []
    for gap in gaps:
        how = join("; ", tag("code", gap.command), " makes it") if gap.command else None
        items.append(tag("li", tag("b", gap.what), f": {gap.why}", how))
    heading = tag("h2", "What this page does without", id="gaps")
    return tag("section", heading, tag("ul", *items), class_="gaps", aria_labelledby="gaps")


def _sections(facts: ReportFacts) -> dict[str, Html | None]:
    scores, pictures = facts.scores, facts.pictures
    names = [score.name for score in scores.classes] if scores is not None else []
    checkpoints = provenance.checkpoints(facts)
    return {
        "learning": curves(facts.state) if facts.summary.kind != ENSEMBLE else None,
        "matrix": matrix(scores) if scores is not None else None,
        "classes": class_table(scores) if scores is not None else None,
        "pairs": confused(scores) if scores is not None else None,
        "calibration": calibration(scores) if scores is not None else None,
        "errors": gallery(pictures, names) if pictures is not None else None,
        "members": members(facts),
        "fit": _fit(facts),
        "settings": provenance.settings(facts),
        "again": provenance.again(facts),
        "data": provenance.data(facts),
        "machine": join(provenance.machine(facts), checkpoints),
        "notes": provenance.notes(facts),
    }


def _fit(facts: ReportFacts) -> Html | None:
    if facts.fit is None:
        return None
    return tag("p", tag("b", facts.fit.verdict), f". {facts.fit.words}")


def _footer() -> Html:
    words = f"Written {when(time.time())} by fmnist-tui {fmnist_tui.__version__}"
    return tag("footer", tag("p", words))
