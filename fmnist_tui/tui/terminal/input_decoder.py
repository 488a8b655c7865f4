"""What a terminal sends, from bytes to Textual's events.

Textual decodes strictly, takes an answer of the terminal that it does not know for typed keys, and
a paste without an end for one that lasts for ever. Here a byte of no encoding becomes the
replacement character, what is no key types none, and no sequence keeps the keys after it.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator

from textual import events
from textual._xterm_parser import XTermParser
from textual.message import Message

# The kinds of input, in the order in which they are tried; `partial` needs the next bytes.
_NEXT = re.compile(
    rb"""
      (?P<text> [^\x1b]+ )
    | (?P<paste> \x1b\[200~ )
    | (?P<mouse> \x1b\[M[\x20-\xff]{3} )                      # X10: button, column, row
    | (?P<rxvt> \x1b\[\d{1,2}\$ )                             # its shifted keys
    | (?P<partial> \x1b (?: \[ (?: M[\x20-\xff]{0,2} | \[ | [0-?]*[ -/]* ) | [O\]P^_X] )? \Z )
    | (?P<string> \x1b[\]P^_X] )                              # OSC, DCS, PM, APC, SOS
    | (?P<sequence> \x1b\[\[[A-E] | \x1b\[[0-?]*[ -/]*[@-~] ) # the first: F1 to F5 of Linux
    | (?P<broken> \x1b\[[0-?]+[ -/]* )
    | (?P<alt> \x1bO[ -~] | \x1b[\x00-\x1a\x1c-\x7f] )
    | (?P<escape> \x1b )
    """,
    re.VERBOSE | re.DOTALL,
)
_PASTE_END = re.compile(rb"\x1b\[201~")
# The end of a string or of a sequence that is too long, or what cannot be within one.
_STRING_END = re.compile(rb"\x07|\x1b\\|(?=[\x00-\x1a\x1c-\x1f]|\x1b[^\\])")
_SEQUENCE_END = re.compile(rb"[@-~]|(?=[\x00-\x1f])")
_LONGEST_END = 6
# Textual knows no sequence that is longer.
_LONGEST_SEQUENCE = 32
_LONGEST_PASTE = 1 << 20
_LONGEST_SIDE = 2_000
# After so long a silence, what is as short as a key ends a paste or string that has no end.
_SILENCE_S = 1.0
_LONGEST_KEY = 16


class InputDecoder:
    """Decodes the input of one terminal."""

    def __init__(self) -> None:
        self._parser = _Parser()
        self._decoder = getincrementaldecoder("utf-8")("replace")
        # The beginning of a sequence, or of what is skipped or pasted.
        self._waiting = bytearray()
        # What ends the paste or what is skipped, and how much of it has been searched.
        self._end: re.Pattern[bytes] | None = None
        self._searched = 0
        self._silence = 0.0

    @property
    def may_be_escape(self) -> bool:
        """Whether a silence would turn what is there into the escape key, or alt and a key."""
        return self._end is None and 0 < len(self._waiting) <= 2

    def feed(self, data: bytes) -> Iterator[Message]:
        """Decode what has been read."""
        silence, self._silence = self._silence, 0.0
        if self._end is not None and silence >= _SILENCE_S and len(data) <= _LONGEST_KEY:
            yield from self._leave(len(self._waiting), len(self._waiting))
        self._waiting += data
        while self._waiting:
            if self._end is None:
                found = _NEXT.match(self._waiting)
                if found is None or found.lastgroup == "partial":
                    if len(self._waiting) > _LONGEST_SEQUENCE:
                        self._skip_to(_SEQUENCE_END)
                        continue
                    return
                yield from self._take(str(found.lastgroup), found.end())
            else:
                found = self._end.search(self._waiting, self._searched)
                if found is None:
                    self._keep_searching()
                    return
                yield from self._leave(found.start(), found.end())

    def wait(self, seconds: float) -> Iterator[Message]:
        """Nothing has come for so long."""
        self._silence += seconds
        if self.may_be_escape:
            yield from self._parse(self._cut(len(self._waiting)).decode())
            yield from self._parser.finish()
        elif self._end is None and self._silence >= _SILENCE_S:
            # The rest of the sequence does not come.
            self._waiting.clear()

    def _take(self, kind: str, end: int) -> Iterator[Message]:
        data = self._cut(end)
        if kind == "text":
            yield from self._parse(self._decoder.decode(data))
            return
        yield from self._parse(self._decoder.decode(b"", final=True))
        self._decoder.reset()
        if kind == "paste":
            self._end, self._searched = _PASTE_END, 0
        elif kind == "string":
            self._skip_to(_STRING_END)
        elif kind in ("rxvt", "sequence") and len(data) <= _LONGEST_SEQUENCE:
            yield from self._parse(data.decode())
            for _ in self._parser.finish():
                pass  # an answer that Textual does not know, as keys
        elif kind in ("alt", "escape"):
            yield from self._parse(data.decode())
            yield from self._parser.finish()

    def _cut(self, end: int) -> bytes:
        data = bytes(self._waiting[:end])
        del self._waiting[:end]
        return data

    def _parse(self, text: str) -> Iterator[Message]:
        try:
            messages = list(self._parser.feed(text)) if text else []
        except Exception:  # noqa: BLE001
            # Numbers that Textual does not expect, as in the code of a key, have ended its parser.
            self._parser = _Parser()
            return
        for message in messages:
            if _is_usable(message):
                yield message

    def _skip_to(self, end: re.Pattern[bytes]) -> None:
        self._end, self._searched = end, 0
        if end is _SEQUENCE_END:
            self._waiting.clear()

    def _keep_searching(self) -> None:
        if self._end is _PASTE_END:
            del self._waiting[_LONGEST_PASTE:-_LONGEST_END]
            self._searched = max(0, len(self._waiting) - _LONGEST_END)
        else:
            del self._waiting[:-_LONGEST_END]

    def _leave(self, start: int, end: int) -> Iterator[Message]:
        """End the paste or what is skipped."""
        if self._end is _PASTE_END:
            text = self._waiting[:start].decode("utf-8", "replace")
            yield events.Paste(text.replace("\x00", ""))
        self._end = None
        del self._waiting[:end]


class _Parser(XTermParser):
    """Textual's parser of text, which here gets whole sequences."""

    def finish(self) -> Iterator[Message]:
        """Stop waiting for the rest of a sequence: what there is of it was typed."""
        if self._timeout_time is not None:
            self._timeout_time = 0.0
        yield from self.tick()


def _is_usable(message: Message) -> bool:
    """Whether it can be drawn: half a character cannot, nor a screen of no or of 10,000 lines."""
    if isinstance(message, events.Key) and message.character is not None:
        return not "\ud800" <= message.character <= "\udfff"
    if isinstance(message, events.Resize):
        return all(0 < length <= _LONGEST_SIDE for length in message.size)
    return True
