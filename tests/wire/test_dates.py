"""Points in time as headers write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kt_core.wire.dates import format_date, parse_date

FORMATTED = [
    (b"Thu, 01 Jan 1970 00:00:00 GMT", 0),
    (b"Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
    (b"Tue, 29 Feb 2000 12:00:00 GMT", 951825600),
    (b"Sat, 21 Nov 2026 21:16:46 GMT", 1795295806),
    (b"Tue, 29 Feb 2400 00:00:00 GMT", 13574563200),
    (b"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799),
    (b"Sat, 01 Jan 10000 00:00:00 GMT", 253402300800),
]
PARSED = [
    *FORMATTED,
    (b"0", 0),
    (b"1795295706", 1795295706),
    (b" 100 ", 100),
    (b"0x6b0209a8", 1795295656),
    (b"0X6B0209A8", 1795295656),
    (b"30s", 30),
    (b"5m", 300),
    (b"2H", 7200),
    (b"2 d", 172800),
    (b"2026-11-21T21:18:26Z", 1795295906),
    (b"2026-11-21 21:18:26", 1795295906),
    (b"2026-11-22T06:18:26+09:00", 1795295906),
    (b"2026-11-21T19:48:26.5-0130", 1795295906),
    (b"2026-11-21T21:18Z", 1795295880),
    (b"2026/11/21 21:20:06", 1795296006),
    (b"2026/11/21", 1795219200),
    (b"sat, 21 NOV 2026 21:16:46 gmt", 1795295806),
    (b"21 Nov 2026 21:16:46", 1795295806),
    (b"Sat, 21 Nov 2026 22:16:46 +0100", 1795295806),
    (b"Sat, 21 Nov 2026 13:16:46 PST", 1795295806),
    (b"Sun, 22 Nov 2026 06:16:46 jst", 1795295806),
    (b"Sat, 21 Nov 2026 21:16:46 XYZ", 1795295806),
]


@pytest.mark.parametrize(("text", "second"), FORMATTED)
def test_dates_are_formatted(text: bytes, second: int) -> None:
    assert format_date(second) == text


@pytest.mark.parametrize(("text", "second"), PARSED)
def test_dates_are_parsed(text: bytes, second: int) -> None:
    assert parse_date(text) == second


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"never",
        b"-1",
        b"1.5",
        b"100 years",
        b"0x",
        b"9" * 8000,
        b"0x" + b"f" * 8000,
        b"Sat, 31 Feb 2026 00:00:00 GMT",
        b"Sat, 21 Xyz 2026 21:16:46 GMT",
        b"2026-13-01",
        b"2026-00-01",
        b"2026-11-21T24:00:00Z",
        b"2026-11/21",
        b"2026-11-21T21:18:26Z and more",
        b"123456-01-01",
    ],
)
def test_what_is_no_date_is_none(text: bytes) -> None:
    assert parse_date(text) is None


@given(st.datetimes(min_value=datetime(1970, 1, 1)))
def test_dates_are_those_of_the_calendar(when: datetime) -> None:
    when = when.replace(microsecond=0, tzinfo=UTC)
    assert format_date(int(when.timestamp())).decode() == (
        f"{when:%a}, {when:%d} {when:%b} {when.year:04d} {when:%H:%M:%S} GMT"
    )


@given(st.integers(0, 1 << 41))
@example((1 << 40) - 1)
def test_any_second_arrives_as_it_was(second: int) -> None:
    assert parse_date(format_date(second)) == second


PIECES = st.sampled_from(
    [b"2026", b"-11", b"/", b"T21:18", b":26", b"Z", b"+09:00", b"Sat, ", b"21 Nov ", b" ", b"0x", b"d"]
)


@given(st.lists(PIECES | st.binary(max_size=3)).map(b"".join))
def test_any_text_is_a_date_or_none(text: bytes) -> None:
    assert isinstance(parse_date(text), int | None)
