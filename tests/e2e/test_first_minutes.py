"""The way from the command to the images of the worst confusion, on sketches in the place of the
real images; `python -m tests.e2e.first_minutes` times it with those."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.first_minutes import STAGES, WORST, read_test_accuracy, walk
from tests.e2e.support import LIMIT
from tests.e2e.terminal import Terminal, dashboard_env

# The dataset of the first start is drawn, where no network and no data folder has it.
DRAWN = """
from fmnist_tui.data import load
load._LOADERS["fashion"] = load._LOADERS["sketches"]
"""


def test_one_key_trains_and_two_more_show_the_images_of_the_worst_confusion(
    tmp_path: Path,
) -> None:
    (tmp_path / "runs").mkdir()
    env = {**dashboard_env(tmp_path), "FMNIST_TUI_LIMIT": "2500", "FMNIST_TUI_THREADS": "1"}
    with Terminal(env=env, code=DRAWN) as terminal:
        seen: list[str] = []
        for stage in walk(terminal, LIMIT):
            seen.append(f"{stage.seconds:.1f} s {stage.what}")
            if stage.what == "the confusion matrix":
                worst = re.search(WORST, terminal.text())
        assert len(seen) == len(STAGES)
        assert worst is not None
        terminal.until(rf"{worst[1]} → {worst[2]}: {worst[3]}\b")
    assert read_test_accuracy(tmp_path / "runs") > 0.5
    assert len([keys for keys, _, _ in STAGES if keys]) == 3
