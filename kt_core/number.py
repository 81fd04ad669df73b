"""The two number formats that counters have inside a record.

An integer is 8 bytes, big-endian, signed. A double is 16 bytes: the integer part, then the fraction times
10^15, both 8 bytes, big-endian, signed and truncated toward zero. Source: the Kyoto Tycoon protocol
reference, section 4; the sums below keep that server's rules, its lack of normalisation included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from struct import Struct

from kt_core.errors import NotACounter

INTEGER = Struct(">q")
DOUBLE = Struct(">qq")
INTEGER_MIN = -(1 << 63)
INTEGER_MAX = (1 << 63) - 1

_UNIT = 10**15
_INFINITE = {math.inf: INTEGER_MAX, -math.inf: INTEGER_MIN}


def decode_integer(value: bytes) -> int:
    """Return the counter in these bytes; `NotACounter` unless there are exactly eight."""
    if len(value) != INTEGER.size:
        raise NotACounter(
            f"the record holds {len(value)} bytes, not the 8 of a counter; it was not written by increment"
        )
    return int(INTEGER.unpack(value)[0])


def wrap_integer(number: int) -> int:
    """Return the number modulo 2^64, as a signed one: what the server's counters do on overflow."""
    return (number - INTEGER_MIN) % (1 << 64) + INTEGER_MIN


def split_double(number: float, scaled: Callable[[float], float]) -> tuple[int, int]:
    """Return both parts of a double, the fraction as `scaled` makes it; infinities and NaN have forms of their own."""
    if math.isnan(number):
        return INTEGER_MIN, INTEGER_MIN
    if number in _INFINITE:
        return _INFINITE[number], 0
    fraction, whole = math.modf(number)
    if not INTEGER_MIN < whole < INTEGER_MAX:
        return INTEGER_MIN, 0
    return int(whole), int(scaled(fraction))


def join_double(whole: int, fraction: int, unit: int) -> float:
    """Return the double that has these parts."""
    if whole == INTEGER_MIN and fraction == INTEGER_MIN:
        return math.nan
    if whole in (INTEGER_MIN, INTEGER_MAX):
        return math.inf if whole == INTEGER_MAX else -math.inf
    return float(whole) + float(fraction) / unit  # in this order, as the server rounds


def encode_double(number: float) -> bytes:
    """Return the 16 bytes of a double; infinities and NaN have forms of their own."""
    return DOUBLE.pack(*split_double(number, _exactly_scaled))


def _exactly_scaled(fraction: float) -> int:
    numerator, denominator = abs(fraction).as_integer_ratio()
    scaled = numerator * _UNIT // denominator
    return -scaled if fraction < 0 else scaled


def decode_double(value: bytes) -> float:
    """Return the double in these bytes; `NotACounter` unless there are exactly sixteen."""
    if len(value) != DOUBLE.size:
        raise NotACounter(f"the record holds {len(value)} bytes, not the 16 of a double counter")
    whole, fraction = DOUBLE.unpack(value)
    return join_double(whole, fraction, _UNIT)


def add_double(value: bytes, number: float) -> bytes:
    """Return the bytes of a stored double with a number added: part by part, carrying once and only upwards."""
    current = decode_double(value)
    if math.isinf(current) or math.isnan(current):
        return value
    if math.isinf(number) or math.isnan(number) or abs(number) >= 1 << 63:
        return encode_double(number)
    whole, fraction = DOUBLE.unpack(value)
    more_whole, more_fraction = DOUBLE.unpack(encode_double(number))
    whole, fraction = whole + more_whole, fraction + more_fraction
    if fraction >= _UNIT:
        whole, fraction = whole + 1, fraction - _UNIT
    return DOUBLE.pack(wrap_integer(whole), fraction)
