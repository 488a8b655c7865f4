"""Reading a stranger's weights in a process of their own.

`python -m fmnist_tui.engine.checkpoints.untrusted_weights FILE FOLDER` turns a `.pt`, `.pth`
or `.safetensors` file into FOLDER/weights.safetensors and FOLDER/facts.json, or prints one
line saying why not and exits with 1. The parent never interprets the original; memory and
time of this process are limited before the first byte of it is.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CPU_SECONDS = 60
SPARE_MEMORY = 1 << 30
LARGEST_FILE = 4 << 30
LARGEST_FACTS = 16 << 20
FACTS = ("about", "step", "epoch")
# Where all of them stand in a safetensors file.
METADATA = "fmnist_tui"


def main(arguments: list[str]) -> int:
    source, folder = Path(arguments[0]), Path(arguments[1])
    import torch  # noqa: F401 - loaded before memory is limited
    from safetensors.torch import save_file

    from fmnist_tui.util.errors import UserError

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
    except (TypeError, ValueError, RecursionError):
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
    from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError, parse_checkpoint

    where = source.name
    if size > LARGEST_FILE:
        raise CheckpointError(f"{where}: refused, {size >> 20} MB is more than any model here")
    if source.suffix.lower() == ".safetensors":
        return _safetensors(source)
    data = source.read_bytes()
    payload = parse_checkpoint(data, where)
    if "weights" in payload:
        return _tensors(payload["weights"], where), _told(payload)
    return _tensors(payload, where), _beside(source, data)


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Of all that is said of some weights, what is of use here."""
    return {key: facts[key] for key in FACTS if key in facts}


def _beside(source: Path, data: bytes) -> dict[str, Any]:
    """What the JSON file beside bare weights says of them, if it is one of ours."""
    from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError

    sidecar = source.with_name(f"{source.name}.json")
    if not sidecar.is_file() or sidecar.stat().st_size > LARGEST_FACTS:
        return {}
    try:
        found = json.loads(sidecar.read_bytes())
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or "about" not in found:
        return {}
    if found.get("sha256") != hashlib.sha256(data).hexdigest():
        raise CheckpointError(
            f"{source.name}: {sidecar.name} describes another file (SHA-256 differs); export"
            " the model anew, or move that file away"
        )
    return _told(found)


def _safetensors(source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError

    try:
        with safe_open(source, "pt") as file:
            metadata = file.metadata() or {}
        return _tensors(load_file(source), source.name), _inside(metadata)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{source.name}: damaged safetensors file ({error})") from None


def _inside(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the metadata of a safetensors file say, if they are ours."""
    try:
        found = json.loads(metadata.get(METADATA, "{}"))
    except (ValueError, RecursionError):
        return {}
    return _told(found) if isinstance(found, dict) else {}


def _tensors(weights: object, where: str) -> dict[str, Any]:
    import torch

    from fmnist_tui.engine.checkpoints.checkpoint import CheckpointError

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
