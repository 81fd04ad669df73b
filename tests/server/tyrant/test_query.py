"""Searches: how their words are read, and texts compared; what they find is in the recordings."""

from __future__ import annotations

import pytest

from kt_core.server.tyrant import query
from kt_core.server.tyrant.numbers import decimal, parse_real
from kt_core.server.tyrant.records import expression
from kt_core.server.tyrant.words import normalize, phrases


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"", 0),
        (b"5", 5),
        (b" -5.5x", -5.5),
        (b".5", 0.5),
        (b"1e3", 1),
        (b"abc", 0),
        (b"inf", float("inf")),
        (b"+1", 1),
    ],
)
def test_numbers_in_texts(text: bytes, number: float) -> None:
    assert parse_real(text) == number


def test_a_number_of_any_length_is_read_at_once() -> None:
    assert parse_real(b"9" * 1_000_000) == float("inf")


@pytest.mark.parametrize(
    ("number", "text"),
    [(5, b"5"), (100, b"100"), (0.5, b"0.5"), (-0.25, b"-0.25"), (1e-9, b"0")],
)
def test_numbers_as_texts(number: float, text: bytes) -> None:
    assert decimal(number) == text


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        (b"", []),
        (b"red", [[b"red"]]),
        (b"red blue", [[b"red"], [b"blue"]]),
        (b"red && blue", [[b"red"], [b"blue"]]),
        (b"red || blue green", [[b"red", b"blue"], [b"green"]]),
        (b'"deep red"||Blue', [[b"deep red", b"blue"]]),
        (b"|| red", [[b"red"]]),
        (b'"red', [[b"red"]]),
    ],
)
def test_expressions_of_words(text: bytes, groups: list[list[bytes]]) -> None:
    assert phrases(text) == groups


def test_words_are_compared_without_case_accents_and_widths() -> None:
    assert normalize("  ÉTÉ  \uff21bc ".encode()) == b"ete abc"


def test_case_is_ignored_and_classes_stay_what_they_are() -> None:
    for pattern, text, found in (
        (b"*^aB$", b"Ab", True),
        (b"*\\S", b" ", False),
        (b"*[[:upper:]]", b"a", True),
        (b"ab", b"AB", False),
        (b"^$", b"\0more", True),
    ):
        search = expression(pattern)
        assert search is not None
        assert bool(search(text)) is found, pattern
    assert expression(b"*(") is None


def test_words_that_are_unknown_change_nothing() -> None:
    nothing = query.parse([])
    for argument in (
        b"",
        b"foo",
        b"addcond",
        b"addcond\0x\0STREQ",
        b"addcond\0x\0none\0y",
        b"setorder\0x",
        b"setlimit",
    ):
        assert query.parse([argument]) == nothing


def test_every_operator_has_a_number_and_a_name() -> None:
    assert len(query.OPERATORS) == 19
    for number, name in enumerate(query.OPERATORS):
        for operator in (str(number), name, name.lower(), "~" + name, "+" + str(number)):
            (condition,) = query.parse([f"addcond\0c\0{operator}\0x".encode()]).queries[0].conditions
            assert condition.negated == operator.startswith("~")


def test_rows_that_lack_the_column_come_last() -> None:
    rows = [(b"a", {}), (b"b", {b"n": b"2"}), (b"c", {b"n": b"10"})]
    for order, keys in (("NUMASC", "bca"), ("NUMDESC", "cba"), ("STRASC", "cba"), ("STRDESC", "bca")):
        found = query.parse([f"setorder\0n\0{order}".encode()]).select(rows)
        assert b"".join(key for key, _ in found) == keys.encode()
