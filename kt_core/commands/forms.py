"""How bytes and times are written on a command line, and told as JSON."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any, Final

from kt_core.database import NEVER
from kt_core.errors import InvalidInput

_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)", re.ASCII)
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.?))", re.DOTALL)
_PLAIN: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\"}


def read_bytes(text: str, escaped: bool) -> bytes:
    r"""Return the bytes of an argument; with `escaped`, after ``\xNN``, ``\n``, ``\r``, ``\t`` and ``\\``."""
    data = text.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_unescape, data) if escaped else data


def _unescape(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes((int(match[1], 16),))
    if match[2] not in _PLAIN:
        raise InvalidInput(rf"{match[0].decode(errors='replace')} is no escape: write \xNN, \n, \r, \t or \\")
    return _PLAIN[match[2]]


def parse_duration(text: str) -> float:
    """Return seconds, written as a number or with a unit: ``90``, ``1.5h``, ``7d``; ValueError if it is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _SECONDS[match[2]]


def to_json(name: str, data: bytes) -> dict[str, Any]:
    """Return bytes under a name if they are UTF-8, else as base64 under the name with ``_base64``."""
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(data).decode()}


def seconds_left(expiry: int, now: float) -> float | None:
    """Return how long a record still has, to the millisecond; None for ever."""
    return None if expiry == NEVER else round(expiry / 1000 - now, 3)


def in_time(seconds: float | None) -> str:
    """Return seconds as people read them, None as ``never``."""
    if seconds is None:
        return "never"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.3g} s"
