"""Reading a stranger's weights in a process of their own.

`python -m fmnist_tui.engine.vet FILE FOLDER` turns a `.pt`, `.pth` or `.safetensors`
file into FOLDER/weights.safetensors and FOLDER/facts.json, or prints one line saying why
not and exits with 1. The parent never interprets the original; memory and time of this
process are limited before the first byte of it is.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CPU_SECONDS = 60
SPARE_MEMORY = 1 << 30
LARGEST_FILE = 4 << 30


def main(arguments: list[str]) -> int:
    source, folder = Path(arguments[0]), Path(arguments[1])
    import torch  # noqa: F401 - loaded before memory is limited
    from safetensors.torch import save_file

    from fmnist_tui.errors import UserError

    size = source.stat().st_size
    _limit(size)
    try:
        weights, facts = _read(source, size)
        save_file(weights, folder / "weights.safetensors")
        (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    except UserError as error:
        print(error)
    except MemoryError:
        print(f"{source}: refused, it asks for more memory than its size explains")
    except OSError as error:
        print(f"{source}: {error.strerror or error}")
    except (TypeError, ValueError):
        print(f"{source}: refused, its facts are not plain values")
    else:
        return 0
    return 1


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS,) * 2)
    memory = Path("/proc/self/statm")
    if memory.exists():
        # Address space as it stands (torch's libraries are large) and a bounded part more.
        mapped = int(memory.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + 4 * size + SPARE_MEMORY,) * 2)


def _read(source: Path, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    from fmnist_tui.engine.checkpoint import CheckpointError, unpack

    where = source.name
    if size > LARGEST_FILE:
        raise CheckpointError(f"{where}: refused, {size >> 20} MB is more than any model here")
    if source.suffix == ".safetensors":
        return _safetensors(source)
    payload = unpack(source.read_bytes(), where)
    weights = payload.get("weights", payload)
    facts: dict[str, Any] = {}
    for key in ("about", "step", "epoch"):
        if key in payload:
            facts[key] = payload[key]
    return _tensors(weights, where), facts


def _safetensors(source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from fmnist_tui.engine.checkpoint import CheckpointError

    try:
        return _tensors(load_file(source), source.name), {}
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{source.name}: damaged safetensors file ({error})") from None


def _tensors(weights: object, where: str) -> dict[str, Any]:
    import torch

    from fmnist_tui.engine.checkpoint import CheckpointError

    if not isinstance(weights, Mapping) or not weights:
        raise CheckpointError(f"{where}: holds no weights")
    found = {}
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise CheckpointError(f"{where}: holds something other than named tensors")
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise CheckpointError(f"{where}: {name} is a tensor of a kind not used here")
        if tensor.numel() * tensor.element_size() > max(1, tensor.untyped_storage().nbytes()):
            raise CheckpointError(f"{where}: {name} claims more numbers than the file holds")
        found[name] = tensor.contiguous().clone()
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
