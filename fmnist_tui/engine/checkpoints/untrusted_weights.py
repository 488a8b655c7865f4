"""Reading untrusted weights in a process of their own.

`python -m fmnist_tui.engine.checkpoints.untrusted_weights FILE FOLDER` converts a `.pt`, `.pth`
or `.safetensors` file to FOLDER/weights.safetensors and FOLDER/facts.json, or prints the reason
for refusing it in one line and exits with 1. The parent never interprets the original file; this
process limits its own memory and time before it does. The tensors in the file are mapped: none is
read before all of them are known to be what the file says that they are.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from fmnist_tui.engine.checkpoints import weights_hash
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, load_payload
from fmnist_tui.engine.checkpoints.torch_archive import ArchiveError, compare_checksums
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

CPU_SECONDS = 20
EXTRA_MEMORY = 1 << 28
MAX_FILE_SIZE = 4 << 30
# The weights alone; a checkpoint also has the state of its optimiser.
MAX_WEIGHTS_SIZE = 1 << 30
MAX_FACTS_SIZE = 16 << 20
FACTS = ("about", "step", "epoch")
# The metadata key of a safetensors file that holds the facts.
METADATA = "fmnist_tui"


class Contents(NamedTuple):
    """What a file holds: its weights, not checked against a model, facts about them, and whether
    it has hashes or checksums, which are right."""

    weights: Any
    facts: dict[str, Any]
    is_checked: bool


def main(arguments: list[str]) -> int:
    source, folder = Path(arguments[0]), Path(arguments[1])
    size = source.stat().st_size
    seconds = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), resource.RLIM_INFINITY))
    _limit_memory(size + EXTRA_MEMORY)
    try:
        contents = read(source)
        weights = check_tensors(contents, source.name)
        _limit_memory(size + EXTRA_MEMORY + 3 * _count_bytes(weights))
        copies = {key: tensor.contiguous().clone() for key, tensor in weights.items()}
        save_file(copies, folder / "weights.safetensors")
        document = {"facts": contents.facts, "is_checked": contents.is_checked}
        (folder / "facts.json").write_text(json.dumps(document), encoding="utf-8")
    except UserError as error:
        print(error)
    except MemoryError:
        print(f"{source}: refused, it needs more memory than its size justifies")
    except OSError as error:
        print(f"{source}: {error.strerror or error}")
    except (TypeError, ValueError, RecursionError):
        print(f"{source}: refused, its facts are not plain values")
    else:
        return 0
    return 1


def _limit_memory(extra: int) -> None:
    """Limit the address space to that in use (torch, already imported, is large) and `extra`."""
    memory = Path("/proc/self/statm")
    if memory.exists():
        mapped = int(memory.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + extra, resource.RLIM_INFINITY))


def read(source: Path) -> Contents:
    """What a file holds; a CheckpointError if it is none of ours, or damaged."""
    name, size = source.name, source.stat().st_size
    if size > MAX_FILE_SIZE:
        raise CheckpointError(f"{name}: refused, {size >> 20} MB is larger than any model here")
    if source.suffix.lower() == ".safetensors":
        return _read_safetensors(source)
    with source.open("rb") as file:
        payload = load_payload(file, name, mapped=source)
        try:
            is_checked = compare_checksums(file)
        except ArchiveError as error:
            raise CheckpointError(f"{name}: {error}") from None
    if "weights" in payload:
        return Contents(payload["weights"], _select(payload), is_checked)
    facts = _read_sidecar(source)
    return Contents(payload, _select(facts), is_checked or bool(facts))


def _read_safetensors(source: Path) -> Contents:
    name = source.name
    try:
        with source.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > MAX_FACTS_SIZE:
            raise ValueError(f"a header of {header:,} bytes")
        with safe_open(source, "pt") as opened:
            metadata = opened.metadata() or {}
        weights = load_file(source)
    except (SafetensorError, ValueError) as error:
        reason = safe_text(format_error(error), 200)
        raise CheckpointError(f"{name}: damaged safetensors file ({reason})") from None
    if METADATA not in metadata:
        return Contents(weights, {}, is_checked=False)
    facts = _parse_facts(metadata[METADATA])
    if facts is None:
        raise CheckpointError(f"{name}: damaged since it was written (its facts are no JSON)")
    try:
        return Contents(weights, _select(facts), weights_hash.has_hashes(facts, weights))
    except ValueError as error:
        raise CheckpointError(f"{name}: {error}") from None


def _read_sidecar(source: Path) -> dict[str, Any]:
    """The facts in the JSON file beside bare weights, if that file was written by us."""
    sidecar = source.with_name(f"{source.name}.json")
    if not sidecar.is_file() or sidecar.stat().st_size > MAX_FACTS_SIZE:
        return {}
    facts = _parse_facts(sidecar.read_bytes())
    if facts is None or not weights_hash.are_intact(facts):
        raise CheckpointError(
            f"{source.name}: {sidecar.name}, which describes it, is damaged; export the model"
            " again, or move that file away"
        )
    if "about" not in facts:
        return {}
    with source.open("rb") as file:
        if facts.get("sha256") != hashlib.file_digest(file, "sha256").hexdigest():
            raise CheckpointError(
                f"{source.name}: {sidecar.name} describes another file (SHA-256 differs); export"
                " the model again, or move that file away"
            )
    return facts


def _parse_facts(text: str | bytes) -> dict[str, Any] | None:
    """A table of facts; None if the text is no JSON."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else {}


def _select(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: facts[key] for key in FACTS if key in facts}


def check_tensors(contents: Contents, name: str) -> dict[str, torch.Tensor]:
    """The weights, if they are tensors that the file holds and that fit the model it describes."""
    weights = contents.weights
    if not isinstance(weights, Mapping) or not weights:
        raise CheckpointError(f"{name}: holds no weights")
    checked: dict[str, torch.Tensor] = {}
    for key, tensor in weights.items():
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            raise CheckpointError(f"{name}: holds something other than named tensors")
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise CheckpointError(f"{name}: {key} is a tensor of an unsupported kind")
        if tensor.numel() * tensor.element_size() > max(1, tensor.untyped_storage().nbytes()):
            raise CheckpointError(f"{name}: {key} claims more values than the file holds")
        checked[key] = tensor
    size, limit = _count_bytes(checked), MAX_WEIGHTS_SIZE
    if "about" in contents.facts:
        # Twice, as they may be of another precision.
        limit = min(limit, 2 * _count_bytes(_describe_weights(contents.facts, name)))
    if size > limit:
        raise CheckpointError(
            f"{name}: refused, {size:,} bytes of weights where at most {limit:,} are expected"
        )
    return checked


def _describe_weights(facts: dict[str, Any], name: str) -> dict[str, torch.Tensor]:
    """The weights of the model that a file describes, without their values."""
    from fmnist_tui.engine.inference.classifier import ModelInfo

    info = ModelInfo.from_payload(facts, name)
    with torch.device("meta"):
        return info.build().state_dict()


def _count_bytes(weights: Mapping[str, torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in weights.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
