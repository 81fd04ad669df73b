"""Numbers in as few bytes as they need: seven bits in each, the highest first, and a mark on all but the last.

Source: the Kyoto Tycoon protocol reference, section 9.3.
"""

from __future__ import annotations

from functools import lru_cache

from kt_core.errors import ProtocolError

_LONGEST = 10  # bytes; they hold 64 bits


@lru_cache(4096)  # the same sizes come again and again
def encode_varnum(number: int) -> bytes:
    """Return the bytes of a number from 0 on."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def read_varnum(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that stands there, and where it ends; `ProtocolError` if it does not."""
    number = 0
    for place in range(at, min(at + _LONGEST, len(data))):
        byte = data[place]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, place + 1
    raise ProtocolError("a size does not end")
