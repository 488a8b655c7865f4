"""Texts about the selected run: what is shown, what is in progress, what is missing."""

from __future__ import annotations

import time

from textual.content import Content

from fmnist_tui.protocol.events import FINISHED, LRFIND
from fmnist_tui.tui.key_names import key_name, name_keys
from fmnist_tui.tui.shared.selected_run import SelectedRun
from fmnist_tui.util.text import safe_text


def describe(run: SelectedRun) -> list[Content]:
    """`two-conv 7f3a  best @ step 1,562  test (10,000)`."""
    facts = [Content.styled(run.name, "bold")]
    state = run.state
    if state is not None and state.started is not None and state.started.synthetic:
        facts.append(Content.styled("SYNTHETIC", "bold $warning"))
    if run.loaded is not None:
        checkpoint = safe_text(run.loaded.predictions.checkpoint or "?", 30)
        trained = run.loaded.trained_until(state)
        at = f" @ step {trained[0]:,}" if trained and trained[0] else ""
        facts.append(Content(f"{checkpoint}{at}"))
    count = run.loaded.evaluation.count if run.loaded is not None else run.count
    size = f" ({count:,})" if count is not None else ""
    facts.append(Content.styled(f"{run.split}{size}", "bold"))
    return facts


def evaluation_status(run: SelectedRun) -> list[Content]:
    """An evaluation in progress, its failure, what is to say about it, or a newer checkpoint."""
    since = run.evaluating_since
    if since is not None:
        seconds = int(time.monotonic() - since)
        return [Content.styled(f"evaluating {run.split} now … {seconds} s", "$accent")]
    if run.evaluation_error:
        return [Content.styled(f"✗ {run.evaluation_error}", "$error")]
    if run.loaded is not None and run.loaded.notes:
        return [Content.styled(safe_text(note), "$warning") for note in run.loaded.notes]
    state = run.state
    trained = run.loaded.trained_until(state) if run.loaded is not None else None
    if trained and state is not None and state.best is not None and state.best.step > trained[0]:
        evaluates = _key(run, "evaluate") + " evaluates it"
        newer = f"the best checkpoint is now at step {state.best.step:,}: {evaluates}"
        return [Content.styled(newer, "$warning")]
    return []


def explain_missing(run: SelectedRun) -> Content:
    """Why there are no scores, and which keys help."""
    if run.folder is None:
        keys = _keys((_key(run, "run"), "select a run"), (key_name("show.train"), "train one"))
        return Content.assemble(("No run selected", "bold"), "\n\n", keys)
    what = f"{run.name} on {run.split}"
    if run.evaluating_since is not None:
        seconds = int(time.monotonic() - run.evaluating_since)
        details = f"\n\n{run.checkpoint or 'its best checkpoint'}, {_images(run)} … {seconds} s"
        return Content.assemble((f"Evaluating {what}", "bold $accent"), details)
    if run.is_loading:
        return Content(f"Loading {what} …")
    lines = [Content.styled(f"No predictions of {what} yet", "bold")]
    if run.problem:
        lines = [Content.styled(f"✗ {run.problem}", "$error")]
    if run.evaluation_error:
        lines.append(Content.styled(f"✗ {run.evaluation_error}", "$error"))
    lines.append(Content(""))
    if run.state is not None and run.state.started is not None:
        if run.state.started.kind == LRFIND:
            about = name_keys(
                "A learning-rate search trains no model: {show.train} shows its curve."
            )
            lines += [Content(about), Content(""), _keys((_key(run, "run"), "another run"))]
            return Content("\n").join(lines)
        if run.checkpoint:
            about = f"evaluate {run.checkpoint} on {_images(run)}, also while a run trains"
            lines.append(_keys((_key(run, "evaluate"), about)))
        else:
            lines.append(
                Content(
                    name_keys("No checkpoint saved yet; {train.checkpoint} on Train saves one now.")
                )
            )
        if run.split == "test" and run.state.end_reason != FINISHED:
            warning = "The run has not finished; the test split should be read once, at the end."
            lines.append(Content.styled(warning, "$warning"))
    lines += [Content(""), _keys(("p", "another split"), (_key(run, "run"), "another run"))]
    return Content("\n").join(lines)


def _images(run: SelectedRun) -> str:
    count = run.count
    return f"the {count:,} images of {run.split}" if count is not None else run.split


def _key(run: SelectedRun, action: str) -> str:
    """The key of an action on the screen that shows the run."""
    name = run.screen_name
    return key_name(
        "evaluate.now" if (name, action) == ("evaluate", "evaluate") else f"{name}.{action}"
    )


def _keys(*keys: tuple[str, str]) -> Content:
    parts = [Content.assemble((key, "bold $accent"), f"  {what}") for key, what in keys]
    return Content("     ").join(parts)
