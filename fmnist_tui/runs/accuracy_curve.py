"""The accuracy of a run by epoch, read from its events without decoding the rest of them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from fmnist_tui.protocol.events import EVENTS, EpochEnded, Event, Progress, RunStarted, TrialEnded
from fmnist_tui.protocol.json_codec import DecodeError
from fmnist_tui.runs.folder import RunFolder

_BLOCK = 1 << 20
_EPOCHS = re.compile(rb'^\{"is":"(?:EpochEnded|RunStarted|TrialEnded)".*$', re.MULTILINE)
_PROGRESS = re.compile(rb'^\{"is":"Progress".*$', re.MULTILINE)
# Of a run of one epoch the training accuracy is shown, at this many steps at most.
_STEPS = 256


@dataclass(slots=True)
class AccuracyCurve:
    """Reads on where it stopped: a live run costs only its new events.

    `values` are validation accuracies by epoch, and of a sweep the best so far by trial; of a run
    of one epoch they are training accuracies by step."""

    folder: RunFolder
    _offset: int = 0
    _epochs: dict[int, float | None] = field(default_factory=dict)
    # Of the Progress lines so far, every so-manyth.
    _progress: list[bytes] = field(default_factory=list)
    _every: int = 1
    _seen: int = 0

    @property
    def values(self) -> tuple[float, ...]:
        epochs = tuple(value for _, value in sorted(self._epochs.items()) if value is not None)
        if len(epochs) > 1:
            return epochs
        steps = (_decode(line) for line in self._progress)
        accuracies = [event.accuracy for event in steps if isinstance(event, Progress)]
        return tuple(value for value in accuracies if value is not None) or epochs

    @property
    def size(self) -> int:
        """The bytes read so far."""
        return self._offset

    def read(self) -> None:
        """Read on to the last complete line; OSError if that fails."""
        with self.folder.events.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size < self._offset:
                self._offset = 0
                self._epochs.clear()
                self._progress.clear()
            for block in self._blocks(file.fileno()):
                for line in _EPOCHS.findall(block):
                    self._apply(_decode(line))
                if len(self._epochs) > 1:
                    self._progress.clear()
                else:
                    for line in _PROGRESS.findall(block):
                        self._add_step(line)

    def _add_step(self, line: bytes) -> None:
        if self._seen % self._every == 0:
            self._progress.append(line)
        self._seen += 1
        if len(self._progress) > _STEPS:
            del self._progress[1::2]
            self._every *= 2

    def _blocks(self, descriptor: int) -> Iterator[bytes]:
        """Whole lines, many at a time."""
        while True:
            block = os.pread(descriptor, _BLOCK, self._offset)
            end = block.rfind(b"\n") + 1
            if not end:
                # A line longer than a block has no accuracy.
                if len(block) < _BLOCK:
                    return
                end = len(block)
            self._offset += end
            yield block[:end]

    def _apply(self, event: Event | None) -> None:
        match event:
            case EpochEnded():
                self._epochs[event.step] = event.val_accuracy
            case TrialEnded():
                self._epochs[event.done] = event.best
            case RunStarted():
                # What a resumed run trains again.
                self._epochs = {s: value for s, value in self._epochs.items() if s <= event.step}


def _decode(line: bytes) -> Event | None:
    with contextlib.suppress(DecodeError):
        return EVENTS.decode(line)
    return None
