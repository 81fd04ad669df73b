"""What the cluster is sent: keys, values, expiries and conditions, in the terms of the official client.

A key is a blob, so that any bytes are one and a prefix chooses by bytes; only the empty key, which the client refuses
as a blob, is the empty text. A value is the record's one bin: a counter an integer, so that the server can count with
it, anything else a blob. Nothing is ever sent as text, which the client cuts at its first NUL.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import aerospike
from aerospike_helpers.expressions.base import GE, LE, LT, And, BlobBin, Eq, IntBin, KeyBlob  # type: ignore[import-untyped]

from kt_cache.stores.base import Value
from kt_cache.stores.forms import refuse_nan, to_integer
from kt_core.number import INTEGER, INTEGER_MAX, INTEGER_MIN

NativeKey: TypeAlias = tuple[str, str, bytearray | str]
"""Namespace, set and key; `kt_cache.stores.aerospike.store` makes them where time counts."""

BIN: Final = "v"
"""The bin of a record's value."""

NEVER: Final = aerospike.TTL_NEVER_EXPIRE
KEEP_TTL: Final = aerospike.TTL_DONT_UPDATE
"""The two expiries that are no seconds. 0 would be the namespace's default, and is never sent."""

LONGEST: Final = 315_360_000
"""Seconds, ten years: the server takes none longer, so that what is to live longer never expires."""


def to_key(stored: Any) -> bytes | None:
    """Return the key that a record was stored with, None if it has none with it, or one that no key of ours is."""
    if stored == "":
        return b""
    return bytes(stored) if isinstance(stored, bytearray) else None


def in_portions(items: Mapping[bytes, Value], count: int, size: int) -> Iterator[list[tuple[bytes, Value]]]:
    """Yield the keys with what their bins are to hold, in lists of so many, and of so many bytes unless it is one."""
    portion: list[tuple[bytes, Value]] = []
    room = size
    for key, value in items.items():
        stored = to_stored(value)
        length = len(stored) if isinstance(stored, bytes) else INTEGER.size
        if portion and (len(portion) == count or length > room):
            yield portion
            portion, room = [], size
        portion.append((key, stored))
        room -= length
    if portion:
        yield portion


def to_stored(value: Value) -> Value:
    """Return what the bin holds of a value: eight bytes are a counter."""
    return to_integer(value) if isinstance(value, bytes) and len(value) == INTEGER.size else value


def of_bins(bins: dict[str, Any]) -> Value | None:
    """Return the value in a record's bins, None where it is none of ours."""
    value = bins.get(BIN)
    return value if type(value) is bytes or type(value) is int else None


def to_ttl(timeout: float | None) -> int:
    """Return the whole seconds that a record is to live, 0 for a timeout that is over.

    They are rounded up; the server adds what is left of the current second.
    """
    if timeout is None:
        return NEVER
    if timeout <= 0:
        return 0
    refuse_nan(timeout)
    return math.ceil(timeout) if timeout <= LONGEST else NEVER


def to_seconds(ttl: int) -> float:
    """Return the seconds that the client says a record has left."""
    return math.inf if ttl == NEVER else float(ttl)


# -- conditions, which the server tests on the record that it is about to change -----------------------------------


def has_room_for(delta: int) -> Any:
    """Return the condition that a counter stays within 64 bits; for what is no counter it does not hold."""
    if delta < 0:
        return GE(IntBin(BIN), INTEGER_MIN - delta).compile()
    return LE(IntBin(BIN), INTEGER_MAX - delta).compile()


def holds(value: Value) -> Any:
    """Return the condition that a record holds a value."""
    stored = to_stored(value)
    mine = IntBin(BIN) if isinstance(stored, int) else BlobBin(BIN)
    return Eq(mine, stored).compile()


def begins_with(prefix: bytes) -> Any:
    """Return the condition that a record's stored key has a prefix, which is not empty."""
    first = GE(KeyBlob(), bytearray(prefix))
    head = prefix.rstrip(b"\xff")
    if not head:
        return first.compile()
    return And(first, LT(KeyBlob(), bytearray(head[:-1] + bytes([head[-1] + 1])))).compile()
