"""Following a file of JSON lines that another thread or process appends to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Generic, TypeVar

from fmnist_tui.protocol.events import EVENTS, Event
from fmnist_tui.protocol.json_codec import DecodeError, JsonCodec, UnknownKindError
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

Thing = TypeVar("Thing")

CHUNK = 1 << 18
# No line of ours is longer, not even the confusion matrix of a thousand classes.
LINE_LIMIT = 1 << 23


class LineTail(Generic[Thing]):
    """What has been added to a file since the last look; every whole line once, in order.

    Only a place in the file is kept. A last line without its newline is left alone until
    it is whole, or until the writer has cut it off and written another in its place.
    `garbage` counts the lines that were not ours; kinds of a later version are passed
    over in silence.
    """

    def __init__(self, path: Path, vocabulary: JsonCodec[Thing], offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.garbage = 0
        self._decode = vocabulary.decode
        self._searched = 0

    def read(self, limit: int | None = None) -> list[Thing]:
        """The next things in the file, `limit` at most; none where there is no file yet."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            return self._read(descriptor, limit)
        except OSError as error:
            raise self._unreadable(error) from error
        finally:
            os.close(descriptor)

    def _unreadable(self, error: OSError) -> UserError:
        return UserError(f"cannot read {safe_text(self.path)}: {reason(error)}")

    def _read(self, descriptor: int, limit: int | None) -> list[Thing]:
        # A file that has become shorter than what was read of it was cut by a stranger:
        # what is added from here on is new.
        self.offset = min(self.offset, os.fstat(descriptor).st_size)
        found: list[Thing] = []
        while limit is None or len(found) < limit:
            lines = self._block(descriptor).split(b"\n")
            lines.pop()
            if not lines:
                break
            if limit is not None:
                del lines[limit - len(found) :]
            self.offset += sum(map(len, lines)) + len(lines)
            self._decode_into(found, lines)
        return found

    def _decode_into(self, found: list[Thing], lines: list[bytes]) -> None:
        decode, add = self._decode, found.append
        for line in lines:
            try:
                add(decode(line))
            except UnknownKindError:
                pass
            except DecodeError:
                self.garbage += 1

    def _block(self, descriptor: int) -> bytes:
        """Bytes from the present place on, with a newline in them unless none is there."""
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
        """Go past a line that no memory should have to hold, once its end is there."""
        place = max(self._searched, self.offset + LINE_LIMIT)
        while block := os.pread(descriptor, CHUNK, place):
            newline = block.find(b"\n")
            if newline >= 0:
                self.garbage += 1
                self.offset = place + newline + 1
                return True
            place += len(block)
        self._searched = place
        return False


class EventTail(LineTail[Event]):
    """The tail of a run's `events.jsonl`."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        super().__init__(path, EVENTS, offset)


def replay(path: Path, batch: int = 10_000) -> RunState:
    """The state that the events in the file add up to, in bounded memory."""
    state, tail = RunState(), EventTail(path)
    while events := tail.read(batch):
        for event in events:
            state.apply(event)
    return state


def end_of_whole_lines(descriptor: int) -> int:
    """The place after the last newline of a file; 0 where there is none."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - CHUNK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
