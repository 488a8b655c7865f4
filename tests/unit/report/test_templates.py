"""Templates: no value becomes markup."""

from __future__ import annotations

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.report.page import templates
from fmnist_tui.report.provenance import SettingsSection
from tests.unit.report.support import Parsed

ANY_TEXT = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("<>&\"'=/\x1b\u202e\ud800")
)
PARAGRAPH = templates().from_string('<p title="{{ title }}">{{ text }}</p>')


@given(ANY_TEXT, ANY_TEXT)
def test_markup_in_text_is_escaped(text: str, title: str) -> None:
    parsed = Parsed(PARAGRAPH.render(text=text, title=title))
    assert parsed.tags == [("p", ("title",))]
    assert not parsed.unbalanced and not parsed.open
    "".join(parsed.texts).encode("utf-8")


def test_control_characters_are_visible_and_markup_is_text() -> None:
    html = PARAGRAPH.render(text="a\n<b>\x1b", title='"')
    assert html == '<p title="&#34;">a␊&lt;b&gt;␛</p>'


def test_coordinates_are_short() -> None:
    assert PARAGRAPH.render(text=1.26, title=2.04) == '<p title="2">1.3</p>'


def test_the_lines_of_a_config_stay_lines_without_control_characters() -> None:
    template = templates().get_template("sections/settings.html.jinja")
    html = template.render(content=SettingsSection(None, ["a", "<b>\x1b"]))
    assert "<pre>\na\n&lt;b&gt;␛\n</pre>" in html


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="title"):
        PARAGRAPH.render(text="a")
