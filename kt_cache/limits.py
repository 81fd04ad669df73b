"""Rate limits that all processes share: so many uses in any period, counted by sliding window.

The uses of the present period count whole, those of the one before by the share of it that is still within one
period's reach, as if they had come evenly. That is two numbers for each key. In no period of the clock are there more
uses than the limit; in a stretch as long that lies across two of them there may be more, and never twice as many.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from kt_cache.flows import Flow, adrive, call, drive
from kt_cache.reserved import Kind, reserved
from kt_cache.stores.base import AsyncStore
from kt_core.errors import InvalidInput

_MICROS = 1_000_000  # whole microseconds: an exact sum is what makes `retry_after` a promise


class Verdict(NamedTuple):
    """Whether a use is allowed, how many more would be, and after how many seconds to try again (0 if it is).

    Infinity is for what will never be allowed, since it costs more than the limit.
    """

    allowed: bool
    remaining: int
    retry_after: float

    def __bool__(self) -> bool:
        return self.allowed


class RateLimiter:
    """Allows `limit` uses in `period` seconds to each key. While a store that may fail is out, all are allowed."""

    def __init__(
        self, store: AsyncStore, name: bytes, limit: int, period: float, *, clock: Callable[[], float] = time.time
    ) -> None:
        if limit < 1 or not 1 / _MICROS <= period < math.inf:
            raise InvalidInput(f"{limit} uses in {period} seconds are no limit: give at least 1 use, and some time")
        self._store = store
        self._name = name
        self._limit = limit
        self._period = round(period * _MICROS)
        self._lifetime = 2 * period
        self._clock = clock

    def hit(self, key: str = "", cost: int = 1) -> Verdict:
        """Count a use, or `cost` of them, and tell whether it is allowed; what is not allowed does not count.

        A use that costs 0 only looks.
        """
        return drive(self._hit(key, cost), self._store)

    async def ahit(self, key: str = "", cost: int = 1) -> Verdict:
        return await adrive(self._hit(key, cost), self._store)

    def _hit(self, key: str, cost: int) -> Flow[Verdict]:
        if cost < 0:
            raise InvalidInput(f"a use cannot cost {cost}: give 1 or more, or 0 to look")
        number, elapsed = divmod(int(self._clock() * _MICROS), self._period)
        present, former = (self._record(key, number - back) for back in (0, 1))
        count = yield call("incr", present, cost, initial=0, timeout=self._lifetime)
        if count is None:
            return Verdict(True, self._limit, 0.0)
        before = (yield call("get", former)) or 0
        # In units of one use for one whole period.
        left = (self._limit - count) * self._period - before * (self._period - elapsed)
        if left >= 0:
            return Verdict(True, left // self._period, 0.0)
        if cost:
            yield call("incr", present, -cost)
        remaining = max(left // self._period + cost, 0)
        return Verdict(False, remaining, self._wait(count - cost, before, elapsed, cost))

    def _wait(self, count: int, before: int, elapsed: int, cost: int) -> float:
        """Return the seconds after which as many uses more would be allowed, if nobody else came."""
        room = self._limit - cost
        if room < 0:
            return math.inf
        if count <= room:  # it is the former period's uses that have to fade
            micros = self._period - elapsed - (room - count) * self._period // before
        else:
            micros = 2 * self._period - elapsed - room * self._period // count
        return (micros + 1) / _MICROS  # one more, since a sum of seconds is rounded

    def _record(self, key: str, number: int) -> bytes:
        return reserved(Kind.RATE, b"%b\0%d\0%b" % (self._name, number, key.encode("utf-8", "surrogatepass")))
