"""What a terminal sends becomes keys, pastes and mouse events, and nothing else does."""

from __future__ import annotations

import pytest
from textual import events
from textual.message import Message

from fmnist_tui.tui.terminal.input_decoder import InputDecoder

ESCAPE_S, PAUSE_S = 0.1, 1.0
Step = bytes | float


def decode(*steps: Step) -> str:
    """The events of what is read (bytes) and of silences (seconds), in words."""
    decoder, seen = InputDecoder(), list[str]()
    for step in steps:
        messages = decoder.wait(step) if isinstance(step, float) else decoder.feed(step)
        seen += map(in_words, messages)
    return " ".join(seen)


def in_words(message: Message) -> str:
    if isinstance(message, events.Key):
        return message.key
    return repr(message.text) if isinstance(message, events.Paste) else type(message).__name__


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([b"a\xffb"], "a replacement_character b"),
        ([b"\xc3", b"\xa9"], "é"),
        ([b"\xc3", b"q"], "replacement_character q"),
        ([b"\xc3\x1b[A"], "replacement_character up"),
        ([b"\xed\xa0\x80q"], "replacement_character " * 3 + "q"),
        ([b"\x00\x01"], "ctrl+@ ctrl+a"),
    ],
)
def test_a_byte_of_no_encoding_is_the_replacement_character(
    steps: list[Step], expected: str
) -> None:
    assert decode(*steps) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([b"\x1b", ESCAPE_S], "escape"),
        ([b"\x1b", b"[", b"A"], "up"),
        ([b"\x1b[1", ESCAPE_S, b";5A"], "ctrl+up"),
        ([b"\x1b]", ESCAPE_S, b"a"], "right_square_bracket a"),
        ([b"\x1bq"], "alt+q"),
        ([b"\x1b\x1b[B"], "escape down"),
        ([b"\x1b\xc3\xa9"], "escape é"),
        ([b"\x1b[7$\x1b[[A\x1bOP"], "shift+home f1 f1"),
        ([b"\x1b[97;5u"], "ctrl+a"),
        ([b"\x1b[<0;5;5M\x1b[<0;5;5m\x1b[I"], "MouseDown MouseUp AppFocus"),
    ],
)
def test_a_sequence_is_one_key_also_in_pieces(steps: list[Step], expected: str) -> None:
    assert decode(*steps) == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"\x1b[?62;22c",
        b"\x1b[0n",
        b"\x1b[>0;276;0c",
        b"\x1b[?1u",
        b"\x1b]11;rgb:0000/0000/0000\x1b\\",
        b"\x1b]52;c;cXFx\x07",
        b"\x1bP>|XTerm(390)\x1b\\",
        b"\x1b_Gi=1;OK\x1b\\",
        b"\x1bP" + b"q" * 20_000 + b"\x1b\\",
        b"\x1b[" + b"1;" * 5_000 + b"m",
        b"\x1b[M \xff\xe9",
        b"\x1b[M !\x71",
        b"\x1b[<35;400;20;1;1;1;1;1;1;1;1;1;1;1;1;1M",
        b"\x1b[99999999999u",
        b"\x1b[55296u",
        b"\x1b[48;60000;60000;1;1t",
    ],
    ids=lambda answer: repr(answer[:12]),
)
def test_what_is_no_key_types_none(answer: bytes) -> None:
    assert decode(answer + b"q") == "q"
    assert decode(*(bytes([byte]) for byte in answer[:40] + answer[-40:]), b"q")[-1] == "q"


@pytest.mark.parametrize("beginning", [b"\x1b[M ", b"\x1b[1;", b"\x1bP1$r", b"\x1b]0;title"])
def test_a_sequence_without_an_end_does_not_keep_the_keys_after_it(beginning: bytes) -> None:
    assert decode(beginning, PAUSE_S, b"q") == "q"
    assert decode(beginning, b"\x03").endswith("ctrl+c") or beginning == b"\x1b[M "


def test_a_paste_may_hold_anything_and_comes_in_pieces() -> None:
    steps = b"\x1b[200~q\xff\x00\x1b[A\x1b]", b"0\n\x1b[2", b"01~q"
    assert decode(*steps) == "'q\ufffd\\x1b[A\\x1b]0\\n' q"


def test_a_paste_without_an_end_ends_with_a_key_after_a_pause() -> None:
    assert decode(b"\x1b[200~path", PAUSE_S, b"q", b"\x03") == "'path' q ctrl+c"
    # One that stalls goes on.
    rest = b"/that/was/long/enough\x1b[201~q"
    assert decode(b"\x1b[200~path", PAUSE_S, rest) == "'path/that/was/long/enough' q"


def test_of_a_paste_of_ten_megabytes_the_beginning_is_kept() -> None:
    decoder = InputDecoder()
    data = b"\x1b[200~" + b"x" * (10 << 20) + b"\x1b[201~"
    pasted = [m for at in range(0, len(data), 4096) for m in decoder.feed(data[at : at + 4096])]
    assert len(pasted) == 1 and isinstance(pasted[0], events.Paste)
    assert len(pasted[0].text) < 2 << 20
    assert [in_words(message) for message in decoder.feed(b"q")] == ["q"]


def test_after_an_answer_that_ends_textuals_parser_keys_are_read() -> None:
    # A terminal that does not know the size of its cells; then a report in its pixels.
    steps = b"\x1b[48;36;120;0;0t", b"\x1b[<0;2;2M", b"q"
    assert decode(*steps) == "Resize q"
