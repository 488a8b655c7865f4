"""The page as browsers and readers see it."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from fmnist_tui.cli import main
from fmnist_tui.cli.support.run_plan import build_plan
from fmnist_tui.config import recipes
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.config.plans import TrainStep
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import EVENTS, Changed
from fmnist_tui.report.confusion_matrix import HEAT_LEVELS, MAX_CLASSES, heat_level
from fmnist_tui.report.page import render_page
from fmnist_tui.report.provenance import train_command
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from tests.tui.support import CONFIG
from tests.unit.report.support import (
    Parsed,
    build_report,
    make_predictions,
    make_run_with_names,
    make_run_with_predictions,
)

STYLE = Path(recipes.__file__).parents[1] / "report" / "style.css"
# Active if taken for markup, or control characters
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
    return make_run_with_predictions(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def page(run: RunFolder) -> Parsed:
    return build_report(run, run.path.parent)[1]


def test_the_page_is_well_formed_and_has_the_scores(page: Parsed) -> None:
    assert not page.unbalanced and not page.open
    evaluation = make_predictions("test").evaluation()
    for figure in (evaluation.accuracy, *evaluation.interval, evaluation.macro_f1, evaluation.ece):
        assert f"{100 * figure:.2f} %" in page.text
    assert f"{evaluation.wrong}" in page.text
    assert "SYNTHETIC" in page.text
    for heading in ("Learning curves", "Confusion matrix", "Calibration", "Errors", "Fit"):
        assert heading in page.text


def test_settings_versions_and_machine_are_listed(tmp_path: Path) -> None:
    run = make_run_with_predictions(tmp_path)
    written = run.config.read_text()
    assert "[made_with]\n" in written
    more = '[made_with]\ntorch = "9.8.7"\ndevice = "a very quick one"\n'
    run.config.write_text(written.replace("[made_with]\n", more))
    text = build_report(run, tmp_path)[1].text
    for fact in ("Complete config.toml", "two-conv", "9.8.7", "a very quick one", "host", "seed"):
        assert fact in text, fact


def test_the_page_has_no_scripts_and_no_outside_links(page: Parsed) -> None:
    assert page.has("script") == page.has("iframe") == page.has("object") == page.has("form") == 0
    leading = [value for _, name, value in page.values if name in ("href", "src", "srcset")]
    assert leading
    assert all(value.startswith(("#", "data:")) for value in leading)
    names = {name for _, attributes in page.tags for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    assert "http:" not in page.markup and "https:" not in page.markup
    assert "url(" not in STYLE.read_text() and "@import" not in STYLE.read_text()


def test_the_policy_allows_only_this_style_and_inline_images(page: Parsed) -> None:
    policy = next(
        value for tag, _, value in page.values if tag == "meta" and "default-src" in value
    )
    style = re.search(r"<style>(.*?)</style>", page.markup, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_do_not_change_the_markup(tmp_path: Path, name: str) -> None:
    plain = make_run_with_names(tmp_path, GARMENTS, "harmless")
    names = tuple(f"{name}{number}" for number in range(10))
    hostile = make_run_with_names(tmp_path, names, name)
    harmless_page = build_report(plain, tmp_path)[1]
    hostile_page = build_report(hostile, tmp_path)[1]
    assert hostile_page.tags == harmless_page.tags
    assert not hostile_page.unbalanced and not hostile_page.open
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2066]", hostile_page.markup)
    hostile_page.markup.encode("utf-8")


def test_tables_have_captions_and_header_cells(page: Parsed) -> None:
    assert page.has("table") == page.has("caption") >= 5
    scopes = [value for tag, name, value in page.values if tag == "th" and name == "scope"]
    assert page.has("th") == len(scopes)
    assert {"row", "col"} == set(scopes)


def test_every_image_and_chart_is_described(page: Parsed) -> None:
    drawings = [names for tag, names in page.tags if tag == "svg"]
    assert all("aria-label" in names or "aria-hidden" in names for names in drawings)
    labels = [value for tag, name, value in page.values if tag == "svg" and name == "aria-label"]
    assert any(label.startswith("Loss by epoch: training ends at") for label in labels)
    assert any("Shirt, predicted as T-shirt/top" in label for label in labels)
    ids = [value for _, name, value in page.values if name == "id"]
    assert len(ids) == len(set(ids))
    targets = [value[1:] for _, name, value in page.values if name == "href" and value[0] == "#"]
    assert set(targets) <= set(ids)


def test_the_gallery_shows_how_many_of_all_errors_it_has(page: Parsed) -> None:
    wrong = make_predictions("test").evaluation().wrong
    assert f"Most confident errors 20 of {wrong}" in page.text
    pair = len(make_predictions("test").find_misses(6, 0))
    assert f"Shirt → T-shirt/top 10 of {pair}" in page.text


def test_the_page_is_small(page: Parsed) -> None:
    assert len(page.markup.encode()) < 150_000


def test_a_large_matrix_shows_the_classes_with_the_most_errors(tmp_path: Path) -> None:
    names = tuple(f"kind {number}" for number in range(60))
    folder = make_run_with_names(tmp_path, names, "many")
    _, parsed = build_report(folder, tmp_path)
    note = f"The {MAX_CLASSES} classes with the most errors; 30 others are not shown."
    assert note in parsed.text
    assert parsed.text.count("kind 59") >= 1


def test_every_cell_that_is_not_empty_has_heat() -> None:
    assert heat_level(0, 1000, is_diagonal=False) == 0
    assert heat_level(1, 1000, is_diagonal=False) == 1
    assert heat_level(200, 1000, is_diagonal=False) == HEAT_LEVELS
    assert heat_level(1000, 1000, is_diagonal=True) == HEAT_LEVELS
    assert heat_level(900, 1000, is_diagonal=False) == HEAT_LEVELS


def test_the_command_trains_with_the_same_settings() -> None:
    changed = RunConfig(
        recipe="two-conv", dataset="sketches", lr=0.0123, flip=False, classes=(0, 3, 5), epochs=7
    )
    for config in (changed, changed.changed(recipe="my own", ema=0.99), CONFIG):
        recipe = recipes.load_recipe("two-conv") if config.recipe == "two-conv" else None
        arguments = shlex.split(shlex.join(train_command(config, recipe)))[1:]
        args = main.build_parser("train").parse_args(arguments)
        base = recipe or recipes.Recipe("custom", "", {})
        (step,) = build_plan(base, args).steps
        assert isinstance(step, TrainStep) and step.config == config


def test_the_command_says_that_rates_changed_by_hand_are_not_repeated(tmp_path: Path) -> None:
    folder = make_run_with_predictions(tmp_path / "runs")
    _, parsed = build_report(folder, tmp_path)
    assert "To train it again" in parsed.text and "was changed while it ran" not in parsed.text
    lines = folder.events.read_text().splitlines()
    for step, rate in ((20, "0.001"), (1500, "0.0005")):
        lines.insert(-1, EVENTS.encode(Changed(1.0, step, "lr", rate)))
    folder.events.write_text("\n".join(lines) + "\n")
    _, parsed = build_report(folder, tmp_path)
    assert "was changed while it ran, to 0.001 at step 20, to 0.0005 at step 1,500." in parsed.text


def test_the_command_says_that_settings_changed_by_a_resume_are_not_repeated(
    tmp_path: Path,
) -> None:
    folder = make_run_with_predictions(tmp_path / "runs")
    _, parsed = build_report(folder, tmp_path)
    assert "this one was resumed with" not in parsed.text
    lines = folder.events.read_text().splitlines()
    started = replay(folder.events).started
    assert started is not None
    resumed = replace(started, step=93, changed_settings="epochs 4 instead of 3")
    folder.events.write_text("\n".join([*lines, EVENTS.encode(resumed)]) + "\n")
    _, parsed = build_report(folder, tmp_path)
    assert "this one was resumed with epochs 4 instead of 3 at step 93." in parsed.text


def luminance(colour: tuple[float, ...]) -> float:
    parts = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_enough_contrast(scheme: int) -> None:
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


def test_a_page_depends_only_on_its_facts(run: RunFolder) -> None:
    facts, page = build_report(run, run.path.parent)
    pages = (render_page(facts), page.markup)
    first, second = (re.sub("Written .*? by", "", html) for html in pages)
    assert first == second
