"""A verdict on two runs or groups of seeds: how far apart, and whether that is more than chance."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.analysis.difference import (
    Difference,
    compare_binomial,
    compare_paired,
    compare_seeds,
)
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.protocol.events import Evaluated
from fmnist_tui.protocol.validation import Validation
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class SplitResult:
    """The accuracy of a run on `count` images; its predictions for them may be in a file."""

    accuracy: float
    count: int
    predictions: Path


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared: the results of a run, or of a run for each seed, by split."""

    name: str
    dataset: str
    results: Mapping[str, tuple[SplitResult, ...]]

    @classmethod
    def of(
        cls,
        name: str,
        dataset: str,
        runs: Iterable[tuple[RunFolder, Validation | None, Evaluated | None]],
    ) -> Side:
        """Runs with their validation and their test result; of several, those that all have."""
        results: dict[str, list[SplitResult]] = {"val": [], "test": []}
        count = 0
        for folder, val, test in runs:
            count += 1
            for split, scored in (("val", val), ("test", test)):
                if scored is not None:
                    predictions = folder.predictions_of(split)
                    results[split].append(SplitResult(scored.accuracy, scored.count, predictions))
        whole = {split: tuple(found) for split, found in results.items() if len(found) == count}
        return cls(name, dataset, whole)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`2 − 1: +0.43 points on test, within the error`, and how that is known."""

    text: str
    method: str = ""


def judge(first: Side, second: Side) -> Verdict:
    """Compare on the test split, or on the validation split where one has no test result.

    Reads predictions; call it in a thread."""
    pair = f"{second.name} − {first.name}"
    if first.dataset != second.dataset:
        datasets = f"{safe_text(first.dataset, 20)} and {safe_text(second.dataset, 20)}"
        return Verdict(f"{pair}: not comparable, the data differ", f"{datasets} have other images")
    for split in ("test", "val"):
        before, after = first.results.get(split, ()), second.results.get(split, ())
        if before and after:
            difference, method = _compare(before, after)
            size = "beyond" if difference.is_significant else "within"
            points = f"{100 * difference.value:+.2f}".replace("-", "−")
            return Verdict(
                f"{pair}: {points} points on {split}, {size} the error",
                f"{method}, p {_format_p(difference.p)}",
            )
    return Verdict(f"{pair}: not comparable yet", "no split on which both have been evaluated")


def _compare(
    before: tuple[SplitResult, ...], after: tuple[SplitResult, ...]
) -> tuple[Difference, str]:
    counts = " and ".join(dict.fromkeys(f"{side[0].count:,}" for side in (before, after)))
    if max(len(before), len(after)) > 1:
        difference = compare_seeds(
            [result.accuracy for result in before], [result.accuracy for result in after]
        )
        return difference, f"{difference.method}, {counts} images"
    (first,), (second,) = before, after
    with contextlib.suppress(UserError):
        predictions = [Predictions.load(result.predictions) for result in (first, second)]
        paired = compare_paired(*predictions)
        if paired is not None:
            return paired, paired.method
    difference = compare_binomial(first.accuracy, first.count, second.accuracy, second.count)
    return difference, (
        f"{difference.method}, {counts} images; without the predictions of both for the same images"
    )


def _format_p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
