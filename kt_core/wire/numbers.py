"""Numbers in the text of calls, read as the original server reads them: whatever follows them is ignored.

Source: the Kyoto Tycoon protocol reference, sections 2.5, 3.1 and 4.2. Nothing is refused: no number is zero.
"""

from __future__ import annotations

import math
import re

from kt_core.wire.kt_binary import NEVER_XT

_INTEGER = re.compile(rb"[\x01-\x20]*([+-]?)([0-9]*)")
_REAL = re.compile(
    rb"[\x01-\x20]*([+-]?)(?:(inf)|(nan)|0*([0-9]*)(?:\.([0-9]*))?(?:e([+-]?)0*([0-9]*))?)", re.IGNORECASE
)
_INT64_MIN = -(1 << 63)
# 10^64 is a multiple of 2^64, so that no digit before the last 64 matters.
_DIGITS = 64
# More than any float has before the point; digits after the sixteenth are dropped behind it.
_WHOLE_DIGITS = 400
_SIGNIFICANT_DIGITS = 16
# So many say zero or infinity, whatever comes before them.
_EXPONENT_DIGITS = 4


def parse_integer(text: bytes) -> int:
    """Return the integer that a text begins with, wrapped to 64 bits."""
    match = _INTEGER.match(text)
    assert match  # it matches nothing, too
    sign, digits = match.groups()
    number = int(digits[-_DIGITS:] or b"0")
    return ((-number if sign == b"-" else number) - _INT64_MIN) % (1 << 64) + _INT64_MIN


def parse_real(text: bytes) -> float:
    """Return the number that a text begins with, an infinity or NaN among them."""
    match = _REAL.match(text)
    assert match  # it matches nothing, too
    sign, infinite, nan, whole, fraction, exponent_sign, exponent = match.groups()
    if nan:
        return math.nan
    if infinite or len(whole) > _WHOLE_DIGITS:
        number = math.inf
    else:
        kept = (fraction or b"")[: max(_SIGNIFICANT_DIGITS - len(whole), 0)]
        exponent_sign, exponent = exponent_sign or b"", (exponent or b"0")[:_EXPONENT_DIGITS]
        number = float(b"%b.%be%b%b" % (whole or b"0", kept, exponent_sign, exponent))
    return -number if sign == b"-" else number


def parse_xt(text: bytes | None) -> int:
    """Return the expiry that a parameter gives, in seconds: relative, absolute if negative, never if absent."""
    return NEVER_XT if text is None else parse_integer(text)
