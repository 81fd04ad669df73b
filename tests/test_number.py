"""The two counter formats, byte for byte as the Kyoto Tycoon protocol reference has them (section 4)."""

from __future__ import annotations

import math
from fractions import Fraction
from struct import pack, unpack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kt_core.errors import NotACounter
from kt_core.number import add_double, decode_double, decode_integer, encode_double, wrap_integer

LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1
UNIT = 10**15

DOUBLES = [
    (1.5, "0000000000000001 0001c6bf52634000"),
    (0.1, "0000000000000000 00005af3107a4000"),
    (-0.5, "0000000000000000 fffe3940ad9cc000"),
    # What the server's parser makes of "123456789.123456789": it drops digits beyond the sixteenth.
    (123456789.1234567, "00000000075bcd15 0000704880d89eda"),
    (math.inf, "7fffffffffffffff 0000000000000000"),
    (-math.inf, "8000000000000000 0000000000000000"),
    (math.nan, "8000000000000000 8000000000000000"),
    (0.0, "0000000000000000 0000000000000000"),
    (-3.25, "fffffffffffffffd ffff1ca056ce6000"),
]
FINITE = st.floats(-1e18, 1e18)
PARTS = st.tuples(st.integers(LOWEST + 1, HIGHEST - 1), st.integers(-(1 << 60), 1 << 60))


def parts_of(number: float) -> tuple[int, int]:
    """The model: both parts of the exact number, cut toward zero."""
    exact = Fraction(number)
    whole = math.trunc(exact)
    return whole, math.trunc((exact - whole) * UNIT)


def sum_of(record: tuple[int, int], number: float) -> tuple[int, int]:
    """The model: part by part, one carry, upwards only."""
    whole, fraction = (left + right for left, right in zip(record, parts_of(number), strict=True))
    if fraction >= UNIT:
        whole, fraction = whole + 1, fraction - UNIT
    return (whole - LOWEST) % 2**64 + LOWEST, fraction


@pytest.mark.parametrize(
    ("stored", "number"),
    [
        (b"\0\0\0\0\0\0\0\5", 5),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", -1),
        (b"\x80\0\0\0\0\0\0\0", LOWEST),
        (b"\x7f\xff\xff\xff\xff\xff\xff\xff", HIGHEST),
        (b"12345678", 3544952156018063160),
    ],
)
def test_an_integer_is_eight_bytes_big_endian(stored: bytes, number: int) -> None:
    assert decode_integer(stored) == number


@pytest.mark.parametrize("value", [b"", b"1234567", b"123456789", b"5"])
def test_other_lengths_are_no_integer(value: bytes) -> None:
    with pytest.raises(NotACounter, match=f"{len(value)} bytes"):
        decode_integer(value)


@given(st.integers(-(1 << 70), 1 << 70))
@example(HIGHEST + 1)
@example(LOWEST - 1)
def test_an_integer_wraps_modulo_two_to_the_64(number: int) -> None:
    wrapped = wrap_integer(number)
    assert LOWEST <= wrapped <= HIGHEST
    assert (wrapped - number) % 2**64 == 0


@pytest.mark.parametrize(("number", "stored"), DOUBLES)
def test_a_double_has_the_bytes_of_the_reference(number: float, stored: str) -> None:
    assert encode_double(number).hex() == stored.replace(" ", "")


@pytest.mark.parametrize(("number", "stored"), DOUBLES)
def test_the_bytes_of_the_reference_are_that_double(number: float, stored: str) -> None:
    found = decode_double(bytes.fromhex(stored))
    assert found == pytest.approx(number, abs=1e-15, rel=1e-15, nan_ok=True)


@pytest.mark.parametrize("value", [b"", b"12345678", b"123456789012345", b"12345678901234567"])
def test_other_lengths_are_no_double(value: bytes) -> None:
    with pytest.raises(NotACounter, match=f"{len(value)} bytes"):
        decode_double(value)
    with pytest.raises(NotACounter):
        add_double(value, 1.0)


def test_sixteen_bytes_of_text_are_a_double() -> None:
    assert decode_double(b"1234567890123456") == float(
        int.from_bytes(b"12345678", "big") + Fraction(int.from_bytes(b"90123456", "big"), UNIT)
    )


@given(FINITE)
def test_both_parts_of_a_double_are_cut_toward_zero(number: float) -> None:
    assert unpack(">qq", encode_double(number)) == parts_of(number)


@pytest.mark.parametrize("number", [2.0**63, -(2.0**63), 1e30, -1e30])
def test_a_double_beyond_64_bits_reads_back_as_minus_infinity(number: float) -> None:
    assert encode_double(number) == pack(">qq", LOWEST, 0)
    assert decode_double(encode_double(number)) == -math.inf
    assert add_double(encode_double(1.5), number) == pack(">qq", LOWEST, 0)


@given(PARTS)
def test_a_double_is_the_sum_of_its_parts(parts: tuple[int, int]) -> None:
    whole, fraction = parts
    exact = Fraction(whole) + Fraction(fraction, UNIT)
    rounded = Fraction(decode_double(pack(">qq", whole, fraction)))
    # Each part and their sum are rounded, each by half of its last place at most.
    assert abs(rounded - exact) <= (abs(whole) + abs(Fraction(fraction, UNIT)) + abs(exact)) / 2**53


def test_each_part_is_rounded_before_they_are_added() -> None:
    """Captured from ktserver: the text of sixteen letters x, read as a double."""
    assert decode_double(b"x" * 16) == 8680820740569208832.0


@given(PARTS, FINITE)
@example((0, UNIT - 1), 0.5)
@example((HIGHEST - 1, UNIT - 1), 1.5)
@example((LOWEST + 1, 0), -5.0)
def test_addition_is_part_by_part(parts: tuple[int, int], number: float) -> None:
    assert unpack(">qq", add_double(pack(">qq", *parts), number)) == sum_of(parts, number)


@pytest.mark.parametrize(
    ("numbers", "whole", "fraction"),
    [
        ((-0.5, -0.75), 0, -1_250_000_000_000_000),
        ((1.5, -3.25), -2, 250_000_000_000_000),
        ((0.3, 0.9), 1, 199_999_999_999_999),
        ((0.5, 0.5), 1, 0),
        ((-0.5, -0.75, -0.75), 0, -2_000_000_000_000_000),
    ],
)
def test_negative_fractions_are_never_normalised(numbers: tuple[float, ...], whole: int, fraction: int) -> None:
    value = encode_double(0.0)
    for number in numbers:
        value = add_double(value, number)
    assert unpack(">qq", value) == (whole, fraction)


def test_only_one_is_carried() -> None:
    value = pack(">qq", 0, 3 * UNIT)
    assert unpack(">qq", add_double(value, 0.5)) == (1, 2 * UNIT + UNIT // 2)


@pytest.mark.parametrize("special", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("number", [1.0, -math.inf, math.inf, math.nan, 1e30])
def test_infinity_and_nan_stay_what_they_are(special: float, number: float) -> None:
    value = encode_double(special)
    assert add_double(value, number) == value


@pytest.mark.parametrize("special", [math.inf, -math.inf, math.nan])
def test_adding_infinity_or_nan_stores_it(special: float) -> None:
    assert add_double(encode_double(1.5), special) == encode_double(special)


def test_any_fraction_beside_an_infinite_whole_is_infinity() -> None:
    assert decode_double(pack(">qq", HIGHEST, 5)) == math.inf
    assert decode_double(pack(">qq", LOWEST, 5)) == -math.inf
