"""Static information about the built-in datasets, known before any data is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Centre = Literal["box", "mass"]

SPLITS = ("train", "val", "test")
IMAGE_SIDE = 28
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
DEFAULT_VALIDATION = 1 / 6


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A dataset's name, classes and conventions.

    `mirror`: a mirrored image keeps its class. `crop`: objects are cut out of their surroundings.
    `fit`, `centre`: the share of the image that an object's longer side takes, and whether it is
    centred by bounding box or by mass."""

    name: str
    title: str
    classes: tuple[str, ...]
    train: int = 0
    test: int = 0
    mirror: bool = True
    synthetic: bool = False
    crop: bool = True
    fit: float = 1.0
    centre: Centre = "box"
    about: str = ""

    def subset(self, classes: tuple[int, ...]) -> DatasetInfo:
        """The same dataset with only these classes, in this order."""
        return replace(self, classes=tuple(self.classes[index] for index in classes))


GARMENTS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DIGITS = tuple(str(digit) for digit in range(10))
KANA = ("お", "き", "す", "つ", "な", "は", "ま", "や", "れ", "を")
LETTERS = tuple(f"{upper}{upper.lower()}" for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")

_BUILT_IN = (
    DatasetInfo(
        "fashion",
        "Fashion-MNIST",
        GARMENTS,
        60_000,
        10_000,
        about="70,000 photographs of garments, 28×28 grey",
    ),
    DatasetInfo(
        "mnist",
        "MNIST",
        DIGITS,
        60_000,
        10_000,
        mirror=False,
        fit=20 / 28,
        centre="mass",
        about="70,000 handwritten digits, 28×28 grey",
    ),
    DatasetInfo(
        "both",
        "Fashion-MNIST + MNIST",
        GARMENTS + DIGITS,
        120_000,
        20_000,
        mirror=False,
        about="garments and digits in one dataset of twenty classes",
    ),
    DatasetInfo(
        "kmnist",
        "Kuzushiji-MNIST",
        KANA,
        60_000,
        10_000,
        mirror=False,
        about="70,000 cursive Japanese characters, 28×28 grey",
    ),
    DatasetInfo(
        "qmnist",
        "QMNIST",
        DIGITS,
        60_000,
        60_000,
        mirror=False,
        fit=20 / 28,
        centre="mass",
        about="MNIST rebuilt, with its 60,000 original test digits",
    ),
    DatasetInfo(
        "emnist",
        "EMNIST letters",
        LETTERS,
        124_800,
        20_800,
        mirror=False,
        about="145,600 handwritten letters, 28×28 grey",
    ),
    DatasetInfo(
        "sketches",
        "Sketches (SYNTHETIC)",
        GARMENTS,
        5_000,
        1_000,
        synthetic=True,
        fit=24 / 28,
        about="garment silhouettes drawn by this program: no download, always available",
    ),
)
DATASETS = {info.name: info for info in _BUILT_IN}

FROM_PATH = {
    "folder": "folder:PATH, a folder of class folders of images",
    "idx": "idx:PATH, a folder of four idx files under MNIST's names",
    "both": "both:PATH, Fashion-MNIST with the digits of an idx folder",
}


def find_dataset_info(dataset: str) -> DatasetInfo | None:
    """The information about a dataset; None if it is only known once its files are read."""
    if dataset.startswith("both:"):
        return replace(DATASETS["both"], name=dataset, train=0, test=0)
    return DATASETS.get(dataset)


def is_dataset_name(dataset: str) -> bool:
    """Whether `dataset` is built in or of the form KIND:PATH."""
    kind, colon, path = dataset.partition(":")
    return dataset in DATASETS or bool(colon and path and kind in FROM_PATH)


def is_from_path(dataset: str) -> bool:
    """Whether a dataset is of the form KIND:PATH: its files may change at any time."""
    return ":" in dataset


def known_datasets() -> tuple[str, ...]:
    """The names of datasets, and the forms of names with a path."""
    return (*DATASETS, *(f"{kind}:PATH" for kind in FROM_PATH))


def garment_groups(classes: tuple[str, ...]) -> tuple[int, ...]:
    """For each class whether it is a garment (0) or not (1)."""
    return tuple(0 if name in GARMENTS else 1 for name in classes)
