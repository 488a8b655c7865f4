"""`runs compare`: results side by side, the settings that differ, and verdicts."""

from __future__ import annotations

import argparse
from typing import Any

from fmnist_tui.analysis.verdict import Side, judge
from fmnist_tui.cli.support import console, options
from fmnist_tui.cli.support.runs.run_table import explain_mark, to_json
from fmnist_tui.config.problems import format_setting
from fmnist_tui.protocol.validation import find_validation
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import RunSummary, resolve, summarise_run
from fmnist_tui.sweeps.run_settings import differing_settings, read_run_settings
from fmnist_tui.util.errors import UsageError
from fmnist_tui.util.formatting import NO_VALUE, format_duration, format_percent
from fmnist_tui.util.text import safe_text


def print_comparison(args: argparse.Namespace) -> None:
    if len(args.names) < 2:
        raise UsageError("compare needs two or more runs")
    runs_dir = options.require_runs_dir(args)
    summaries = [summarise_run(resolve(runs_dir, name)) for name in args.names]
    settings = [read_run_settings(summary.run, summary.kind).own for summary in summaries]
    differing = differing_settings(settings)
    first, *others = map(_side, summaries)
    verdicts = [judge(first, other) for other in others]
    if args.json:
        documents = [to_json(summary) for summary in summaries]
        differences = {key: [values.get(key) for values in settings] for key in differing}
        judged = [{"verdict": verdict.text, "method": verdict.method} for verdict in verdicts]
        document = {"runs": documents, "differences": differences, "verdicts": judged}
        console.print_json(document)
        return
    rows = {
        "state": [summary.state for summary in summaries],
        "val": [summary.val_text for summary in summaries],
        "test": [format_percent(summary.test_accuracy) for summary in summaries],
        "time": [format_duration(summary.shown_seconds) for summary in summaries],
        **{key: [_format_own(values, key) for values in settings] for key in differing},
    }
    console.print_table(
        ("", *(f">{safe_text(summary.run.id)}" for summary in summaries)),
        ((heading, *cells) for heading, cells in rows.items()),
    )
    explain_mark(summaries)
    for verdict in verdicts:
        console.line(verdict.text)
        console.line(f"  {verdict.method}")


def _side(summary: RunSummary) -> Side:
    state = replay(summary.run.events)
    results = summary.run, find_validation(state), state.evaluation("test")
    return Side.of(safe_text(summary.run.id, 20), summary.dataset, [results])


def _format_own(settings: dict[str, Any], key: str) -> str:
    if key not in settings:
        return NO_VALUE
    value = settings[key]
    return safe_text(value, 40) if isinstance(value, str) else format_setting(value)
