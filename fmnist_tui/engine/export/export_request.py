"""The request for an export. Imports no torch, so that the command line can build it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.text import safe_text

PTH, SAFETENSORS, ONNX = FORMATS = ("pth", "safetensors", "onnx")
# The ONNX operator sets that torch's exporter writes and onnxruntime reads.
OPSETS = range(18, 24)
OPSET = 20


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A file of one of `FORMATS`. Without `check` it is neither verified nor timed."""

    format: str
    path: Path
    opset: int = OPSET
    check: bool = True
    force: bool = False

    def validate(self) -> None:
        """Raise a UserError, before any work is done, if the request cannot succeed."""
        path = safe_text(self.path)
        if self.format not in FORMATS:
            raise UsageError(f"--to {safe_text(self.format)}: must be one of {', '.join(FORMATS)}")
        if self.opset not in OPSETS:
            raise UsageError(f"--opset {self.opset}: must be from {OPSETS[0]} to {OPSETS[-1]}")
        if self.path.suffix.lower() != f".{self.format}":
            raise UsageError(f"{path}: the file of --to {self.format} must end in .{self.format}")
        if not self.path.parent.is_dir():
            raise UserError(f"{path}: there is no folder {safe_text(self.path.parent)}")
        if self.path.is_dir():
            raise UserError(f"{path}: is a folder; name a file in it")
        sidecars = [sidecar_path(self.path)] if self.format == PTH else []
        for file in (self.path, *sidecars):
            if file.exists() and not self.force:
                raise UserError(f"{safe_text(file)}: already exists; --force overwrites it")


def sidecar_path(path: Path) -> Path:
    """The JSON file beside a `.pth` that describes it: bare weights have no metadata."""
    return path.with_name(f"{path.name}.json")
