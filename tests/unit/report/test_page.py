"""The page as a browser and its reader meet it."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from pathlib import Path

import pytest

from fmnist_tui.cli import main
from fmnist_tui.cli.support.run_plan import build_plan
from fmnist_tui.config import recipes
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.config.plans import TrainStep
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.report.confusion_matrix import HEAT_LEVELS, MAX_CLASSES, heat_level
from fmnist_tui.report.page import render_page
from fmnist_tui.report.provenance import train_command
from fmnist_tui.runs.folder import RunFolder
from tests.tui.scripted import CONFIG
from tests.unit.report.support import Parsed, answers, run_of, shown, with_names

STYLE = Path(recipes.__file__).parents[1] / "report" / "style.css"
# What would do something if it were markup, or steer whatever shows it.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "</style><style>*{display:none}",
    "</title><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\x1b]0;owned\x07\x1b[31m",
    "\u202eesrever\u2066",
    "a\r\n\x00b\ud800",
    "&lt;b&gt;&#60;",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_of(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def made(run: RunFolder) -> Parsed:
    return shown(run, run.path.parent)[1]


def test_the_page_is_whole_and_its_figures_are_there(made: Parsed) -> None:
    assert not made.unbalanced and not made.open
    found = answers("test").evaluation()
    for figure in (found.accuracy, *found.interval, found.macro_f1, found.ece):
        assert f"{100 * figure:.2f} %" in made.text
    assert f"{found.wrong}" in made.text
    assert "SYNTHETIC" in made.text
    for heading in ("Learning curves", "Confusion matrix", "Calibration", "Errors", "Fit"):
        assert heading in made.text


def test_settings_versions_and_machine_are_told(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    written = run.config.read_text()
    assert "[made_with]\n" in written
    more = '[made_with]\ntorch = "9.8.7"\ndevice = "a very quick one"\n'
    run.config.write_text(written.replace("[made_with]\n", more))
    text = shown(run, tmp_path)[1].text
    for fact in ("All of config.toml", "two-conv", "9.8.7", "a very quick one", "host", "seed"):
        assert fact in text, fact


def test_nothing_leads_out_of_the_page_and_nothing_runs_in_it(made: Parsed) -> None:
    assert made.has("script") == made.has("iframe") == made.has("object") == made.has("form") == 0
    leading = [value for _, name, value in made.values if name in ("href", "src", "srcset")]
    assert leading
    assert all(value.startswith(("#", "data:")) for value in leading)
    names = {name for _, attributes in made.tags for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    assert "http:" not in made.markup and "https:" not in made.markup
    assert "url(" not in STYLE.read_text() and "@import" not in STYLE.read_text()


def test_the_policy_allows_this_style_and_pictures_in_the_page_alone(made: Parsed) -> None:
    policy = next(
        value for tag, _, value in made.values if tag == "meta" and "default-src" in value
    )
    style = re.search(r"<style>(.*?)</style>", made.markup, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_names_do_not_change_what_the_page_is_made_of(tmp_path: Path, words: str) -> None:
    plain = with_names(tmp_path, GARMENTS, "harmless")
    names = tuple(f"{words}{number}" for number in range(10))
    hostile = with_names(tmp_path, names, words)
    ours, theirs = shown(plain, tmp_path)[1], shown(hostile, tmp_path)[1]
    assert theirs.tags == ours.tags
    assert not theirs.unbalanced and not theirs.open
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2066]", theirs.markup)
    theirs.markup.encode("utf-8")


def test_tables_have_captions_and_heads_for_rows_and_columns(made: Parsed) -> None:
    assert made.has("table") == made.has("caption") >= 5
    scopes = [value for tag, name, value in made.values if tag == "th" and name == "scope"]
    assert made.has("th") == len(scopes)
    assert {"row", "col"} == set(scopes)


def test_every_picture_and_chart_says_what_it_is(made: Parsed) -> None:
    drawings = [names for tag, names in made.tags if tag == "svg"]
    assert all("aria-label" in names or "aria-hidden" in names for names in drawings)
    labels = [value for tag, name, value in made.values if tag == "svg" and name == "aria-label"]
    assert any(label.startswith("Loss by epoch: training ends at") for label in labels)
    assert any("Shirt, taken for T-shirt/top" in label for label in labels)
    ids = [value for _, name, value in made.values if name == "id"]
    assert len(ids) == len(set(ids))
    targets = [value[1:] for _, name, value in made.values if name == "href" and value[0] == "#"]
    assert set(targets) <= set(ids)


def test_it_says_how_many_errors_of_how_many_are_shown(made: Parsed) -> None:
    wrong = answers("test").evaluation().wrong
    assert f"Most confident errors 20 of {wrong}" in made.text
    pair = len(answers("test").misses(6, 0))
    assert f"Shirt → T-shirt/top 10 of {pair}" in made.text


def test_the_whole_is_small(made: Parsed) -> None:
    assert len(made.markup.encode()) < 150_000


def test_a_matrix_of_many_classes_shows_those_with_most_errors(tmp_path: Path) -> None:
    names = tuple(f"kind {number}" for number in range(60))
    folder = with_names(tmp_path, names, "many")
    _, parsed = shown(folder, tmp_path)
    assert f"The {MAX_CLASSES} classes with most errors; 30 others are left out." in parsed.text
    assert parsed.text.count("kind 59") >= 1


def test_heat_says_something_of_every_cell_that_is_not_empty() -> None:
    assert heat_level(0, 1000, is_diagonal=False) == 0
    assert heat_level(1, 1000, is_diagonal=False) == 1
    assert heat_level(200, 1000, is_diagonal=False) == HEAT_LEVELS
    assert heat_level(1000, 1000, is_diagonal=True) == HEAT_LEVELS
    assert heat_level(900, 1000, is_diagonal=False) == HEAT_LEVELS


def test_the_command_trains_with_the_very_same_settings() -> None:
    changed = RunConfig(
        recipe="two-conv", dataset="sketches", lr=0.0123, flip=False, classes=(0, 3, 5), epochs=7
    )
    for made in (changed, changed.changed(recipe="my own", ema=0.99), CONFIG):
        recipe = recipes.load("two-conv") if made.recipe == "two-conv" else None
        words = shlex.split(shlex.join(train_command(made, recipe)))[1:]
        args = main.build_parser("train").parse_args(words)
        base = recipe or recipes.Recipe("custom", "", {})
        (step,) = build_plan(base, args).steps
        assert isinstance(step, TrainStep) and step.config == made


def luminance(colour: tuple[float, ...]) -> float:
    parts = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_whatever_is_behind_it(scheme: int) -> None:
    style = STYLE.read_text()
    block = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme]
    values = dict(re.findall(r"--([\w-]+): ([^;]+);", block))

    def rgb(name: str) -> tuple[float, ...]:
        value = values[name]
        if value[0] != "#":
            return tuple(float(part) for part in value.split())
        digits = value[1:] if len(value) == 7 else "".join(2 * sign for sign in value[1:])
        return tuple(int(digits[at : at + 2], 16) for at in (0, 2, 4))

    for ink, behind in (
        ("ink", "paper"),
        ("soft", "paper"),
        ("soft", "panel"),
        ("link", "paper"),
        ("ink", "warn"),
    ):
        assert contrast(rgb(ink), rgb(behind)) >= 4.5, (ink, behind)
    for line in ("train", "val", "rate"):
        assert contrast(rgb(line), rgb("paper")) >= 3, line
    heats = re.findall(r"\.\w\d \{ background: rgb\(var\(--(\w+)\) / ([\d.]+)\); \}", style)
    assert len(heats) == 2 * HEAT_LEVELS
    for name, share in heats:
        mixed = tuple(
            float(share) * over + (1 - float(share)) * under
            for over, under in zip(rgb(name), rgb("paper"), strict=True)
        )
        assert contrast(rgb("ink"), mixed) >= 4.5, (name, share)


def test_the_same_facts_make_the_same_page(run: RunFolder) -> None:
    facts, parsed = shown(run, run.path.parent)
    pages = (render_page(facts), parsed.markup)
    first, second = (re.sub("Written .*? by", "", page) for page in pages)
    assert first == second
