"""Globs fit what they fit in Redis, and say how the keys that fit begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_cache.patterns import compile_glob, escape_glob

# Each glob, texts that it fits, and texts that it does not: as Redis 7.0 has it.
GLOBS: dict[str, tuple[list[str], list[str]]] = {
    "": ([""], ["a"]),
    "abc": (["abc"], ["", "ab", "abcd", "ABC", "xabc"]),
    "*": (["", "a", "*", "a\nb", "a/b"], []),
    "a*": (["a", "ab", "a*", "a\n"], ["", "ba"]),
    "*a": (["a", "ba", "aa"], ["", "ab"]),
    "a*b": (["ab", "axb", "aabb"], ["a", "b", "abc"]),
    "a**b": (["ab", "axxb"], ["a"]),
    "*a*b*": (["ab", "xaxbx"], ["ba", "a", "b"]),
    "*ab*ba*": (["abba", "xabxbax"], ["aba", "ab", "ba"]),
    "?": (["a", "?", "\n"], ["", "ab"]),
    "a?c": (["abc", "a?c", "a\nc"], ["ac", "abbc"]),
    "??*": (["ab", "abc"], ["", "a"]),
    "*?": (["a", "ab"], [""]),
    "[ab]": (["a", "b"], ["", "c", "ab", "[ab]"]),
    "x[ab]y": (["xay", "xby"], ["xy", "xcy", "xaby"]),
    "[a-c]": (["a", "b", "c"], ["d", "-", ""]),
    "[c-a]": (["a", "b", "c"], ["d", "-"]),
    "[a-a]": (["a"], ["b", "-"]),
    "[0-9a-f]*": (["0", "f12"], ["g", ""]),
    "[^a]": (["b", "^", "\n"], ["a", "", "bb"]),
    "[^a-c]": (["d", "-"], ["a", "b", "c"]),
    "[a^]": (["a", "^"], ["b"]),
    "[!a]": (["!", "a"], ["b"]),
    "[a*]": (["a", "*"], ["", "ab"]),
    "[?]": (["?"], ["a"]),
    "[.]": (["."], ["a"]),
    "[[]": (["["], ["]", "[["]),
    "[a&&b]": (["a", "&", "b"], ["c"]),
    "[\\]]": (["]"], ["\\", "a"]),
    "[\\^a]": (["^", "a"], ["b", "\\"]),
    "[a\\-c]": (["a", "-", "c"], ["b", "\\"]),
    "[\\\\]": (["\\"], ["a"]),
    "[-a]": (["-", "a"], ["b"]),
    "[]": ([], ["", "]", "[]"]),
    "[]a]": ([], ["]", "a", "]a]", "a]"]),
    "[^]": (["a", "]", "^"], ["", "aa"]),
    "[a-]": (["a", "]", "^"], ["-", "b"]),
    "[a-]b]": (["a", "]", "b"], ["-", "ab]", "c"]),
    "[ab": (["a", "b"], ["[ab", "ab", "c"]),
    "[^ab": (["c", "["], ["a", "b", "[^ab"]),
    "[": ([], ["[", ""]),
    "[^": (["a", "["], ["", "[^"]),
    "[a-": (["a", "-"], ["b", "[a-"]),
    "[a\\": (["a", "\\"], ["[a\\"]),
    "a]": (["a]"], ["a"]),
    "\\*": (["*"], ["a", "\\*", ""]),
    "\\?": (["?"], ["a"]),
    "\\[a]": (["[a]"], ["a"]),
    "\\a": (["a"], ["\\a"]),
    "\\\\": (["\\"], ["\\\\"]),
    "a\\": (["a\\"], ["a"]),
    "a.c": (["a.c"], ["abc"]),
    "a+(b|c){2}$^": (["a+(b|c){2}$^"], ["aab"]),
    "user:*:name": (["user:1:name", "user::name", "user:1:2:name"], ["user:1", "user:name"]),
}

any_text = st.text(st.sampled_from("ab*?[]\\^-.\n\0é"), max_size=12) | st.text(max_size=12)


def fits(glob: str, text: str, head: str = "") -> bool:
    pattern = compile_glob(glob, head)
    return text.startswith(pattern.prefix) and (pattern.fits is None or bool(pattern.fits(text)))


@pytest.mark.parametrize("glob", GLOBS)
def test_a_glob_fits_what_it_fits_in_redis(glob: str) -> None:
    good, bad = GLOBS[glob]
    assert [text for text in good if not fits(glob, text)] == []
    assert [text for text in bad if fits(glob, text)] == []


@pytest.mark.parametrize("glob", GLOBS)
def test_behind_a_head_it_fits_the_same(glob: str) -> None:
    head = "*?[a]\\:1:"
    good, bad = GLOBS[glob]
    assert [text for text in good if not fits(glob, head + text, head)] == []
    assert [text for text in bad if fits(glob, head + text, head)] == []
    assert not any(fits(glob, text, head) for text in good)


@pytest.mark.parametrize(
    ("glob", "prefix"),
    [
        ("", ""), ("abc", "abc"), ("abc*", "abc"), ("a\\*b*c", "a*b"), ("*abc", ""), ("a?c", "a"), ("a[b]c", "a"),
        ("a\\", "a\\"), ("*", ""),
    ],
)  # fmt: skip
def test_the_prefix_is_as_long_as_can_be(glob: str, prefix: str) -> None:
    assert compile_glob(glob).prefix == prefix
    assert compile_glob(glob, head="x:*").prefix == "x:*" + prefix


@pytest.mark.parametrize(
    ("glob", "says_all"), [("*", True), ("a**", True), ("a", False), ("a*b", False), ("?*", False)]
)
def test_a_prefix_that_says_it_all_needs_no_comparison(glob: str, says_all: bool) -> None:
    assert (compile_glob(glob).fits is None) is says_all


@given(any_text, any_text, any_text)
def test_an_escaped_text_fits_itself_alone(text: str, head: str, other: str) -> None:
    assert fits(escape_glob(text), head + text, head)
    assert fits(escape_glob(text), head + other, head) is (text == other)
    assert compile_glob(escape_glob(text)).prefix == text


@given(any_text, any_text)
def test_an_escaped_text_can_be_a_part_of_a_glob(text: str, other: str) -> None:
    assert fits(f"*{escape_glob(text)}*", other + text + other)
    assert fits(f"*{escape_glob(text)}*", other) is (text in other)


@given(any_text, any_text)
def test_any_text_is_a_glob(glob: str, text: str) -> None:
    assert fits(glob, text) in (True, False)


def test_many_stars_do_not_take_for_ever() -> None:
    assert not fits("a*" * 40 + "b", "a" * 250)
    assert not fits("*a?" * 40 + "b", "a" * 250)


@given(any_text.filter(lambda glob: not set("?[") & set(glob)), any_text, any_text)
def test_keys_are_told_apart_in_utf_8_where_that_is_possible(glob: str, head: str, text: str) -> None:
    pattern = compile_glob(glob, head)
    for key in (text, head + text, head + glob, head + glob.replace("*", text)):
        encoded = key.encode("utf-8", "surrogatepass")
        if pattern.fits is not None and pattern.fits_encoded is not None:
            assert bool(pattern.fits_encoded(encoded)) is bool(pattern.fits(key))
        assert list(pattern.among(iter([encoded]))) == [encoded] * (fits(glob, key, head) or pattern.fits is None)


@pytest.mark.parametrize("glob", ["?", "[a]*", "a*[^é]"])
def test_characters_are_told_apart_once_they_are_decoded(glob: str) -> None:
    assert compile_glob(glob).fits_encoded is None
