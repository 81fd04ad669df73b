"""Sizes: numbers of bytes as people write and read them."""

from __future__ import annotations

import re
from typing import Final

from kt_core.errors import Misconfigured

_SIZE: Final = r"(?i)\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*"
_POWERS: Final = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def parse_size(value: object) -> int:
    """Return a number of bytes, written as one or with a unit (powers of 1024): ``256MiB``, ``64m``, ``1.5 GB``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = re.fullmatch(_SIZE, value) if isinstance(value, str) else None
    if match is None:
        raise Misconfigured(f"{value!r} is not a size: write bytes as a number, or like '256MiB'")
    return int(float(match[1]) * (1 << _POWERS[match[2].lower()]))


def in_bytes(size: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {_UNITS[-1]}"
