"""POSIX expressions find what the C library, whose dialect they are, finds."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kt_core.database.posix import compile_posix
from kt_core.errors import InvalidInput


@cache
def c_search(pattern: bytes) -> Callable[[bytes], bool] | None:
    """The C library's own search for an extended expression, or None where it refuses the expression."""
    extended = 1
    library = ctypes.CDLL(None)
    compiled = ctypes.create_string_buffer(1024)  # several times the size of any regex_t
    if library.regcomp(compiled, pattern, extended) != 0:
        return None
    return lambda text: library.regexec(compiled, text, 0, None, 0) == 0


ATOMS = [
    *(b"a", b"b", b"1", b"-", b" ", b".", b"^a", b"b$", b"^", b"$", rb"\.", rb"\$", rb"\\", rb"\[", rb"\]", rb"\-"),
    *(
        b"[ab]",
        b"[^a]",
        b"[a-c]",
        b"[^a-c1]",
        b"[]a]",
        b"[^]a]",
        b"[a-]",
        b"[-a]",
        rb"[\]",
        rb"[\a]",
        rb"[^\]",
        b"[a^]",
    ),
    *(b"[$]", b"[.]", b"[[]", b"[a[]", b"[a[b]", b"[&&]", b"[a||b]", b"[a~~b]", b"[|]", b"[(]", b"[*]", b"[%--]"),
    *(b"[[:alpha:]]", b"[[:digit:]]", b"[[:alnum:]]", b"[[:upper:]]", b"[[:lower:]]", b"[[:space:]]", b"[[:blank:]]"),
    *(b"[[:punct:]]", b"[[:print:]]", b"[[:graph:]]", b"[[:cntrl:]]", b"[[:xdigit:]]", b"[^[:alpha:]]"),
    *(b"[a[:digit:]]", b"[[:digit:]a]", b"[[:digit:][:space:]-]", rb"\w", rb"\W", rb"\s", rb"\S", rb"\b"),
    *(b"[[.a.]]", b"[[.-.]b]", b"[[.[.]]", b"[[=a=]b]", b"[[.a.]-c]", rb"\<", rb"\>", rb"\`", rb"\'", rb"\a", rb"\{"),
]
QUANTIFIERS = [b"", b"", b"*", b"+", b"?", b"{2}", b"{1,2}", b"{1,}", b"{0}", b"{0,1}", b"{,2}"]
TEXTS = st.text("abcA1-.^$[]\\(|&~% \t\n_*", max_size=6).map(str.encode)


def _quantified(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    groups = inner.map(lambda body: b"(" + body + b")")
    return st.one_of(
        st.builds(bytes.__add__, groups, st.sampled_from(QUANTIFIERS)),
        st.builds(bytes.__add__, inner, inner),
        st.builds(lambda left, right: left + b"|" + right, inner, inner),
    )


EXPRESSIONS = st.recursive(st.sampled_from(ATOMS), _quantified, max_leaves=6)


@given(EXPRESSIONS, st.lists(TEXTS, min_size=1, max_size=5))
def test_an_expression_finds_what_the_c_library_finds(pattern: bytes, texts: list[bytes]) -> None:
    judge = c_search(pattern)
    assert judge is not None
    found = compile_posix(pattern).search
    assert [found(text) is not None for text in texts] == [judge(text) for text in texts]


@pytest.mark.parametrize("atom", ATOMS)
def test_an_atom_finds_what_the_c_library_finds(atom: bytes) -> None:
    judge = c_search(atom)
    assert judge is not None
    found = compile_posix(atom).search
    for text in [b"", *(bytes([byte]) for byte in range(1, 128)), b"ab", b"ba", b"a b", b"a\n", b"a\nb", b"b\n"]:
        assert (found(text) is not None) is judge(text), text


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (b"a++b", b"aab"),
        (b"a++a", b"aa"),
        (b"a*+a", b"aa"),
        (b"a?+a", b"a"),
        (b"a{1,2}+a", b"aa"),
        (b"a**b", b"aab"),
        (b"a+*b", b"b"),
        (b"a{2}{2}b", b"aaaab"),
        (b"^a*?b$", b"aab"),
        (b"a+?b", b"aab"),
    ],
)
def test_a_quantifier_may_follow_another(pattern: bytes, text: bytes) -> None:
    """Where Python's dialect has possessive or lazy quantifiers, or an error, POSIX repeats the repeated."""
    judge = c_search(pattern)
    assert judge is not None
    assert judge(text)
    assert compile_posix(pattern).search(text)


@pytest.mark.parametrize("pattern", [rb"(a)\1", rb"(a)(b)\2\1", rb"^(a|b)\1$", rb"((a)b)\2", rb"(a*)\1b", rb"(a)\10"])
def test_a_group_can_be_referred_to(pattern: bytes) -> None:
    judge = c_search(pattern)
    assert judge is not None
    found = compile_posix(pattern).search
    for text in (b"aa", b"abba", b"bb", b"ab", b"aba", b"aab", b"b", b"aa0", b"a0"):
        assert (found(text) is not None) is judge(text), text


@pytest.mark.parametrize(("pattern", "text"), [(b"a)", b"a)"), (b")", b")"), (b"(a))+", b"a))"), (b"a}]", b"a}]")])
def test_what_closes_nothing_means_itself(pattern: bytes, text: bytes) -> None:
    judge = c_search(pattern)
    assert judge is not None
    assert judge(text)
    assert compile_posix(pattern).search(text)


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            b"(?i)key",
            b"(?:key)",
            b"a(?=b)",
            b"(",
            b"(a",
            b"[a",
            b"[",
            b"[]",
            b"[^]",
            b"*a",
            b"+",
            b"?",
            b"(*a)",
            b"a|*b",
        ),
        *(
            b"key\\",
            b"[[:nothing:]]",
            b"[[:alpha:]",
            b"[[:ALPHA:]]",
            b"[z-a]",
            b"a{2,1}",
            b"a{99999999999}",
            b"(|*)",
            b"a{b",
            b"a{}",
            rb"\1",
            rb"(a)\2",
            rb"(a\1)",
            b"[[.a",
            b"[a-[:digit:]]",
            b"[[:",
            b"{",
            b"[]--",
        ),
    ],
)
def test_what_is_none_is_refused(pattern: bytes) -> None:
    assert c_search(pattern) is None
    with pytest.raises(InvalidInput):
        compile_posix(pattern)


FRAGMENTS = st.lists(
    st.sampled_from([*b"ab019[](){}|*+?^$.\\-:=,&~<>'`#\xe9\xff", *(ord(letter) for letter in "wWsSbBdDAZnx")]),
    max_size=12,
).map(bytes)


@given(FRAGMENTS)
@example(b"[[.a.]]")
@example(b"[[=a=]]")
@example(b"a{4294967296}")
@example(b"(" * 150)
def test_any_bytes_are_an_expression_or_refused(pattern: bytes) -> None:
    """And nothing else: no warning, and no error of another kind."""
    with contextlib.suppress(InvalidInput):
        compile_posix(pattern).search(b"ab01")


def test_nested_deeper_than_the_stack_is_refused() -> None:
    with pytest.raises(InvalidInput):
        compile_posix(b"(" * 100_000 + b")" * 100_000)
