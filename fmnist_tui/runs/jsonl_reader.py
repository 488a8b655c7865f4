"""Reads a file of JSON lines while another thread or process appends to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from fmnist_tui.protocol.events import EVENTS, Event
from fmnist_tui.protocol.json_codec import DecodeError, JsonCodec, UnknownKindError
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

Message = TypeVar("Message")

CHUNK = 1 << 18
# No line is longer, not even the confusion matrix of a thousand classes.
LINE_LIMIT = 1 << 23


class JsonlReader(Generic[Message]):
    """Reads each complete line of a growing file once, in order.

    Keeps an offset only. A last line without a newline is left until it is complete, or
    until the writer has replaced it. `invalid_lines` counts lines that hold no message;
    kinds of a later version are skipped silently.
    """

    def __init__(self, path: Path, codec: JsonCodec[Message], offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.invalid_lines = 0
        self._decode = codec.decode
        self._scanned = 0

    def read(self, limit: int | None = None) -> list[Message]:
        """The next messages, at most `limit`; none if there is no file yet."""
        try:
            with self.path.open("rb", buffering=0) as file:
                return self._read(file.fileno(), limit)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(f"cannot read {safe_text(self.path)}: {format_error(error)}") from error

    def _read(self, descriptor: int, limit: int | None) -> list[Message]:
        # If the file was truncated from outside, everything appended from here on is new.
        self.offset = min(self.offset, os.fstat(descriptor).st_size)
        messages: list[Message] = []
        while limit is None or len(messages) < limit:
            lines = self._read_block(descriptor).split(b"\n")
            lines.pop()
            if not lines:
                break
            if limit is not None:
                del lines[limit - len(messages) :]
            self.offset += sum(map(len, lines)) + len(lines)
            self._decode_into(messages, lines)
        return messages

    def _decode_into(self, messages: list[Message], lines: list[bytes]) -> None:
        decode, add = self._decode, messages.append
        for line in lines:
            # Without asking the decoder, which takes its time to refuse.
            if not line.startswith(b"{"):
                self.invalid_lines += 1
                continue
            try:
                add(decode(line))
            except UnknownKindError:
                pass
            except DecodeError:
                self.invalid_lines += 1

    def _read_block(self, descriptor: int) -> bytes:
        """The next bytes, up to a newline at least if there is one."""
        size = CHUNK
        while True:
            block = os.pread(descriptor, size, self.offset)
            if b"\n" in block or len(block) < size:
                return block
            if size < LINE_LIMIT:
                size *= 2
            elif self._skip_line(descriptor):
                size = CHUNK
            else:
                return b""

    def _skip_line(self, descriptor: int) -> bool:
        """Skip a line that is too long, once it is complete; whether it was."""
        offset = max(self._scanned, self.offset + LINE_LIMIT)
        while block := os.pread(descriptor, CHUNK, offset):
            newline = block.find(b"\n")
            if newline >= 0:
                self.invalid_lines += 1
                self.offset = offset + newline + 1
                return True
            offset += len(block)
        self._scanned = offset
        return False


class EventReader(JsonlReader[Event]):
    """Reads the `events.jsonl` of a run."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        super().__init__(path, EVENTS, offset)

    def read_all(self, batch: int = 10_000) -> Iterator[Event]:
        """The events up to the end of the file, read in bounded memory."""
        while events := self.read(batch):
            yield from events

    def replay_into(self, state: RunState, batch: int = 10_000) -> None:
        """Apply the events up to the end of the file."""
        for event in self.read_all(batch):
            state.apply(event)
        state.unreadable_lines = self.invalid_lines


def replay(path: Path) -> RunState:
    """The state after all events in the file."""
    state = RunState()
    EventReader(path).replay_into(state)
    return state


def find_end_of_lines(descriptor: int) -> int:
    """The offset after the last newline of a file; 0 if there is none."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - CHUNK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
