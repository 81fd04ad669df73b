"""Values that say whose they are: key, player and number are in each, so that a wrong one is known anywhere."""

from __future__ import annotations

from typing import Final

_SIZES: Final = (0, 10, 100, 1000, 4000)
"""Bytes that values are padded with, by turns."""
SHARE: Final = 1 << 40
"""How many numbers a player has: `number // SHARE` is its own."""


def encode(key: bytes, number: int) -> bytes:
    """Return the value for a key: sound in all its length, and never the eight bytes of a counter."""
    size = _SIZES[number % len(_SIZES)] if number % 97 else 30_000
    return b"soak|%b|%d|" % (key, number) + bytes([65 + number % 26]) * size


def decode(key: bytes, value: bytes | int | None) -> int | None:
    """Return the number in a value, None for none; -1 where it is not a value for the key, or not whole."""
    if value is None or isinstance(value, int):
        return value
    parts = value.split(b"|", 3)
    if len(parts) != 4 or parts[1] != key or not parts[2].isdigit():
        return -1
    number = int(parts[2])
    return number if value == encode(key, number) else -1
