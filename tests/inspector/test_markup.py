"""Elements, and that nothing gets out of them."""

from __future__ import annotations

import pytest

from kt_cache.inspector.markup import Markup, element, join

HOSTILE = "<script>alert(\"1\" & '2')</script>"
ESCAPED = "&lt;script&gt;alert(&quot;1&quot; &amp; &#x27;2&#x27;)&lt;/script&gt;"


def test_an_element_has_attributes_and_children() -> None:
    assert element("a", "text", " ", 5, href="/x", class_="one two") == '<a href="/x" class="one two">text 5</a>'


def test_underlines_are_hyphens() -> None:
    assert element("p", aria_label="x") == '<p aria-label="x"></p>'


def test_an_attribute_may_be_left_out_or_bare() -> None:
    assert element("p", a=None, b=False, hidden=True, d=0, e="") == '<p hidden d="0" e=""></p>'


def test_a_void_element_has_no_end() -> None:
    assert element("input", name="x") == '<input name="x">'


def test_children_are_flattened() -> None:
    inner = (element("li", word) for word in ("a", "b"))
    assert element("ul", [inner, None], element("li", "c")) == "<ul><li>a</li><li>b</li><li>c</li></ul>"


def test_text_is_escaped() -> None:
    assert element("p", HOSTILE) == f"<p>{ESCAPED}</p>"
    assert join(HOSTILE, [HOSTILE]) == ESCAPED * 2


def test_attributes_are_escaped() -> None:
    assert element("p", title=HOSTILE) == f'<p title="{ESCAPED}"></p>'


@pytest.mark.parametrize("text", [Markup("<b>"), element("b")])
def test_markup_is_not_escaped_again(text: Markup) -> None:
    assert join(text) == text


def test_what_is_made_of_markup_is_text_again() -> None:
    assert join(Markup("<b>") + "") == "&lt;b&gt;"
