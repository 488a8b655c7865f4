"""How a run was made: settings, command, data, machine, versions and checkpoint files."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmnist_tui.config import recipes, run_config
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.report.collect import ReportFacts
from fmnist_tui.report.tables import ReportTable
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps.run_settings import MEMBER
from fmnist_tui.util.formatting import (
    NO_VALUE,
    format_count,
    format_duration,
    format_size,
    format_time,
)

_VERSIONS = ("fmnist_tui", "python", "torch", "numpy")
_MACHINE = ("device", "device_name", "precision", "threads", "system")
_MAX_CHANGES = 5
_FORK = ("forked_from", "forked_step")

# Names with their values, for a definition list
Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SettingsSection:
    """`changed` is None if the settings are unknown, and has no rows if all are the defaults."""

    changed: ReportTable | None
    config_lines: list[str]


@dataclass(frozen=True, slots=True)
class ReproduceSection:
    """The command that makes such a run; the recipe, the parent of a fork, and what was changed
    while it ran, which no command repeats, if any."""

    prompt: str
    command: str
    recipe: str = ""
    about: str = ""
    parent: str = ""
    parent_step: str = ""
    changes: str = ""
    resumed_with: str = ""


@dataclass(frozen=True, slots=True)
class MachineSection:
    """Versions and machine, and the checkpoints with the start of their SHA-256 last."""

    rows: Rows
    checkpoints: ReportTable


def settings_section(facts: ReportFacts) -> SettingsSection | None:
    """The settings that differ from the defaults, and the config file as written."""
    changed = None
    # An ensemble's settings are those of its first member.
    if facts.config is not None and facts.summary.kind != ENSEMBLE:
        rows = [
            (name, *map(_setting_text, values), run_config.FIELDS[name].description or "")
            for name, values in facts.config.differences(RunConfig()).items()
            if name != "recipe"
        ]
        columns = ("setting", "value", "default", "description")
        changed = ReportTable("Settings that differ from the defaults", columns, rows)
    lines = facts.config_text.splitlines()
    return SettingsSection(changed, lines) if changed is not None or lines else None


def reproduce_section(facts: ReportFacts) -> ReproduceSection | None:
    """None if the settings, or the members of an ensemble, are unknown."""
    config = facts.config
    if facts.summary.kind == ENSEMBLE:
        runs = [RunFolder(Path(member.name)).id for member in facts.members]
        tta = config.tta if config is not None else "none"
        words = ["fmnist-tui", "ensemble", *runs, f"--tta={tta}"]
        return ReproduceSection("To build it again:", shlex.join(words)) if runs else None
    if config is None:
        return None
    return ReproduceSection(
        "To train it again:",
        shlex.join(train_command(config, facts.recipe)),
        config.recipe,
        facts.recipe.about if facts.recipe is not None else "",
        str(facts.made_with.get("forked_from", "")),
        str(facts.made_with.get("forked_step", "")),
        _changes_by_hand(facts.state),
        _changes_when_resumed(facts.state),
    )


def _changes_by_hand(state: RunState) -> str:
    """`to 0.001 at step 120, to 0.0005 at step 400`: the learning rates set during the run."""
    rates = [f"to {mark.text} at step {mark.step:,}" for mark in state.markers if mark.what == "lr"]
    more = f" and {len(rates) - _MAX_CHANGES} times more" if len(rates) > _MAX_CHANGES else ""
    return ", ".join(rates[:_MAX_CHANGES]) + more


def _changes_when_resumed(state: RunState) -> str:
    """`epochs 4 instead of 3 at step 93`: the settings that a resumed run went on with."""
    changes = [
        f"{mark.text} at step {mark.step:,}"
        for mark in state.markers
        if mark.what == "resumed" and mark.text
    ]
    return ", then ".join(changes[-_MAX_CHANGES:])


def train_command(config: RunConfig, recipe: recipes.Recipe | None) -> list[str]:
    """The words of a command that trains with these settings."""
    defaults = RunConfig() if recipe is None else recipe.config()
    words = ["fmnist-tui", "train", *([recipe.name] if recipe is not None else [])]
    for name, (value, _) in config.differences(defaults).items():
        if name == "recipe" and recipe is not None:
            continue
        words.append(f"--{name.replace('_', '-')}={_setting_text(value)}")
    return words


def _setting_text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value)


def data_rows(facts: ReportFacts) -> Rows:
    """The dataset and its splits."""
    started, info = facts.state.started, facts.dataset
    name = facts.summary.dataset
    title = f"{info.title} ({name})" if info is not None and info.title != name else name
    rows = [("dataset", title)]
    if info is not None and info.about:
        rows.append(("description", info.about))
    if started is not None:
        count = len(started.classes)
        rows += [
            ("training", format_count(started.train_count, "image")),
            ("validation", format_count(started.val_count, "image")),
            ("test", format_count(started.test_count, "image")),
            ("classes", f"{format_count(count, 'class', 'classes')}: {', '.join(started.classes)}"),
        ]
    if facts.summary.synthetic:
        rows.append(("source", "SYNTHETIC: images drawn by this program, not photographs"))
    return rows


def machine_section(facts: ReportFacts) -> MachineSection:
    """Versions, device, durations and checkpoints."""
    made_with, state, started = facts.made_with, facts.state, facts.state.started
    listed = (*_VERSIONS, *_MACHINE, *_FORK)
    others = [name for name in made_with if name not in listed and not name.startswith(MEMBER)]
    rows = [
        (name.replace("_", "-" if name in _VERSIONS else " "), str(made_with[name]))
        for name in (*_VERSIONS, *_MACHINE, *others)
        if name in made_with
    ]
    if started is not None:
        rows += [("host", started.host or NO_VALUE), ("seed", str(started.seed))]
    rows.append(("started", format_time(facts.summary.started, utc=True)))
    if state.sessions > 1:
        rows.append(("resumed", format_count(state.sessions - 1, "time")))
    if state.thread_changes:
        times = format_count(state.thread_changes, "time")
        rows.append(
            ("threads changed", f"{times} beside other programs; at the end {state.threads}")
        )
    if facts.summary.kind != ENSEMBLE:
        if state.warm_seconds:
            duration = format_duration(state.warm_seconds, units=True)
            rows.append(("warm time", f"{duration}, from the first step to usable weights"))
        duration = format_duration(state.train_seconds, units=True)
        rows.append(("in training steps", f"{duration} ({state.step:,} steps)"))
        speed = state.mean_images_per_second
        rows.append(("speed", f"{speed:,.0f} images/s" if speed else NO_VALUE))
    sessions = f" ({state.sessions:,} sessions)" if state.sessions > 1 else ""
    rows.append(("wall time", format_duration(state.seconds, units=True) + sessions))
    checkpoints = []
    for saved in state.checkpoints.values():
        size, start = format_size(saved.size, digits=1), saved.sha256[:16]
        checkpoints.append((saved.file, saved.kind, f"{saved.epoch:,}", size, f"{start}…"))
    columns = ("file", "kind", "epoch", "size", "SHA-256")
    return MachineSection(rows, ReportTable("Checkpoints of the run", columns, checkpoints))
