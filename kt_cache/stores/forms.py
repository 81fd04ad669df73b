"""What the stores that keep bytes have in common: the form of a value, what cannot be stored, keys in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from kt_cache.stores.base import Value
from kt_core.errors import CounterOverflow, InvalidInput
from kt_core.number import INTEGER, INTEGER_MAX, INTEGER_MIN

COUNTERS: Final = range(INTEGER_MIN, INTEGER_MAX + 1)
"""The numbers that a counter can be."""


def to_bytes(value: Value) -> bytes:
    """Return what is kept of a value."""
    return value if isinstance(value, bytes) else INTEGER.pack(value)


def to_value(data: bytes) -> Value:
    """Return the value that is kept so: eight bytes are a counter."""
    return data if len(data) != INTEGER.size else to_integer(data)


def to_integer(data: bytes) -> int:
    """Return the number that a counter, or bytes of any other length, are."""
    return int.from_bytes(data, "big", signed=True)


def overflow(total: int) -> CounterOverflow:
    """Return the error of a sum that no counter can be."""
    return CounterOverflow(f"the sum {total} does not fit the 64 bits of a counter")


def refuse_nan(seconds: float) -> None:
    """Refuse a timeout that is no number."""
    if seconds != seconds:
        raise InvalidInput("a timeout cannot be NaN: write seconds, or None for never")


def parts(keys: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """Return the keys, each once, in lists of so many."""
    every = list(dict.fromkeys(keys))
    return (every[start : start + size] for start in range(0, len(every), size))
