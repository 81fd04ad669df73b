"""Increments: Kyoto Tycoon protocol reference, section 4."""

from __future__ import annotations

import math
from struct import pack

import pytest

from kt_core.database import Database, Origin, Record
from kt_core.errors import CounterOverflow, NotACounter

LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1
KEY = b"key"


def integer(number: int) -> bytes:
    return pack(">q", number)


def double(whole: int, fraction: int = 0) -> bytes:
    return pack(">qq", whole, fraction)


@pytest.mark.parametrize(
    ("stored", "number", "origin", "total"),
    [
        (None, 5, 0, 5),
        (None, 5, 7, 12),
        (None, 0, 7, 7),
        (None, 5, Origin.SET, 5),
        (None, HIGHEST, 1, LOWEST),
        (1, 5, 0, 6),
        (1, 5, 7, 6),
        (1, -5, 0, -4),
        (1, 5, Origin.TRY, 6),
        (1, 5, Origin.SET, 5),
        (1, 0, Origin.SET, 0),
        (1, 0, 7, 1),
        (HIGHEST, 1, 0, LOWEST),
        (LOWEST, -1, 0, HIGHEST),
        (LOWEST + 5, -5, 0, LOWEST),
        (1, 1 << 64, 0, 1),
    ],
)
def test_increment_adds(database: Database, stored: int | None, number: int, origin: int | Origin, total: int) -> None:
    if stored is not None:
        database.set(KEY, integer(stored))
    assert database.increment(KEY, number, origin) == total
    assert database.get(KEY) == integer(total)


def test_eight_bytes_of_text_are_a_counter(database: Database) -> None:
    database.set(KEY, b"12345678")
    assert database.increment(KEY, 1) == 3544952156018063161


@pytest.mark.parametrize("value", [b"", b"5", b"1234567", b"123456789", bytes(16)])
@pytest.mark.parametrize("number", [0, 5])
@pytest.mark.parametrize("origin", [0, Origin.TRY, Origin.SET])
def test_no_other_record_is_a_counter(database: Database, value: bytes, number: int, origin: int | Origin) -> None:
    database.set(KEY, value)
    with pytest.raises(NotACounter):
        database.increment(KEY, number, origin)
    assert database.get(KEY) == value


@pytest.mark.parametrize(
    ("stored", "number", "origin"), [(HIGHEST, 1, 0), (LOWEST, -1, 0), (None, 1, HIGHEST), (0, 1 << 63, Origin.SET)]
)
def test_overflow_is_refused_if_asked(
    database: Database, stored: int | None, number: int, origin: int | Origin, soon: int
) -> None:
    if stored is not None:
        database.set(KEY, integer(stored), soon)
    before = database.get_record(KEY)
    with pytest.raises(CounterOverflow):
        database.increment(KEY, number, origin, wrap=False)
    assert database.get_record(KEY) == before


@pytest.mark.parametrize(("stored", "number"), [(HIGHEST - 1, 1), (LOWEST + 1, -1)])
def test_the_last_numbers_of_64_bits_are_no_overflow(database: Database, stored: int, number: int) -> None:
    database.set(KEY, integer(stored))
    assert database.increment(KEY, number, wrap=False) == stored + number


@pytest.mark.parametrize("key", [KEY, b"k" * 600])
def test_a_counter_can_keep_its_expiry(database: Database, key: bytes, soon: int, late: int) -> None:
    """A new one takes the expiry given."""
    assert database.increment(key, 1, 0, soon, keep_expiry=True) == 1
    assert database.increment(key, 1, 0, late, keep_expiry=True) == 2
    assert database.get_record(key) == Record(integer(2), soon)


@pytest.mark.parametrize(
    ("stored", "number", "origin", "total", "bytes_after"),
    [
        (None, 1.5, 0.0, 1.5, double(1, 5 * 10**14)),
        (None, 1.5, 2.0, 3.5, double(3, 5 * 10**14)),
        (None, 0.0, 2.5, 2.5, double(2, 5 * 10**14)),
        (None, -0.5, Origin.SET, -0.5, double(0, -5 * 10**14)),
        (None, math.inf, 0.0, math.inf, double(HIGHEST)),
        (None, -math.inf, 0.0, -math.inf, double(LOWEST)),
        (None, math.nan, 0.0, math.nan, double(LOWEST, LOWEST)),
        (None, 1.5, math.inf, math.inf, double(HIGHEST)),
        (double(0, -5 * 10**14), -0.75, 0.0, -1.25, double(0, -125 * 10**13)),
        (double(1, 5 * 10**14), -3.25, 0.0, -1.75, double(-2, 25 * 10**13)),
        (double(1), 1.5, 7.0, 2.5, double(2, 5 * 10**14)),
        (double(1), 1.5, Origin.TRY, 2.5, double(2, 5 * 10**14)),
        (double(1), 1.5, Origin.SET, 1.5, double(1, 5 * 10**14)),
        (double(1), 0.0, Origin.SET, 0.0, double(0)),
        (double(1), 0.0, 7.0, 1.0, double(1)),
        (double(1), math.inf, 0.0, math.inf, double(HIGHEST)),
        (double(1), math.nan, 0.0, math.nan, double(LOWEST, LOWEST)),
        (double(HIGHEST), 1.5, 0.0, math.inf, double(HIGHEST)),
        (double(LOWEST), math.inf, 0.0, -math.inf, double(LOWEST)),
        (double(HIGHEST), 1.5, Origin.SET, 1.5, double(1, 5 * 10**14)),
        (double(LOWEST, LOWEST), 1.5, 0.0, math.nan, double(LOWEST, LOWEST)),
        (double(LOWEST, LOWEST), 1.5, Origin.SET, 1.5, double(1, 5 * 10**14)),
    ],
)
def test_increment_double_adds(
    database: Database, stored: bytes | None, number: float, origin: float | Origin, total: float, bytes_after: bytes
) -> None:
    if stored is not None:
        database.set(KEY, stored)
    assert database.increment_double(KEY, number, origin) == pytest.approx(total, nan_ok=True)
    assert database.get(KEY) == bytes_after


def test_sixteen_bytes_of_text_are_a_double(database: Database) -> None:
    database.set(KEY, b"1234567890123456")
    assert database.increment_double(KEY, 0.0) == pytest.approx(3544952156018067369.0)


@pytest.mark.parametrize("value", [b"", b"1.5", bytes(8), bytes(17)])
@pytest.mark.parametrize("origin", [0.0, Origin.TRY, Origin.SET])
def test_no_other_record_is_a_double(database: Database, value: bytes, origin: float | Origin) -> None:
    database.set(KEY, value)
    with pytest.raises(NotACounter):
        database.increment_double(KEY, 1.5, origin)
    assert database.get(KEY) == value
