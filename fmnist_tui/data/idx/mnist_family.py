"""MNIST and the datasets in its format: their files, checksums and where they are published."""

from __future__ import annotations

from fmnist_tui.data.idx.idx_set import ArchiveSource, IdxFile, IdxSet, SystemPackage

_MNIST_NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _mnist_files(md5: tuple[str, ...], sha256: tuple[str, ...] = ("",) * 4) -> tuple[IdxFile, ...]:
    """The files of a dataset with MNIST's file names and sizes."""
    return tuple(map(IdxFile, _MNIST_NAMES, (60_000, 60_000, 10_000, 10_000), md5, sha256))


FASHION = IdxSet(
    "fashion",
    _mnist_files(
        md5=(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        sha256=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    package=SystemPackage("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"),
)

MNIST = IdxSet(
    "mnist",
    _mnist_files(
        md5=(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
)

KMNIST = IdxSet(
    "kmnist",
    _mnist_files(
        md5=(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    ),
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
)

# Its labels are tables: the class, then the writer and the digit's index in NIST's dataset.
QMNIST = IdxSet(
    "qmnist",
    (
        IdxFile("qmnist-train-images-idx3-ubyte.gz", 60_000, "ed72d4157d28c017586c42bc6afe6370"),
        IdxFile(
            "qmnist-train-labels-idx2-int.gz", 60_000, "0058f8dd561b90ffdd0f734c6a30e5e4", columns=8
        ),
        IdxFile("qmnist-test-images-idx3-ubyte.gz", 60_000, "1394631089c404de565df7b7aeaf9412"),
        IdxFile(
            "qmnist-test-labels-idx2-int.gz", 60_000, "5b5b05890a5e13444e108efe57b788aa", columns=8
        ),
    ),
    mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
)

# The zip file has all variants of EMNIST; its images are transposed.
EMNIST = IdxSet(
    "emnist",
    (
        IdxFile("emnist-letters-train-images-idx3-ubyte.gz", 124_800),
        IdxFile("emnist-letters-train-labels-idx1-ubyte.gz", 124_800),
        IdxFile("emnist-letters-test-images-idx3-ubyte.gz", 20_800),
        IdxFile("emnist-letters-test-labels-idx1-ubyte.gz", 20_800),
    ),
    archive=ArchiveSource(
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        "58c8d27c78d21e728a6bc7b3cc06412e",
        "gzip",
        700 * 2**20,
    ),
    first_label=1,
    transposed=True,
)
