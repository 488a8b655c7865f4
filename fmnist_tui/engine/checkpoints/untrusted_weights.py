"""Reading untrusted weights in a process of their own.

`python -m fmnist_tui.engine.checkpoints.untrusted_weights FILE FOLDER` converts a `.pt`, `.pth`
or `.safetensors` file to FOLDER/weights.safetensors and FOLDER/facts.json, or prints the reason
for refusing it in one line and exits with 1. The parent never interprets the original file; this
process limits its own memory and time before it does.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, parse_checkpoint
from fmnist_tui.util.errors import UserError

CPU_SECONDS = 60
EXTRA_MEMORY = 1 << 30
MAX_FILE_SIZE = 4 << 30
MAX_FACTS_SIZE = 16 << 20
FACTS = ("about", "step", "epoch")
# The metadata key of a safetensors file that holds the facts.
METADATA = "fmnist_tui"


def main(arguments: list[str]) -> int:
    source, folder = Path(arguments[0]), Path(arguments[1])
    size = source.stat().st_size
    _limit_resources(size)
    try:
        weights, facts = _read_weights(source, size)
        save_file(_check_tensors(weights, source.name), folder / "weights.safetensors")
        selected = {key: facts[key] for key in FACTS if key in facts}
        (folder / "facts.json").write_text(json.dumps(selected), encoding="utf-8")
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


def _limit_resources(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS,) * 2)
    memory = Path("/proc/self/statm")
    if memory.exists():
        # The address space in use (torch, already imported, is large) plus a bounded amount.
        mapped = int(memory.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + 4 * size + EXTRA_MEMORY,) * 2)


def _read_weights(source: Path, size: int) -> tuple[object, dict[str, Any]]:
    """The weights in a file, not checked yet, and a table with the facts about them."""
    name = source.name
    if size > MAX_FILE_SIZE:
        raise CheckpointError(f"{name}: refused, {size >> 20} MB is larger than any model here")
    if source.suffix.lower() == ".safetensors":
        try:
            with safe_open(source, "pt") as file:
                metadata = file.metadata() or {}
            return load_file(source), _parse_facts(metadata.get(METADATA, "{}"))
        except (SafetensorError, ValueError) as error:
            raise CheckpointError(f"{name}: damaged safetensors file ({error})") from None
    data = source.read_bytes()
    payload = parse_checkpoint(data, name)
    if "weights" in payload:
        return payload["weights"], payload
    return payload, _read_sidecar(source, data)


def _read_sidecar(source: Path, data: bytes) -> dict[str, Any]:
    """The facts in the JSON file beside bare weights, if that file was written by us."""
    sidecar = source.with_name(f"{source.name}.json")
    if not sidecar.is_file() or sidecar.stat().st_size > MAX_FACTS_SIZE:
        return {}
    facts = _parse_facts(sidecar.read_bytes())
    if "about" not in facts:
        return {}
    if facts.get("sha256") != hashlib.sha256(data).hexdigest():
        raise CheckpointError(
            f"{source.name}: {sidecar.name} describes another file (SHA-256 differs); export"
            " the model again, or move that file away"
        )
    return facts


def _parse_facts(text: str | bytes) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _check_tensors(weights: object, name: str) -> dict[str, Any]:
    if not isinstance(weights, Mapping) or not weights:
        raise CheckpointError(f"{name}: holds no weights")
    checked = {}
    for key, tensor in weights.items():
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            raise CheckpointError(f"{name}: holds something other than named tensors")
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise CheckpointError(f"{name}: {key} is a tensor of an unsupported kind")
        if tensor.numel() * tensor.element_size() > max(1, tensor.untyped_storage().nbytes()):
            raise CheckpointError(f"{name}: {key} claims more values than the file holds")
        checked[key] = tensor.contiguous().clone()
    return checked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
