"""Expiry times between the protocol's whole seconds and the database's milliseconds.

A record of the protocol is visible while the whole seconds of the clock are not beyond its `xt`: it expires as
`xt + 1` begins. Source: the Kyoto Tycoon protocol reference, sections 3.1 and 3.2.
"""

from __future__ import annotations

from typing import Final

from kt_core.database import NEVER
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX

_FARTHEST: Final = 1 << 62  # seconds; what is beyond is cut before anything is added to it


def to_expiry(xt: int, now: float) -> int:
    """Return the expiry in milliseconds that a request's `xt` means at `now`, in seconds since the epoch."""
    if xt == NEVER_XT:
        return NEVER
    second = int(now) + min(xt, _FARTHEST) if xt >= 0 else min(-xt, _FARTHEST)
    return (second + 1) * 1000 if second < XT_MAX else NEVER


def to_xt(expiry: int) -> int:
    """Return the absolute second that a reply tells of an expiry in milliseconds; `XT_MAX` for never."""
    return (expiry - 1) // 1000 if expiry <= XT_MAX * 1000 else XT_MAX
