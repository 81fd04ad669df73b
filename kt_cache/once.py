"""Computing a value once, however many ask for it at the same time.

Whoever finds no value tries to get hold of a record that says so. Who has it computes, the others look again and again
until the value is there. A value may be computed anew before it is over, by one of its readers chosen by chance, the
likelier the nearer the end (as Vattani, Chierichetti and Lowenstein have shown to be optimal); and it may be served for
a while after that, to all but the one who computes it anew.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Callable
from random import random
from typing import Any, NamedTuple

from kt_cache.flows import Flow, Make, Pause, call, is_out
from kt_cache.reading import Found, Values
from kt_cache.reserved import Kind, reserved
from kt_cache.stores.base import Value

logger = logging.getLogger("kt_cache.once")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05


class Policy(NamedTuple):
    """How one value is computed; times in seconds.

    `wait`: how long others wait for the one who computes, who is thought dead after that; 0 for not at all. `stale`:
    how long an old value is served while a new one is computed, or cannot be. `early`: about how long it takes to
    compute, if that is to be done before the value is over.
    """

    wait: float = 5.0
    stale: float = 0.0
    early: float = 0.0

    def is_due(self, left: float) -> bool:
        """Tell whether a value with so many seconds left is to be computed anew by whoever asks."""
        return self.early > 0 and left <= -self.early * math.log(1 - random())  # noqa: S311 - no secret


class Once:
    """Computes the value under one key. `store` is given what was computed and stores it."""

    def __init__(
        self,
        key: bytes,
        values: Values,
        policy: Policy,
        compute: Callable[[], Any],
        store: Callable[[Any, Found | None], Flow[Any]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._values = values
        self._policy = policy
        self._compute = compute
        self._store = store
        self._clock = clock

    def run(self) -> Flow[Any]:
        """Return the value, computed if need be."""
        pause, waited = _FIRST_PAUSE, 0.0
        while True:
            found = yield from self._look()
            if found is not None and not self._wants_anew(*found):
                return found[0].value
            token = secrets.randbits(63)
            held = reserved(Kind.ONCE, self._key)
            if not self._policy.wait or (yield call("add", held, token, self._policy.wait)):
                return (yield from self._renew(held, token, found))
            if found is not None:
                return found[0].value
            if waited >= self._policy.wait or (not waited and (yield from is_out(held))):
                return (yield from self._make(None))
            yield Pause(pause)
            waited += pause
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _look(self) -> Flow[tuple[Found, float] | None]:
        if not self._policy.early:
            found = yield from self._values.look(self._key)
            return found and (found, math.inf)
        record: tuple[Value, float] | None = yield call("get_with_ttl", self._key)
        if record is None:
            return None
        found = yield from self._values.open(self._key, record[0])
        return found and (found, record[1])

    def _wants_anew(self, found: Found, left: float) -> bool:
        if not found.is_fresh:
            return True
        if found.terms is not None and found.terms.fresh_until:
            left = found.terms.fresh_until / 1000 - self._clock()
        return self._policy.is_due(left)

    def _renew(self, held: bytes, token: int, found: tuple[Found, float] | None) -> Flow[Any]:
        try:
            if self._policy.wait:
                # Somebody may have computed it between the look and the hold.
                again = yield from self._look()
                if again is not None and again[0].is_fresh and (found is None or _is_newer(again, found)):
                    return again[0].value
            return (yield from self._make(found and found[0]))
        finally:
            if self._policy.wait:
                yield call("compare_and_set", held, token, None)

    def _make(self, found: Found | None) -> Flow[Any]:
        try:
            value = yield Make(self._compute)
        except Exception:
            if found is None:
                raise
            logger.warning("a value could not be computed anew; the old one is served", exc_info=True)
            return found.value
        return (yield from self._store(value, found))


def _is_newer(found: tuple[Found, float], other: tuple[Found, float]) -> bool:
    return found[0].stored != other[0].stored or found[1] > other[1]
