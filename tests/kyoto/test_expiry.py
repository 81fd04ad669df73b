"""Every way to say when a record expires, and what is none."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from kt_core.errors import InvalidInput
from kt_core.kyoto.expiry import from_xt, to_xt
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX

TIMES: dict[str, tuple[Any, int]] = {
    "never": (None, NEVER_XT),
    "seconds": (60, 60),
    "this second": (0, 0),
    "no seconds, as a float": (-0.0, 0),
    "a moment": (1e-9, 1),
    "a fraction": (1.5, 2),
    "whole seconds, as a float": (2.0, 2),
    "another number": (Decimal("2.5"), 3),
    "infinity": (math.inf, NEVER_XT),
    "as far as time goes": (XT_MAX - 1, XT_MAX - 1),
    "farther": (XT_MAX, NEVER_XT),
    "much farther": (1e300, NEVER_XT),
    "a second of the past": (-1, -1),
    "a second of the future": (-3_000_000_000, -3_000_000_000),
    "between two seconds": (-2.5, -3),
    "the last second": (1 - XT_MAX, 1 - XT_MAX),
    "behind the last second": (-XT_MAX, NEVER_XT),
    "infinity in seconds since 1970": (-math.inf, NEVER_XT),
    "a duration": (timedelta(minutes=1), 60),
    "a duration with a fraction": (timedelta(milliseconds=1001), 2),
    "no duration": (timedelta(0), 0),
    "a negative duration": (timedelta(days=-1), -1),
    "the longest duration": (timedelta.max, NEVER_XT),
    "a date": (datetime(2033, 5, 18, 3, 33, 20, tzinfo=UTC), -2_000_000_000),
    "a date with a fraction": (datetime(2033, 5, 18, 3, 33, 20, 1, tzinfo=UTC), -2_000_000_001),
    "a date of another zone": (datetime(2033, 5, 18, 4, 33, 20, tzinfo=timezone(timedelta(hours=1))), -2_000_000_000),
    "a date without a zone": (datetime.fromtimestamp(2_000_000_000), -2_000_000_000),
    "the date on which time began": (datetime(1970, 1, 1, tzinfo=UTC), -1),
    "a date before that": (datetime(1900, 1, 1, tzinfo=UTC), -1),
}


@pytest.mark.parametrize(("expire_time", "xt"), TIMES.values(), ids=TIMES)
def test_times(expire_time: Any, xt: int) -> None:
    assert to_xt(expire_time) == xt
    assert type(to_xt(expire_time)) is int


@pytest.mark.parametrize("expire_time", ["60", b"60", math.nan, [1], 1j, object()])
def test_no_times(expire_time: Any) -> None:
    with pytest.raises(InvalidInput, match="write seconds from now, a timedelta or a datetime, or None for never"):
        to_xt(expire_time)


@pytest.mark.parametrize(("xt", "second"), [(5, 5), (XT_MAX - 1, XT_MAX - 1), (XT_MAX, None), (NEVER_XT, None)])
def test_what_a_server_says(xt: int, second: int | None) -> None:
    assert from_xt(xt) == second
