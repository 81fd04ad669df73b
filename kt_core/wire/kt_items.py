"""The keys, records and pairs that binary messages carry, packed and scanned.

Source: the Kyoto Tycoon protocol reference, section 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any, TypeAlias

from kt_core.wire.exchange import Buffer, Limits, TooLarge

# Database, key; the same with value and expiry in seconds (of a request relative if not negative, else absolute
# and negated; of a reply absolute); what goes into a script and comes out of it.
Key: TypeAlias = tuple[int, bytes]
Record: TypeAlias = tuple[int, bytes, bytes, int]
Pair: TypeAlias = tuple[bytes, bytes]

_KEY = Struct(">HI")  # database, size of the key
RECORD = Struct(">HIIq")  # database, size of the key, size of the value, expiry
PAIR = Struct(">II")  # size of the key, size of the value


def pack_keys(head: bytes, keys: Iterable[Key]) -> bytes:
    """Return the head of a message followed by keys."""
    pack = _KEY.pack
    parts = [head]
    for db, key in keys:
        parts += pack(db, len(key)), key
    return b"".join(parts)


def pack_records(head: bytes, records: Iterable[Record]) -> bytes:
    """Return the head of a message followed by records."""
    pack = RECORD.pack
    parts = [head]
    for db, key, value, xt in records:
        parts += pack(db, len(key), len(value), xt), key, value
    return b"".join(parts)


def pack_pairs(head: bytes, pairs: Iterable[Pair]) -> bytes:
    """Return the head of a message followed by pairs."""
    pack = PAIR.pack
    parts = [head]
    for key, value in pairs:
        parts += pack(len(key), len(value)), key, value
    return b"".join(parts)


# A scan appends up to `count` items to a list, moves the buffer behind them, and returns how many bytes the
# next one needs, 0 if that was the last. The three differ in their fields alone; they are the inner loops of
# every bulk operation, and one loop that is told the fields takes more than twice as long.
Scan: TypeAlias = Callable[[Buffer, list[Any], int, Limits], int]


def scan_keys(buffer: Buffer, found: list[Any], count: int, limits: Limits) -> int:
    """Scan keys."""
    data, at, end, wanted = buffer.data, buffer.at, len(buffer.data), 0
    unpack, fixed, longest, append = _KEY.unpack_from, _KEY.size, limits.key, found.append
    for _ in range(count):
        start = at + fixed
        if start > end:
            wanted = fixed
            break
        db, key_size = unpack(data, at)
        if key_size > longest:
            raise _too_large(key_size, 0)
        stop = start + key_size
        if stop > end:
            wanted = stop - at
            break
        append((db, data[start:stop]))
        at = stop
    buffer.at = at
    return wanted


def scan_records(buffer: Buffer, found: list[Any], count: int, limits: Limits) -> int:
    """Scan records."""
    data, at, end, wanted = buffer.data, buffer.at, len(buffer.data), 0
    unpack, fixed, append = RECORD.unpack_from, RECORD.size, found.append
    longest_key, longest_value = limits.key, limits.value
    for _ in range(count):
        start = at + fixed
        if start > end:
            wanted = fixed
            break
        db, key_size, value_size, xt = unpack(data, at)
        if key_size > longest_key or value_size > longest_value:
            raise _too_large(key_size, value_size)
        middle = start + key_size
        stop = middle + value_size
        if stop > end:
            wanted = stop - at
            break
        append((db, data[start:middle], data[middle:stop], xt))
        at = stop
    buffer.at = at
    return wanted


def scan_pairs(buffer: Buffer, found: list[Any], count: int, limits: Limits) -> int:
    """Scan pairs."""
    data, at, end, wanted = buffer.data, buffer.at, len(buffer.data), 0
    unpack, fixed, append = PAIR.unpack_from, PAIR.size, found.append
    longest_key, longest_value = limits.key, limits.value
    for _ in range(count):
        start = at + fixed
        if start > end:
            wanted = fixed
            break
        key_size, value_size = unpack(data, at)
        if key_size > longest_key or value_size > longest_value:
            raise _too_large(key_size, value_size)
        middle = start + key_size
        stop = middle + value_size
        if stop > end:
            wanted = stop - at
            break
        append((data[start:middle], data[middle:stop]))
        at = stop
    buffer.at = at
    return wanted


def _too_large(key_size: int, value_size: int) -> TooLarge:
    return TooLarge(f"a key of {key_size} bytes with a value of {value_size} is over the limit")


class Items:
    """The items of one message, as far as they have arrived."""

    __slots__ = ("_limits", "_missing", "_scan", "_size", "found")

    def __init__(self, scan: Scan, count: int, limits: Limits) -> None:
        if count > limits.records:
            raise TooLarge(f"{count} records in one message; the limit is {limits.records}")
        self.found: list[Any] = []
        self._scan = scan
        self._missing = count
        self._limits = limits
        self._size = 0

    def read(self, buffer: Buffer) -> bool:
        """Take those that are there; unless that is all of them, ask the buffer for the next."""
        at, already = buffer.at, len(self.found)
        wanted = self._scan(buffer, self.found, self._missing, self._limits)
        if not wanted:
            return True
        self._missing -= len(self.found) - already
        self._size += buffer.at - at
        if self._size + wanted > self._limits.message:
            raise TooLarge(f"more than {self._limits.message} bytes in one message")
        buffer.want(wanted)
        return False
