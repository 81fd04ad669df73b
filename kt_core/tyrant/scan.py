"""All records of a database, or those from a key on, some in a round trip.

The server has one iterator for all its clients, who would take each other's records. So this goes by the order of
the keys where there is one, and else by a list of all keys, which is fetched first. Source: the Tokyo Tyrant protocol
reference, sections 6.1 to 6.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import dropwhile
from typing import Final

from kt_core.tyrant import operations as ops
from kt_core.wire.exchange import Flow, Op
from kt_core.wire.kt_items import Pair

BATCH: Final = 256

# Of a database whose keys are numbers nothing is before the first one: what "" stands for there is left to chance.
_FIXED: Final = "fixed-length"
_LOWEST: Final = b"min"
_EVERY: Final = b"[min,max]"


def all_keys(kind: str) -> Op[list[bytes]]:
    """Return all keys of a database of that kind, as they are at one moment."""
    return ops.fwm_keys(_EVERY if kind == _FIXED else b"")


def key_range(kind: str, start: bytes, limit: int, stop: bytes | None = None) -> Op[list[Pair] | None]:
    """Return records from a key on and before another, all if the limit is 0; None where keys have no order."""
    first = _LOWEST if kind == _FIXED and not start else start
    op = ops.misc(b"range", (first, b"%d" % limit, *(() if stop is None else (stop,))))
    return op.then(lambda found: None if found is None else pairs(found))


def pairs(found: Sequence[bytes]) -> list[Pair]:
    """Return the pairs of a list in which keys and values take turns."""
    return list(zip(found[::2], found[1::2], strict=True))


class Scan:
    """A way through the records from a key on; where there is no order, from that very key on."""

    def __init__(self, kind: str, start: bytes = b"", batch: int = BATCH) -> None:
        self._kind = kind
        self._start = start
        self._batch = batch
        self._given = 0  # records of the key that the next range begins with
        self._keys: list[bytes] | None = None
        self._over = False

    def next(self) -> Flow[list[Pair]]:
        """Return the next records; none at the end."""
        found: list[Pair] = []
        while not found and not self._over:
            found = yield from (self._next_in_order() if self._keys is None else self._next_listed(self._keys))
        return found

    def _next_in_order(self) -> Flow[list[Pair]]:
        wanted = self._batch + self._given
        found: list[Pair] | None = yield key_range(self._kind, self._start, wanted)
        if found is None:
            keys = yield all_keys(self._kind)
            self._keys = list(dropwhile(lambda key: key != self._start, keys)) if self._start else keys
            return []
        self._over = len(found) < wanted
        new = [pair for at, pair in enumerate(found) if at >= self._given or pair[0] != self._start]
        if found:
            self._start = found[-1][0]
            self._given = sum(key == self._start for key, _ in found)
        return new

    def _next_listed(self, keys: list[bytes]) -> Flow[list[Pair]]:
        batch, self._keys = keys[: self._batch], keys[self._batch :]
        self._over = not self._keys
        return list((yield ops.mget(batch)))
