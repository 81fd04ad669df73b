"""Arguments that are numbers for the server: checked, and brought to its units, before anything is sent."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

from kt_core.errors import InvalidInput

INT32: Final = range(-(1 << 31), 1 << 31)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def integer(number: int) -> int:
    """Return what is to be added to a counter."""
    if isinstance(number, int) and number in INT32:
        return number
    raise InvalidInput(f"{number!r} is not an integer of 32 bits; incr_double() adds others")


def real(number: float) -> float:
    """Return what is to be added to a double."""
    if isinstance(number, int | float) and not math.isnan(number):
        return number
    raise InvalidInput(f"{number!r} is not a number")


def width(number: int) -> int:
    """Return how many bytes of a value are to be kept."""
    if isinstance(number, int) and 0 <= number <= INT32[-1]:
        return number
    raise InvalidInput(f"width={number!r}: write how many bytes are to be kept, from 0 on")


def limit(max_keys: int | None) -> int:
    """Return how many keys are wanted, 0 for all."""
    if max_keys is None:
        return 0
    if isinstance(max_keys, int) and 0 <= max_keys <= INT32[-1]:
        return max_keys
    raise InvalidInput(f"max_keys={max_keys!r}: write how many keys are wanted, None for all")


def microseconds(timestamp: int | datetime) -> int:
    """Return a time in microseconds since 1970; a datetime without a zone is a local one."""
    if isinstance(timestamp, datetime):
        return (timestamp.astimezone(UTC) - _EPOCH) // _MICROSECOND
    if isinstance(timestamp, int) and 0 <= timestamp < 1 << 63:
        return timestamp
    raise InvalidInput(f"timestamp={timestamp!r}: write microseconds since 1970, or a datetime")
