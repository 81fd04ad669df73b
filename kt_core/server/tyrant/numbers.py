"""Numbers in the texts of columns, and sums on the wire, by the original's rules.

Source: the Tokyo Tyrant protocol reference, sections 2.3 and 5.2.
"""

from __future__ import annotations

import re
from typing import Final

_REAL: Final = re.compile(rb"[\x01-\x20]*([+-]?(?:inf|nan|\d+\.?\d*|\.\d+))", re.IGNORECASE)
_DIGITS: Final = 400  # more than any double has


def parse_real(text: bytes) -> float:
    """Return the number that a text begins with, which has no exponent; 0 if it does not begin with one."""
    match = _REAL.match(text)
    return float(match[1][:_DIGITS]) if match is not None else 0.0


def decimal(number: float) -> bytes:
    """Return a number as a column has it: with up to six digits after the point, and no zeros at the end."""
    return (b"%.6f" % number).rstrip(b"0").rstrip(b".")
