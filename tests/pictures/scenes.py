"""What the pictures show: each function presses keys and takes its picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.pictures.session import Film, PictureSession

# In the folder that `make pictures` runs in.
SAMPLES = "assets/samples"
Steps = Callable[[PictureSession, Path], None]


@dataclass(frozen=True)
class Scene:
    """A picture: the words after `fmnist-tui`, and what is done before it is taken."""

    steps: Steps
    words: tuple[str, ...] = ()
    # Without any runs, as at the first start.
    is_first_start: bool = False
    suffix: str = ".png"


def _data(session: PictureSession, path: Path) -> None:
    session.until("T-shirt.*5,000")
    session.settle()
    session.take(path)


def _train(session: PictureSession, path: Path) -> None:
    session.until("T-shirt.*5,000")
    session.press("2")
    session.until("Next run")
    session.press("space")
    session.until(r"epoch 4/5", 300)
    session.take(path)
    session.press("s")
    session.until("stopped")


def _evaluate(session: PictureSession, path: Path) -> None:
    session.until("T-shirt.*5,000")
    session.press("3")
    session.until("macro F1")
    session.settle()
    session.take(path)


def _errors(session: PictureSession, path: Path) -> None:
    session.until("T-shirt.*5,000")
    session.press("4")
    session.until("of 10,000")
    session.settle()
    session.take(path)


def _predict(session: PictureSession, path: Path) -> None:
    session.until("T-shirt.*5,000")
    session.press("5")
    session.until("Predict")
    session.paste(SAMPLES)
    session.until("trouser.webp", 60)
    session.settle(2)
    session.take(path)


def _runs(session: PictureSession, path: Path) -> None:
    session.until("T-shirt.*5,000")
    session.press("6")
    session.until("two-conv")
    session.settle()
    session.press("down", "space", "down", "space")
    session.settle()
    session.take(path)


def _sweep(session: PictureSession, path: Path) -> None:
    session.until("T-shirt.*5,000")
    session.press("7")
    session.until("importance|Importance")
    session.settle()
    session.take(path)


def _lr_search(session: PictureSession, path: Path) -> None:
    session.until("T-shirt.*5,000")
    session.press("2")
    session.until("Next run")
    session.press("l")
    session.until("suggested|enter uses", 120)
    session.settle()
    session.take(path)


def _film(session: PictureSession, path: Path) -> None:
    """From the first start to the images of the worst confusion."""
    film = Film(session)
    session.until("is here")
    session.settle()
    film.show(2.0)
    film.press("space", seconds=0.5)
    film.watch("3 evaluate|finished", every=0.5, seconds=0.15, limit=300)
    session.settle()
    film.show(2.0)
    film.press("3", seconds=2.5)
    film.press("enter", seconds=2.0)
    film.press("right", "right", "down", seconds=0.9)
    film.show(1.5)
    film.save(path)


SCENES = {
    "data": Scene(_data),
    "train": Scene(_train),
    "evaluate": Scene(_evaluate),
    "errors": Scene(_errors),
    "predict": Scene(_predict),
    "runs": Scene(_runs),
    "sweep": Scene(_sweep),
    "lrfind": Scene(_lr_search),
    "session": Scene(_film, is_first_start=True, suffix=".gif"),
}
