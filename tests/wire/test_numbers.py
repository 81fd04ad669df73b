"""Numbers as the original server reads them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.wire.kt_binary import NEVER_XT
from kt_core.wire.numbers import parse_integer, parse_real, parse_xt

INTEGERS = [
    (b"", 0),
    (b"abc", 0),
    (b"1.9", 1),
    (b"10abc", 10),
    (b"0x10", 0),
    (b"  \t-5 ", -5),
    (b"+7", 7),
    (b"- 7", 0),
    (b"--7", 0),
    (b"007", 7),
    (b"\xb2", 0),
    (b"1_000", 1),
    (b"18446744073709551626", 10),
    (b"9223372036854775807", (1 << 63) - 1),
    (b"9223372036854775808", -(1 << 63)),
    (b"-9223372036854775809", (1 << 63) - 1),
    (b"9" * 100_000, int("9" * 64) % (1 << 64) - (1 << 64)),
]


@pytest.mark.parametrize(("text", "number"), INTEGERS)
def test_integers(text: bytes, number: int) -> None:
    assert parse_integer(text) == number


@given(st.integers())
def test_integers_wrap(number: int) -> None:
    wrapped = parse_integer(b" %d and more" % number)
    assert (wrapped - number) % (1 << 64) == 0
    assert -(1 << 63) <= wrapped < 1 << 63


REALS = [
    (b"", 0.0),
    (b"abc", 0.0),
    (b".", 0.0),
    (b"1.5x", 1.5),
    (b" -0.25", -0.25),
    (b"+.5", 0.5),
    (b"7.", 7.0),
    (b"1e2", 100.0),
    (b"1E-2", 0.01),
    (b"1e", 1.0),
    (b"1e+", 1.0),
    (b"1e00000012", 1e12),
    (b"1e99999999999", math.inf),
    (b"-1e-99999999999", 0.0),
    (b"inf", math.inf),
    (b"-Infinity", -math.inf),
    (b"1" + b"0" * 100_000, math.inf),
    (b"0" * 100_000 + b"1", 1.0),
    # Digits beyond the sixteenth are dropped; the zeros of a fraction count as digits.
    (b"123456789.123456789", 123456789.1234567),
    (b"0.00000000000000019", 0.0000000000000001),
    (b"0.1234567890123456999", 0.1234567890123456),
    (b"12345678901234567.9", 12345678901234567.0),
]


@pytest.mark.parametrize(("text", "number"), REALS)
def test_reals(text: bytes, number: float) -> None:
    assert parse_real(text) == number


@pytest.mark.parametrize("text", [b"nan", b" -NaN", b"nanx"])
def test_no_number_is_one_too(text: bytes) -> None:
    assert math.isnan(parse_real(text))


@given(st.binary())
def test_any_text_is_a_number(text: bytes) -> None:
    assert isinstance(parse_integer(text), int)
    assert isinstance(parse_real(text), float)


@pytest.mark.parametrize(
    ("text", "xt"), [(None, NEVER_XT), (b"", 0), (b"never", 0), (b"100", 100), (b"-1795295478", -1795295478)]
)
def test_expiries(text: bytes | None, xt: int) -> None:
    assert parse_xt(text) == xt
