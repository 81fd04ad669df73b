"""When a record expires, as the clients' callers say it and as the protocol has it.

=================  ============================================================================================
None               never
0 or more          so many seconds from now, rounded up; infinity and whatever lies 34,000 years ahead is never
timedelta          its seconds; below 0 the record is over at once
below 0            the second -expire_time since 1970, rounded up: ``-1795295378``
datetime           that second, rounded up; without a time zone it is local time, as everywhere in Python
=================  ============================================================================================

A server shows a record until the second in which it expires is over: one that expires in 10 seconds is seen for at
least 10 and less than 11, and one that expires in 0 seconds until the current second ends. Source: the Kyoto Tycoon
protocol reference, section 3.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from kt_core.errors import InvalidInput
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX

ExpireTime: TypeAlias = float | timedelta | datetime | None

_OVER: Final = -1  # the first second after 1970 began
_LAST: Final = XT_MAX - 1


def to_xt(expire_time: ExpireTime) -> int:
    """Return what a request says; `InvalidInput` for what is no time."""
    if expire_time is None:
        return NEVER_XT
    seconds: Any = expire_time
    try:
        if isinstance(expire_time, datetime):
            seconds = min(-expire_time.timestamp(), _OVER)
        elif isinstance(expire_time, timedelta):
            seconds = expire_time.total_seconds()
            seconds = seconds if seconds >= 0 else _OVER
        if seconds >= 0:
            return math.ceil(seconds) if seconds < XT_MAX else NEVER_XT
        return math.floor(seconds) if not seconds < -_LAST else NEVER_XT
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(
            f"expire_time={expire_time!r}: write seconds from now, a timedelta or a datetime, or None for never"
        ) from None


def from_xt(xt: int) -> int | None:
    """Return the second since 1970 that a reply says, or None for never."""
    return xt if xt < XT_MAX else None
