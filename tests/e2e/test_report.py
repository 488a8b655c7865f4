"""`fmnist-tui report`, and its page in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import browser, needs_chromium
from tests.e2e.support import Home
from tests.unit.report.support import build_report, make_run_with_names

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Images of the gallery
GALLERY = "document.querySelectorAll('.gallery svg use').length"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def report_page(trained: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page") / "report.html"
    result = trained.run("report", "last", "--out", str(page))
    assert result.returncode == 0, result.stderr
    return page


def test_a_page_is_written_and_summarised(trained: Home, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    document = trained.json("report", "last", "--out", str(page))
    evaluation = trained.json("evaluate", "last")
    assert document["path"] == str(page)
    assert document["bytes"] == len(page.read_bytes())
    assert (document["split"], document["state"]) == ("test", "finished")
    assert document["accuracy"] == evaluation["accuracy"]
    assert document["accuracy_ci95"] == evaluation["accuracy_ci95"]
    assert document["errors"] == evaluation["count"] - round(
        evaluation["accuracy"] * evaluation["count"]
    )
    assert 0 < document["errors_shown"] <= document["errors"]
    assert document["missing"] == []
    assert f"{100 * evaluation['accuracy']:.2f} %" in page.read_text()


def test_an_existing_file_is_overwritten_only_with_force(trained: Home, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    error = trained.error_line("report", "last", "--out", str(page), status=1)
    assert "already exists" in error and "--force" in error
    assert page.read_text() == "mine"
    assert trained.run("report", "last", "--out", str(page), "--force").returncode == 0
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (("nothing-like-it",), 1, "no run matches"),
        (("last", "--out", "."), 1, "is a folder"),
        (("last", "--out", "/nowhere/at/all.html"), 1, "there is no folder"),
        (("last", "--split", "train"), 2, "unknown value"),
        (("/tmp",), 1, "no run in"),
    ],
)
def test_errors_are_one_line(
    trained: Home, words: tuple[str, ...], status: int, error: str
) -> None:
    assert error in trained.error_line("report", *words, status=status)


@needs_chromium
async def test_long_names_fit_a_phone(tmp_path: Path) -> None:
    names = tuple(f"a_name_without_any_place_to_break_it_{number}" for number in range(40))
    _, built = build_report(make_run_with_names(tmp_path, names, "W" * 200), tmp_path)
    file = tmp_path / "page.html"
    file.write_text(built.markup)
    async with browser() as chromium:
        page = await (await chromium.page()).set_view(390, 900)
        await page.open(file.as_uri())
        assert await page.evaluate(OVERFLOW) == 0
        assert page.errors == []


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
async def test_a_browser_reports_no_errors(report_page: Path, width: int) -> None:
    async with browser() as chromium:
        backgrounds = set()
        for scheme in ("light", "dark"):
            page = await chromium.page()
            await page.set_view(width, 900, scheme)
            await page.open(report_page.as_uri())
            assert await page.evaluate(OVERFLOW) == 0
            assert await page.evaluate(GALLERY) > 10
            backgrounds.add(await page.evaluate(BACKGROUND))
            assert page.errors == []
            assert [url for url in page.requests if not url.startswith("data:")] == [
                report_page.as_uri()
            ]
        assert len(backgrounds) == 2
