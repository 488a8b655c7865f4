"""Elements: nothing that is put into one becomes markup."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.report.html import join, lines, tag, text
from tests.unit.report.support import Parsed

ANYTHING = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("<>&\"'=/\x1b\u202e\ud800")
)


@given(ANYTHING, ANYTHING)
def test_no_text_becomes_markup(inside: str, value: str) -> None:
    parsed = Parsed(tag("p", inside, title=value))
    assert parsed.tags == [("p", ("title",))]
    assert not parsed.unbalanced and not parsed.open
    "".join(parsed.texts).encode("utf-8")


def test_names_with_underscores_are_those_of_html() -> None:
    made = tag("th", "a", scope="col", class_="b", aria_label="c", data_x=None)
    assert made == '<th scope="col" class="b" aria-label="c">a</th>'


def test_elements_within_elements_stay_elements_and_void_ones_have_no_end() -> None:
    made = tag("p", tag("b", 1), None, " & ", [tag("i", "x"), text("<")], tag("br"))
    assert made == "<p><b>1</b> &amp; <i>x</i>&lt;<br></p>"


def test_lines_stay_lines_without_their_controls() -> None:
    assert lines("a\n<b>\x1b") == "a\n&lt;b&gt;␛"
    assert join("a\nb") == "a␊b"
