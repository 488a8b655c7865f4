"""How the run in hand stands, in words: what is known of it, or why nothing is."""

from __future__ import annotations

import time

from textual.content import Content

from fmnist_tui.analysis.metrics import Evaluation, ReliabilityBin
from fmnist_tui.analysis.overfitting import EARLY, GOOD, OVER, UNDER, UNTRAINED, FitJudgement
from fmnist_tui.protocol.events import FINISHED, LRFIND
from fmnist_tui.tui.shared.selected_run import SelectedRun
from fmnist_tui.util.formatting import percent
from fmnist_tui.util.text import safe_text

_SIGNS = {
    GOOD: ("✓", "$success"),
    OVER: ("▲", "$error"),
    UNDER: ("▼", "$warning"),
    EARLY: ("…", "$foreground-muted"),
    UNTRAINED: ("–", "$foreground-muted"),
}
_SURE = 0.9
_SIDE_BY_SIDE = 62


def who(hand: SelectedRun) -> list[Content]:
    """`two-conv 7f3a  best @ step 1,562  test (10,000)`."""
    facts = [Content.styled(hand.name, "bold")]
    state = hand.state
    if state is not None and state.started is not None and state.started.synthetic:
        facts.append(Content.styled("SYNTHETIC", "bold $warning"))
    if hand.found is not None:
        checkpoint = safe_text(hand.found.predictions.checkpoint or "?", 30)
        trained = hand.found.trained(state)
        at = f" @ step {trained[0]:,}" if trained and trained[0] else ""
        facts.append(Content(f"{checkpoint}{at}"))
    count = hand.found.evaluation.count if hand.found is not None else hand.count
    size = f" ({count:,})" if count is not None else ""
    facts.append(Content.styled(f"{hand.split}{size}", "bold"))
    return facts


def figures(found: Evaluation) -> list[Content]:
    """`accuracy 91.87 % ±0.54 (95 %)  macro F1 91.80 %  ECE 1.20 %  loss 0.2345`."""
    return [
        Content.assemble(
            "accuracy ", (percent(found.accuracy), "bold $accent"), f" {margin(found)} (95 %)"
        ),
        Content(f"macro F1 {percent(found.macro_f1)}"),
        Content(f"ECE {percent(found.ece)}"),
        Content(f"loss {found.loss:.4f}"),
    ]


def margin(found: Evaluation) -> str:
    """The 95 % interval of the accuracy as a distance from it, in points."""
    low, high = found.interval
    below, above = 100 * (found.accuracy - low), 100 * (high - found.accuracy)
    if f"{below:.1f}" == f"{above:.1f}":
        return f"±{(below + above) / 2:.2f}"
    return f"−{below:.2f} +{above:.2f}"


def afoot(hand: SelectedRun) -> list[Content]:
    """What is going on with these figures: an evaluation, its failure, a newer checkpoint."""
    asked = hand.asked
    if asked is not None:
        seconds = int(time.monotonic() - asked)
        return [Content.styled(f"evaluating {hand.split} now … {seconds} s", "$accent")]
    if hand.refused:
        return [Content.styled(f"✗ {hand.refused}", "$error")]
    state = hand.state
    trained = hand.found.trained(state) if hand.found is not None else None
    if trained and state is not None and state.best is not None and state.best.step > trained[0]:
        newer = f"a newer best is of step {state.best.step:,}: e evaluates it"
        return [Content.styled(newer, "$warning")]
    return []


def absence(hand: SelectedRun) -> Content:
    """Why there are no figures, and which key makes some."""
    if hand.folder is None:
        return Content.assemble(
            ("No run is in hand.", "bold"),
            "\n\n",
            _keys(("w", "choose one of the runs there are"), ("2", "train one")),
        )
    what = f"{hand.name} on {hand.split}"
    if hand.asked is not None:
        seconds = int(time.monotonic() - hand.asked)
        told = f"\n\n{hand.checkpoint or 'its best checkpoint'}, {_images(hand)} … {seconds} s"
        return Content.assemble((f"Evaluating {what}", "bold $accent"), told)
    if hand.reading:
        return Content(f"Reading what is known of {what} …")
    lines = [Content.styled(f"There are no predictions of {what} yet.", "bold")]
    if hand.trouble:
        lines = [Content.styled(f"✗ {hand.trouble}", "$error")]
    if hand.refused:
        lines.append(Content.styled(f"✗ {hand.refused}", "$error"))
    lines.append(Content(""))
    if hand.state is not None and hand.state.started is not None:
        if hand.state.started.kind == LRFIND:
            about = "It is a search for a learning rate, which trains nothing: 2 shows its curve."
            return Content("\n").join(
                [*lines, Content(about), Content(""), _keys(("w", "another run"))]
            )
        if hand.checkpoint:
            about = f"evaluate {hand.checkpoint} on {_images(hand)}, also while a run trains"
            lines.append(_keys(("e", about)))
        else:
            lines.append(Content("It has saved no checkpoint yet; c on Train saves one now."))
        if hand.split == "test" and hand.state.ended != FINISHED:
            lines.append(
                Content.styled(
                    "The run has not finished, and test should be read once, at the end.",
                    "$warning",
                )
            )
    lines += [Content(""), _keys(("p", "another split"), ("w", "another run"))]
    return Content("\n").join(lines)


def reliability(found: Evaluation) -> str:
    """What the curve rests on, in words."""
    sure = sum(part.count for part in found.reliability if part.confidence >= _SURE)
    return f"{100 * sure / found.count:.0f} % of answers are at least {100 * _SURE:.0f} % sure"


def curve(bins: tuple[ReliabilityBin, ...]) -> tuple[list[float], list[float]]:
    """The bins as the points of a line."""
    return [part.confidence for part in bins], [part.accuracy for part in bins]


def fit(found: FitJudgement, width: int) -> Content:
    """The judgement, its reasons, and the figures of the best and the last epoch."""
    sign, colour = _SIGNS[found.verdict]
    lines = [Content.styled(f"{sign} {found.verdict}", f"bold {colour}"), Content(found.words)]
    if found.best is not None and found.last is not None:
        titles = ("", "epoch", "train loss", "val loss", "train acc.", "val acc.")
        rows = [
            (
                name,
                f"{epoch.epoch}",
                _loss(epoch.train_loss),
                _loss(epoch.val_loss),
                percent(epoch.train_accuracy),
                percent(epoch.val_accuracy),
            )
            for name, epoch in (("best", found.best), ("last", found.last))
        ]
        table = [titles, *rows]
        if width < _SIDE_BY_SIDE:
            table = list(zip(*table, strict=True))
        lines.append(Content(""))
        lines += [
            Content(f"{row[0]:<11}" + "".join(f"{cell:>11}" for cell in row[1:]))
            if width < _SIDE_BY_SIDE
            else Content(f"{row[0]:<4}{row[1]:>6}" + "".join(f"{cell:>12}" for cell in row[2:]))
            for row in table
        ]
    return Content("\n").join(lines)


def _images(hand: SelectedRun) -> str:
    count = hand.count
    return f"the {count:,} images of {hand.split}" if count is not None else hand.split


def _keys(*keys: tuple[str, str]) -> Content:
    parts = [Content.assemble((key, "bold $accent"), f"  {what}") for key, what in keys]
    return Content("     ").join(parts)


def _loss(loss: float | None) -> str:
    return f"{loss:.4f}" if loss is not None else "–"
