"""How a run was made: settings, data, machine, versions, files, and the command to do it again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from fmnist_tui.config import recipes, run_config
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE
from fmnist_tui.report.collect import MEMBER, ReportFacts
from fmnist_tui.report.confusion_matrix import listed
from fmnist_tui.report.formatting import NONE, duration, size, when
from fmnist_tui.report.html import Child, Html, join, lines, tag
from fmnist_tui.report.parts import pairs, table
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.text import counted

_VERSIONS = ("fmnist_tui", "python", "torch", "numpy")
_MACHINE = ("device", "device_name", "precision", "threads", "system")
_FORKED = ("forked_from", "forked_step")


def settings(facts: ReportFacts) -> Html | None:
    """What differs from the defaults, and all of the config as it was written."""
    parts: list[Html] = []
    # An ensemble's settings are those of its first member.
    if facts.config is not None and facts.summary.kind != ENSEMBLE:
        changed = facts.config.differences(RunConfig())
        rows = [
            (name, _written(mine), _written(usual), run_config.FIELDS[name].description or "")
            for name, (mine, usual) in changed.items()
            if name != "recipe"
        ]
        if rows:
            caption = "Settings that are not the defaults"
            parts.append(table(caption, ("setting", "value", "default", "what it is"), rows))
        else:
            parts.append(tag("p", "All settings are the defaults."))
    if facts.config_text:
        summary = tag("summary", "All of config.toml")
        parts.append(tag("details", summary, tag("pre", lines(facts.config_text))))
    return join(*parts) if parts else None


def again(facts: ReportFacts) -> Html | None:
    """The recipe, and the command that makes such a run."""
    if facts.summary.kind == ENSEMBLE:
        runs = [RunFolder(Path(member.name)).id for member in facts.members]
        tta = facts.config.tta if facts.config is not None else "none"
        words = ["fmnist-tui", "ensemble", *runs, f"--tta={tta}"]
        return _command("To make it again:", words) if runs else None
    if facts.config is None:
        return None
    parts: list[Html] = []
    if facts.recipe is not None and facts.recipe.about:
        parts.append(tag("p", tag("b", facts.config.recipe), f": {facts.recipe.about}"))
    forked = facts.made_with.get("forked_from")
    if forked is not None:
        step = facts.made_with.get("forked_step", "")
        parts.append(tag("p", f"It began from the weights of {forked}, step {step}."))
    parts.append(_command("To train it again:", command(facts.config, facts.recipe)))
    return join(*parts)


def _command(what: str, words: list[str]) -> Html:
    return join(tag("p", what), tag("pre", " ".join(shlex.quote(word) for word in words)))


def command(made: RunConfig, recipe: recipes.Recipe | None) -> list[str]:
    """The words of a command that trains with these settings."""
    usual = RunConfig() if recipe is None else recipe.config()
    words = ["fmnist-tui", "train", *([recipe.name] if recipe is not None else [])]
    for name, (mine, _) in made.differences(usual).items():
        if name == "recipe" and recipe is not None:
            continue
        words.append(f"--{name.replace('_', '-')}={_written(mine)}")
    return words


def _written(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value)


def data(facts: ReportFacts) -> Html:
    """The data set and its splits."""
    started, known = facts.state.started, facts.dataset
    name = facts.summary.dataset
    title = f"{known.title} ({name})" if known is not None and known.title != name else name
    rows: list[tuple[str, Child]] = [("data set", title)]
    if known is not None and known.about:
        rows.append(("what it is", known.about))
    if started is not None:
        rows.append(("training", counted(started.train_count, "image")))
        rows.append(("validation", counted(started.val_count, "image")))
        rows.append(("test", counted(started.test_count, "image")))
        rows.append(("classes", listed(started.classes)))
    if facts.summary.synthetic:
        rows.append(("drawn", "SYNTHETIC: pictures drawn by this program, not photographs"))
    return pairs(rows)


def machine(facts: ReportFacts) -> Html:
    """Versions, device and durations."""
    made, state, started = facts.made_with, facts.state, facts.state.started
    rows: list[tuple[str, Child]] = [
        (name.replace("_", "-"), str(made[name])) for name in _VERSIONS if name in made
    ]
    rows += [(name.replace("_", " "), str(made[name])) for name in _MACHINE if name in made]
    told = (*_VERSIONS, *_MACHINE, *_FORKED)
    rows += [
        (name.replace("_", " "), str(value))
        for name, value in made.items()
        if name not in told and not name.startswith(MEMBER)
    ]
    if started is not None:
        rows.append(("host", started.host or NONE))
        rows.append(("seed", str(started.seed)))
    rows.append(("begun", when(facts.summary.started)))
    if state.sessions > 1:
        rows.append(("taken up again", counted(state.sessions - 1, "time")))
    if facts.summary.kind != ENSEMBLE:
        rows.append(("training steps", f"{duration(state.train_seconds)} ({state.step:,} steps)"))
        pace = state.mean_images_per_second
        rows.append(("pace", f"{pace:,.0f} images/s" if pace else NONE))
    rows.append(("last session", duration(state.seconds)))
    return pairs(rows)


def checkpoints(facts: ReportFacts) -> Html | None:
    """The files with weights that the record knows of."""
    saved = list(facts.state.checkpoints.values())
    if not saved:
        return None
    rows = [
        (one.file, one.kind, f"{one.epoch:,}", size(one.size), tag("code", one.sha256[:16] + "…"))
        for one in saved
    ]
    heads = ("file", "kind", "epoch", "size", "SHA-256")
    return tag(
        "details", tag("summary", "Checkpoints"), table("Checkpoints of the run", heads, rows)
    )


def notes(facts: ReportFacts) -> Html | None:
    """What the run had to say besides its figures."""
    alerts = list(facts.state.alerts)
    if not alerts:
        return None
    items = (
        tag("li", tag("b", alert.level), f" {alert.message} ", tag("small", when(alert.t)))
        for alert in alerts
    )
    return tag("ul", *items, class_="alerts")
