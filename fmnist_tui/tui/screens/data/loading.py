"""The texts about loading a dataset: how it goes, what can be done, what there is to choose."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from textual.content import Content

from fmnist_tui.config.dataset_catalog import DATASETS, FROM_PATH, is_dataset_name
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

SKETCHES = "sketches"
_SIGNS = {"ok": ("✓", "$success")}
_BAR_WIDTH = 40


def title(name: str) -> str:
    return DATASETS[name].title if name in DATASETS else safe_text(name, 60)


def key_hints(name: str, failed: bool) -> Content:
    """The keys to press when there is no dataset to show."""
    hints = [(key_name("data.dataset"), "choose another dataset")]
    if name != SKETCHES:
        hints.insert(
            0,
            (
                key_name("data.sketches"),
                "open sketches, drawn by this program: SYNTHETIC, no network",
            ),
        )
    if failed or name in DATASETS:
        hints.insert(
            0,
            (
                key_name("data.fetch"),
                "try again" if failed else f"fetch it: {DATASETS[name].about}",
            ),
        )
    return Content("\n").join(
        Content.assemble((f"{key}  ", "bold $accent"), words) for key, words in hints
    )


def picker_items(present: Mapping[str, bool]) -> list[tuple[str, Content]]:
    """The datasets to choose from; `present` tells which are on this machine."""
    width = max(len(title(name)) for name in present)
    items = []
    for name, is_present in present.items():
        info = DATASETS.get(name)
        sign = ("✓ local   ", "$success") if is_present else ("· remote  ", "$foreground-muted")
        size = f"{info.train + info.test:>9,} images, {len(info.classes)} classes" if info else ""
        items.append((name, Content.assemble(sign, (f"{title(name):<{width}}", "bold"), size)))
    return items


def check_name(text: str) -> str:
    """What is wrong with a dataset name that was typed; empty for a name or a bare path."""
    text = text.strip()
    if is_dataset_name(text) or (text and text.partition(":")[0] not in FROM_PATH):
        return ""
    return f"“{safe_text(text, 60)}” is not a dataset: enter folder:PATH or a name such as mnist"


def complete_name(text: str) -> str:
    """The dataset name for typed text: a name, or only a path. Slow."""
    text = text.strip()
    if is_dataset_name(text):
        return text
    path = expand_home(text)
    files = (path / f"train-images-idx3-ubyte{end}" for end in ("", ".gz"))
    # Path.exists raises if a name is too long or a folder is not readable.
    is_idx = any(os.path.exists(file) for file in files)  # noqa: PTH110
    return f"{'idx' if is_idx else 'folder'}:{text}"


def format_steps(steps: Sequence[LoadStep], width: int) -> Iterator[Content]:
    """A line with a sign for each source, and its message and progress below. A source that has
    not got the dataset is a quiet line: there are others."""
    several = len({step.dataset for step in steps}) > 1
    for step in steps:
        name = f"{step.dataset}, {step.source}" if several and step.source else step.source
        name = safe_text(name or step.dataset, 60)
        if step.state == "failed":
            text = safe_text(f"· {name}: {step.message}")
            for line in textwrap.wrap(text, max(10, width), subsequent_indent="  "):
                yield Content.styled(line, "$foreground-muted")
            continue
        sign = _SIGNS.get(step.state, ("▸", "$accent"))
        yield Content.assemble(sign, " ", (name, "bold"))
        for line in textwrap.wrap(safe_text(step.message), max(10, width - 4)):
            yield Content(f"    {line}")
        if step.state == "progress" and (step.done or step.total):
            yield Content("    ") + progress_bar(step, min(_BAR_WIDTH, max(8, width - 34)))


def progress_bar(step: LoadStep, width: int) -> Content:
    """`━━━━━━─────  12.3 of 26.4 MB`; the amount alone if the total is unknown."""
    scale, unit = step.display_scale
    digits = 1 if scale > 1 else 0
    done = f"{step.done / scale:,.{digits}f}"
    if not step.total:
        return Content(f"{done} {unit}")
    filled = min(width, round(width * step.done / step.total))
    total = "" if unit == "%" else f" of {step.total / scale:,.{digits}f}"
    return Content.assemble(
        ("━" * filled, "$success"),
        ("─" * (width - filled), "$foreground-muted"),
        f"  {done}{total} {unit}",
    )
