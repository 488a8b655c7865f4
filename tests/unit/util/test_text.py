"""Safe text, and error messages."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.util.errors import UsageError, UserError, did_you_mean, format_error
from fmnist_tui.util.text import safe_lines, safe_text, without_controls
from tests.unit.support import PROPERTY, TEXTS


@PROPERTY
@given(TEXTS)
def test_control_bidi_and_surrogate_characters_are_escaped(text: str) -> None:
    safe = safe_text(text)
    assert not {unicodedata.category(char) for char in safe} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(char) for char in safe} & {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    }  # fmt: skip
    safe.encode()


@PROPERTY
@given(TEXTS, st.integers(0, 20))
def test_a_limit_is_respected_and_safe_text_is_unchanged(text: str, limit: int) -> None:
    safe = safe_text(text, limit)
    assert len(safe) <= limit
    assert safe_text(safe) == safe


def test_every_format_character_except_a_non_joiner_is_made_visible() -> None:
    let_through = {
        chr(code)
        for code in range(0x110000)
        if unicodedata.category(chr(code)) == "Cf" and safe_text(chr(code)) == chr(code)
    }
    # These are visible: signs around Arabic, Kaithi and Egyptian numbers and words,
    # and the strokes of shorthand.
    drawn = {
        char
        for char in let_through
        if any(
            word in unicodedata.name(char)
            for word in ("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN", "SHORTHAND")
        )
    }
    assert let_through == {"\u200c"} | drawn


def test_a_shortened_text_has_both_ends() -> None:
    assert safe_text("abcdefghij", 5) == "ab…ij"
    assert safe_text("abcdefghij", 4) == "ab…j"
    assert safe_text("abcde", 5) == "abcde"
    assert [safe_text("abc", limit) for limit in (0, 1, 2)] == ["", "…", "a…"]


def test_escape_newline_and_delete_become_visible_symbols() -> None:
    assert safe_text("a\x1b[2J\nb\x7f\x9b") == "a␛[2J␊b␡�"


def test_paths_that_are_not_utf8_can_be_shown() -> None:
    assert safe_text(Path(b"boot\xff.png".decode("utf-8", "surrogateescape"))) == "boot�.png"


def test_similar_names_are_suggested_and_others_are_not() -> None:
    assert did_you_mean("two-cnv", ["two-conv", "linear"]) == '; did you mean "two-conv"?'
    assert did_you_mean("TWO-CONV", ["Two-Conv"]) == '; did you mean "Two-Conv"?'
    assert did_you_mean("zebra", ["two-conv", "linear"]) == ""
    assert did_you_mean("conv", ["conv1", "conv2"]) in (
        '; did you mean "conv1" or "conv2"?',
        '; did you mean "conv2" or "conv1"?',
    )


def test_suggestions_and_reasons_are_safe_text() -> None:
    assert did_you_mean("boots", ["boots\x1b[2J"]) == '; did you mean "boots␛[2J"?'
    assert format_error(ValueError("bad\x1b[2J  line\nhere")) == "bad␛[2J line here"
    missing = FileNotFoundError(2, "No such file or directory", "a\x1b\nb")
    assert format_error(missing) == "No such file or directory: a␛␊b"


def test_reasons_of_exceptions() -> None:
    assert format_error(OSError(28, "No space left on device")) == "No space left on device"
    assert format_error(FileNotFoundError(2, "No such file", b"\xff.png")) == "No such file: �.png"
    assert format_error(KeyError()) == "KeyError"
    with pytest.raises(OSError) as caught:
        Path("/nowhere/at/all").read_bytes()
    assert format_error(caught.value) == "No such file or directory: /nowhere/at/all"


def test_a_usage_error_is_a_user_error_with_its_own_exit_code() -> None:
    assert issubclass(UsageError, UserError)
    assert (UserError.exit_code, UsageError.exit_code) == (1, 2)


def test_text_is_as_wide_as_the_sum_of_its_characters() -> None:
    # Terminals that join emoji and those that do not draw it alike.
    assert safe_text("👩\u200d🔬 ❤\ufe0f 👍\U0001f3fd \U0001f1e9\U0001f1ea") == "👩\u200c🔬 ❤ 👍 DE"
    assert safe_text("a\u200db") == "a\u200cb"


def test_a_character_has_at_most_a_few_marks() -> None:
    assert safe_text("Vie\u0323\u0302t") == "Vie\u0323\u0302t"
    assert safe_text("a" + "\u0301" * 500 + "b\u0301") == "a" + "\u0301" * 6 + "b\u0301"
    assert safe_text("─" * 40 + "…" * 9) == "─" * 40 + "…" * 9


def test_without_controls_keeps_what_only_its_width_is_unsure_of() -> None:
    assert without_controls("\x1b👍\U0001f3fd\u200d\ufe0f\udcff") == "␛👍\U0001f3fd\u200d\ufe0f�"


def test_lines_stay_lines() -> None:
    assert safe_lines("a\x1b\nb\n") == "a␛\nb\n"
