"""How a store is doing at this moment, and how it did in the last minutes.

Whoever looks at the figures notes them in the store itself, at most every few seconds, so that the next one finds a
history. What a look reads is counted by the store like everybody's reads; it is noted beside, and taken off again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from struct import Struct
from typing import Final, NamedTuple

from kt_cache.reserved import Kind, reserved
from kt_cache.stores import Stats, Store, Value
from kt_core.errors import ConnectionFailed, StoreFull

PROBES: Final = 32
"""Reads that are timed at each look."""

HISTORY: Final = reserved(Kind.HISTORY, b"samples")
OWN_HITS: Final = reserved(Kind.HISTORY, b"hits")
OWN_MISSES: Final = reserved(Kind.HISTORY, b"misses")

_EVERY = 5.0  # seconds between two samples that are kept
_MOST = 240  # samples that are kept: twenty minutes
_AGE = 3600.0  # seconds
_RAW = b"\0"  # the header of a raw value, for whoever looks at the record
_ROW = Struct(">11d")


class Sample(NamedTuple):
    """The figures of one moment; sizes in bytes, times of reads in microseconds, NaN for what is not known.

    `at` is in seconds since the epoch. Hits and misses are without the inspector's own, which stand beside. A count
    that is lower than before has begun anew: the own ones where their records were evicted, any other where the store
    was made anew.
    """

    at: float
    hits: float
    misses: float
    own_hits: float
    own_misses: float
    entries: float
    size: float
    evictions: float
    expirations: float
    median: float
    slow: float

    @property
    def reads(self) -> float:
        """Hits and misses together."""
        return self.hits + self.misses

    @property
    def hit_ratio(self) -> float | None:
        """The share of reads that found something; None before the first read."""
        return self.hits / self.reads if self.reads else None


class Latency(NamedTuple):
    """What reading a small record took, in microseconds: half of the reads, 95 % of them, and all at most."""

    median: float
    slow: float
    slowest: float


class Figures(NamedTuple):
    """What a look has found; the samples are the history's, the oldest first."""

    stats: Stats
    now: Sample
    latency: Latency
    history: list[Sample]


def look(
    store: Store, *, clock: Callable[[], float] = time.time, timer: Callable[[], float] = time.perf_counter
) -> Figures:
    """Look at a store, and note what was seen; a server that does not answer is `ConnectionFailed`."""
    before = store.stats()
    if not store.ping():
        raise ConnectionFailed("the server of this cache is out of order")
    stored = store.get(HISTORY)
    history = _decode(stored)
    latency = _time_reads(store, timer)
    stats = store.stats()
    own_hits, own_misses = _note_own(store, stats.hits - before.hits, stats.misses - before.misses)
    now = Sample(
        clock(),
        max(stats.hits - own_hits, 0),
        max(stats.misses - own_misses, 0),
        own_hits,
        own_misses,
        stats.entries,
        stats.size,
        _known(stats.evictions),
        _known(stats.expirations),
        latency.median,
        latency.slow,
    )
    history = [sample for sample in history if now.at - _AGE < sample.at <= now.at]
    if not history or now.at - history[-1].at >= _EVERY:
        _keep(store, stored, [*history, now][-_MOST:])
    return Figures(stats, now, latency, history)


def _time_reads(store: Store, timer: Callable[[], float]) -> Latency:
    times = []
    for _ in range(PROBES):
        started = timer()
        store.get(OWN_HITS)
        times.append((timer() - started) * 1e6)
    times.sort()
    return Latency(times[PROBES // 2], times[PROBES * 95 // 100], times[-1])


def _note_own(store: Store, hits: int, misses: int) -> tuple[int, int]:
    """Add to the reads that all looks together have made, and return those."""
    try:
        sums = store.incr_many({OWN_HITS: hits, OWN_MISSES: misses}, initial=0)
    except StoreFull:
        sums = {}
    own_hits, own_misses = sums.get(OWN_HITS), sums.get(OWN_MISSES)
    return (
        own_hits if isinstance(own_hits, int) else hits,
        own_misses if isinstance(own_misses, int) else misses,
    )


def _keep(store: Store, stored: Value | None, samples: list[Sample]) -> None:
    # Whoever was faster has noted the same; a full store that evicts nothing has no room for a history.
    with suppress(StoreFull):
        store.compare_and_set(HISTORY, stored, _RAW + b"".join(_ROW.pack(*sample) for sample in samples), _AGE)


def _decode(stored: Value | None) -> list[Sample]:
    if not isinstance(stored, bytes) or len(stored) % _ROW.size != 1:
        return []
    return [Sample(*row) for row in _ROW.iter_unpack(stored[1:])]


def _known(number: int | None) -> float:
    return math.nan if number is None else number
