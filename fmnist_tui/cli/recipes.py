"""`fmnist-tui recipes`: what comes with the program, and whether it keeps its claims."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from rich.table import Table
from rich.text import Text

from fmnist_tui import recipes
from fmnist_tui.catalog import worlds
from fmnist_tui.cli import options, output
from fmnist_tui.cli.trained import trained
from fmnist_tui.engine.session import Session
from fmnist_tui.errors import UsageError, UserError
from fmnist_tui.metrics import grouped_accuracy
from fmnist_tui.predictions import Predictions
from fmnist_tui.recipes import Claim, Recipe
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.state import RunState


@dataclass(frozen=True, slots=True)
class Checked:
    """A claim beside what was measured; `why` says what kept it from being measured."""

    recipe: str
    about: str
    metric: str
    claim: float
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    count: int
    passed: bool | None
    why: str = ""

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def sd(self) -> float | None:
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the recipes with what they are for")
    options.as_json(listing)
    show = actions.add_parser("show", help="a recipe's settings and claims")
    show.add_argument("name", metavar="NAME")
    options.as_json(show)
    run_one = actions.add_parser("run", help="train a recipe (the same as `train NAME`)")
    run_one.add_argument("name", metavar="NAME")
    options.folders(run_one)
    options.as_json(run_one)
    options.settings(run_one)
    check = actions.add_parser("check", help="train recipes and hold them to their claims")
    check.add_argument("names", nargs="*", metavar="NAME", help="recipes to check [all]")
    check.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each [1]")
    check.add_argument("--device", default="auto", help="where to train")
    options.folders(check)
    options.as_json(check)


def run(args: argparse.Namespace) -> int:
    if args.action == "list":
        return _list(args)
    if args.action == "show":
        return _show(args)
    if args.action == "run":
        from fmnist_tui.cli import train

        args.recipe_name, args.config, args.resume = args.name, None, None
        return train.run(args)
    return _check(args)


def _list(args: argparse.Namespace) -> int:
    found = [recipes.load(name) for name in recipes.names()]
    if args.json:
        output.document([{"name": recipe.name, "about": recipe.about} for recipe in found])
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("recipe", "model", "epochs", "about"):
        table.add_column(heading, overflow="fold")
    for recipe in found:
        config = recipe.config()
        table.add_row(recipe.name, config.model, str(config.epochs), recipe.about)
    output.console().print(table)
    return 0


def _show(args: argparse.Namespace) -> int:
    recipe = recipes.load(args.name)
    config = recipe.config()
    if args.json:
        claims = [asdict(claim) for claim in recipe.claims]
        output.document(
            {
                "name": recipe.name,
                "about": recipe.about,
                "run": config.model_dump(),
                "claims": claims,
            }
        )
        return 0
    print(f"# {recipe.about}")
    print(recipes.to_toml(config), end="")
    for claim in recipe.claims:
        print(f"# claim: {_claim(claim)}")
    return 0


def _claim(claim: Claim) -> str:
    changes = ", ".join(f"{key} = {value}" for key, value in claim.run.items())
    words = f"{claim.metric} at least {output.percent(claim.at_least)}"
    return words + (f" with {changes}" if changes else "")


def _check(args: argparse.Namespace) -> int:
    if args.seeds < 1:
        raise UsageError("--seeds must be 1 or more")
    chosen = [recipes.load(name) for name in args.names or recipes.names()]
    results: list[Checked] = []
    with Session(options.runs_dir(args), options.data_dir(args)) as session:
        for recipe in chosen:
            results.extend(_check_recipe(session, recipe, args))
    if args.json:
        output.document([{**asdict(done), "mean": done.mean, "sd": done.sd} for done in results])
    else:
        _print_checks(results, args.seeds)
    return 1 if any(done.passed is False for done in results) else 0


def _check_recipe(session: Session, recipe: Recipe, args: argparse.Namespace) -> Iterator[Checked]:
    """Each variant that a recipe's claims ask for is trained once for every seed."""
    variants: dict[str, list[Claim]] = {}
    for claim in recipe.claims:
        variants.setdefault(repr(sorted(claim.run.items())), []).append(claim)
    for claims in variants.values():
        config = recipe.config(**claims[0].run, device=args.device)
        outcomes: list[tuple[RunState, RunFolder]] = []
        why = ""
        for seed in range(args.seeds):
            try:
                outcomes.append(trained(session, config.changed(seed=seed)))
            except UserError as error:
                why = str(error)
                break
        for claim in claims:
            yield _held_to(recipe, claim, outcomes, why)


def _held_to(
    recipe: Recipe, claim: Claim, outcomes: list[tuple[RunState, RunFolder]], why: str
) -> Checked:
    values = tuple(_measure(claim.metric, state, folder) for state, folder in outcomes)
    passed = None if why else statistics.fmean(values) >= claim.at_least
    verdict = outcomes[0][0].verdict("test") if outcomes else None
    return Checked(
        recipe=recipe.name,
        about=claim.about,
        metric=claim.metric,
        claim=claim.at_least,
        values=values,
        seconds=tuple(state.train_seconds for state, _ in outcomes),
        count=verdict.count if verdict else 0,
        passed=passed,
        why=why,
    )


def _measure(metric: str, state: RunState, folder: RunFolder) -> float:
    if metric == "group_accuracy":
        kept = Predictions.load(folder.predictions / "test.npz")
        return grouped_accuracy(kept.logits.argmax(1), kept.labels, worlds(kept.classes))
    verdict = state.verdict("val" if metric == "val_accuracy" else "test")
    if verdict is None:
        raise UserError(f"the run in {folder.path.name} has no {metric}")
    return verdict.accuracy


def _print_checks(results: list[Checked], seeds: int) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("recipe", "what", "claim", "ours", "seconds", "pass"):
        table.add_column(heading, overflow="fold")
    for done in results:
        ours = output.percent(done.mean)
        if done.sd is not None:
            ours += f" ± {done.sd * 100:.2f}"
        word = {True: "yes", False: "NO", None: "not checked"}[done.passed]
        colour = {True: "green", False: "bold red", None: "yellow"}[done.passed]
        seconds = f"{statistics.fmean(done.seconds):.0f}" if done.seconds else "–"
        what = f"{done.about or done.metric} ({done.count:,})" if done.count else done.about
        table.add_row(
            done.recipe, what, output.percent(done.claim), ours, seconds, Text(word, colour)
        )
    output.console().print(table)
    for why in dict.fromkeys(done.why for done in results if done.why):
        output.note(f"not checked: {why}")
    output.note(f"test split read once per run; seconds of training; seeds: {seeds}")
