"""`make pictures`: the pictures of the README, taken from the real program on Fashion-MNIST.

    python -m tests.pictures [NAME ...] [--runs DIR]

Without names all are taken. `--runs` is a folder for the runs that they show: runs that are missing
there are trained first, which takes some minutes; without it, that is a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fmnist_tui.util.paths import data_dir
from tests.pictures.scenes import SCENES
from tests.pictures.session import PictureSession

ASSETS = Path(__file__).parents[2] / "assets/screens"
# The commands that make the runs in the pictures.
PREPARATIONS = (
    ("train", "one-conv"),
    ("train", "two-conv", "--seed", "1"),
    ("train", "two-conv", "--seed", "2"),
    ("train", "two-conv", "--seed", "3"),
    ("sweep", "start", "two-conv", "--trials", "14"),
)


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *SCENES], metavar="NAME")
    parser.add_argument("--runs", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # In a home of their own, so that pictures show no path of this machine.
        runs = Path(folder) / "runs"
        if options.runs:
            options.runs.mkdir(parents=True, exist_ok=True)
            runs.symlink_to(options.runs.absolute())
        environment = {
            "HOME": folder,
            "FMNIST_TUI_RUNS": str(runs),
            "FMNIST_TUI_DATA": str(data_dir().absolute()),
            "FMNIST_TUI_SETTINGS": str(Path(folder) / "settings"),
            "FMNIST_TUI_OFFLINE": "1",
            "LANG": "C.UTF-8",
        }
        prepare(runs, environment)
        for name in options.names or SCENES:
            take(name, environment)
    return 0


def prepare(runs: Path, environment: dict[str, str]) -> None:
    """Train what is missing."""
    done = runs / "prepared"
    if done.exists():
        return
    runs.mkdir(parents=True, exist_ok=True)
    for words in PREPARATIONS:
        print("fmnist-tui", *words, file=sys.stderr)
        subprocess.run(
            [sys.executable, "-m", "fmnist_tui", *words],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            check=True,
        )
    done.touch()


def take(name: str, environment: dict[str, str]) -> None:
    scene = SCENES[name]
    path = ASSETS / f"{name}{scene.suffix}"
    with tempfile.TemporaryDirectory() as folder:
        if scene.is_first_start:
            fresh = ("FMNIST_TUI_RUNS", "FMNIST_TUI_SETTINGS")
            environment = {**environment, **{name: f"{folder}/{name}" for name in fresh}}
        with PictureSession(*scene.words, env=environment, cold=True) as session:
            scene.steps(session, path)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
