"""What is to be exported where; free of torch, so that whoever asks for it may say so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.util.errors import UsageError, UserError
from fmnist_tui.util.text import safe_text

PTH, SAFETENSORS, ONNX = FORMATS = ("pth", "safetensors", "onnx")
# The versions of ONNX's operators that torch's exporter writes by itself and onnxruntime reads.
OPSETS = range(18, 24)
OPSET = 20


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A file of one of `FORMATS`. Without `check` it is neither compared nor timed."""

    to: str
    out: Path
    opset: int = OPSET
    check: bool = True
    force: bool = False

    def possible(self) -> None:
        """Refuse, before any work is done, what cannot come to a good end."""
        where = safe_text(self.out)
        if self.to not in FORMATS:
            raise UsageError(f"--to {safe_text(self.to)}: there are {', '.join(FORMATS)}")
        if self.opset not in OPSETS:
            raise UsageError(
                f"--opset {self.opset}: cannot be written, {OPSETS[0]} to {OPSETS[-1]} can"
            )
        if self.out.suffix.lower() != f".{self.to}":
            raise UsageError(f"{where}: the file of --to {self.to} must end in .{self.to}")
        if not self.out.parent.is_dir():
            raise UserError(f"{where}: there is no folder {safe_text(self.out.parent)}")
        if self.out.is_dir():
            raise UserError(f"{where}: is a folder; name a file in it")
        beside = [self.out.with_name(f"{self.out.name}.json")] if self.to == PTH else []
        for file in (self.out, *beside):
            if file.exists() and not self.force:
                raise UserError(f"{safe_text(file)}: exists already; --force overwrites it")
