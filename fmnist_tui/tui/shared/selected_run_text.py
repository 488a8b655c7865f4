"""How the run in hand stands, in words: what is known of it, or why nothing is."""

from __future__ import annotations

import time

from textual.content import Content

from fmnist_tui.protocol.events import FINISHED, LRFIND
from fmnist_tui.tui.shared.selected_run import SelectedRun
from fmnist_tui.util.text import safe_text


def who(hand: SelectedRun) -> list[Content]:
    """`two-conv 7f3a  best @ step 1,562  test (10,000)`."""
    facts = [Content.styled(hand.name, "bold")]
    state = hand.state
    if state is not None and state.started is not None and state.started.synthetic:
        facts.append(Content.styled("SYNTHETIC", "bold $warning"))
    if hand.found is not None:
        checkpoint = safe_text(hand.found.predictions.checkpoint or "?", 30)
        trained = hand.found.trained_until(state)
        at = f" @ step {trained[0]:,}" if trained and trained[0] else ""
        facts.append(Content(f"{checkpoint}{at}"))
    count = hand.found.evaluation.count if hand.found is not None else hand.count
    size = f" ({count:,})" if count is not None else ""
    facts.append(Content.styled(f"{hand.split}{size}", "bold"))
    return facts


def afoot(hand: SelectedRun) -> list[Content]:
    """What is going on with these figures: an evaluation, its failure, a newer checkpoint."""
    asked = hand.asked
    if asked is not None:
        seconds = int(time.monotonic() - asked)
        return [Content.styled(f"evaluating {hand.split} now … {seconds} s", "$accent")]
    if hand.refused:
        return [Content.styled(f"✗ {hand.refused}", "$error")]
    state = hand.state
    trained = hand.found.trained_until(state) if hand.found is not None else None
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
        if hand.split == "test" and hand.state.end_reason != FINISHED:
            lines.append(
                Content.styled(
                    "The run has not finished, and test should be read once, at the end.",
                    "$warning",
                )
            )
    lines += [Content(""), _keys(("p", "another split"), ("w", "another run"))]
    return Content("\n").join(lines)


def _images(hand: SelectedRun) -> str:
    count = hand.count
    return f"the {count:,} images of {hand.split}" if count is not None else hand.split


def _keys(*keys: tuple[str, str]) -> Content:
    parts = [Content.assemble((key, "bold $accent"), f"  {what}") for key, what in keys]
    return Content("     ").join(parts)
