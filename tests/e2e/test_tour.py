"""The tour, from the welcome of a first start and back to it: it trains, evaluates and predicts."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.terminal import Terminal, dashboard_env

QUICK = {"FMNIST_TUI_EPOCHS": "1", "FMNIST_TUI_LIMIT": "1500", "FMNIST_TUI_THREADS": "1"}
# The process is forked from one that has already looked for the temporary folder.
OWN_TEMPORARY_FOLDER = "import tempfile; tempfile.tempdir = None"
NEXT, BACK = "\x0e", "\x0f"


def test_the_tour_leads_through_all_screens_and_leaves_nothing_behind(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    for folder in (temporary, tmp_path / "runs"):
        folder.mkdir()
    env = {**dashboard_env(tmp_path), **QUICK, "TMPDIR": str(temporary)}
    with Terminal(env=env, code=OWN_TEMPORARY_FOLDER) as terminal:
        terminal.until("T +a tour of two minutes")
        terminal.press("T")
        terminal.until("Tour 1 of 7 · Data")
        terminal.until("SYNTHETIC")
        [folder] = temporary.glob("fmnist-tui-tour-*")
        terminal.press(NEXT)
        terminal.until("Tour 2 of 7 · Train")
        terminal.until("ctrl\\+n next")  # the run has ended
        terminal.press(NEXT)
        terminal.until("Tour 3 of 7 · Evaluate")
        terminal.until("accuracy +[0-9]")
        terminal.press(NEXT)
        terminal.until("Tour 4 of 7 · Errors")
        terminal.until(r"\d+ of 1,000 wrong")
        terminal.press(BACK)
        terminal.until("Tour 3 of 7")
        terminal.press(NEXT, NEXT)
        terminal.until("Tour 5 of 7 · Predict")
        terminal.until("network input")
        terminal.press(NEXT)
        terminal.until("Tour 6 of 7 · Runs")
        terminal.until("finished +one-conv")
        terminal.press(NEXT)
        terminal.until("Tour 7 of 7 · Sweep")
        terminal.until("tour +./4")
        assert [*folder.glob("runs/*one-conv*")]
        terminal.press(NEXT)
        terminal.until("T +a tour of two minutes")
        assert not folder.exists() and not [*(tmp_path / "runs").iterdir()]
        assert not (tmp_path / "settings" / "view.json").exists()
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert terminal.is_restored()
