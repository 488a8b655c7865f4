"""`fmnist-tui report`, and its page in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import browser, needs_chromium
from tests.e2e.support import Home
from tests.unit.report.support import shown, with_names

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# A picture of the gallery that has been drawn has a size.
GALLERY = "document.querySelectorAll('.gallery svg use').length"
PAPER = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def written(trained: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page") / "report.html"
    done = trained.run("report", "last", "--out", str(page))
    assert done.returncode == 0, done.stderr
    return page


def test_a_page_is_written_and_told_about(trained: Home, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = trained.json("report", "last", "--out", str(page))
    judged = trained.json("evaluate", "last")
    assert told["path"] == str(page)
    assert told["bytes"] == len(page.read_bytes())
    assert (told["split"], told["state"]) == ("test", "finished")
    assert told["accuracy"] == judged["accuracy"]
    assert told["accuracy_ci95"] == judged["accuracy_ci95"]
    assert told["errors"] == judged["count"] - round(judged["accuracy"] * judged["count"])
    assert 0 < told["errors_shown"] <= told["errors"]
    assert told["missing"] == []
    assert f"{100 * judged['accuracy']:.2f} %" in page.read_text()


def test_a_file_that_is_there_is_written_over_only_when_told_to(
    trained: Home, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    said = trained.complaint("report", "last", "--out", str(page), status=1)
    assert "already exists" in said and "--force" in said
    assert page.read_text() == "mine"
    assert trained.run("report", "last", "--out", str(page), "--force").returncode == 0
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("nothing-like-it",), 1, "no run matches"),
        (("last", "--out", "."), 1, "is a folder"),
        (("last", "--out", "/nowhere/at/all.html"), 1, "there is no folder"),
        (("last", "--split", "train"), 2, "unknown value"),
        (("/tmp",), 1, "no run in"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    trained: Home, words: tuple[str, ...], status: int, told: str
) -> None:
    assert told in trained.complaint("report", *words, status=status)


@needs_chromium
async def test_no_name_is_too_long_for_a_phone(tmp_path: Path) -> None:
    names = tuple(f"a_name_without_any_place_to_break_it_{number}" for number in range(40))
    _, made = shown(with_names(tmp_path, names, "W" * 200), tmp_path)
    file = tmp_path / "page.html"
    file.write_text(made.markup)
    async with browser() as chromium:
        page = await (await chromium.page()).view(390, 900)
        await page.open(file.as_uri())
        assert await page.ask(OVERFLOW) == 0
        assert page.complaints == []


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
async def test_a_browser_has_nothing_to_complain_of(written: Path, width: int) -> None:
    async with browser() as chromium:
        papers = set()
        for scheme in ("light", "dark"):
            page = await chromium.page()
            await page.view(width, 900, scheme)
            await page.open(written.as_uri())
            assert await page.ask(OVERFLOW) == 0
            assert await page.ask(GALLERY) > 10
            papers.add(await page.ask(PAPER))
            assert page.complaints == []
            assert [url for url in page.requests if not url.startswith("data:")] == [
                written.as_uri()
            ]
        assert len(papers) == 2
