"""The records of a cluster, with the expiry, the generations and the limits of the real server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from tests.aerospike.server.wire import Particle, Result

EPOCH = 1_262_304_000
"""2010-01-01 UTC in Unix seconds, from which the server counts expiries."""

PARTITIONS = 4096

NEVER, KEEP = 0xFFFFFFFF, 0xFFFFFFFE
"""The two values of a request's ttl that are none."""

MAX_TTL = 315_360_000
"""Seconds."""

GENERATIONS = 0xFFFF
"""After the last one comes 1 again."""

_OVERHEAD = 40
"""Bytes of a record beside its expiry, set, key and bins. This and all sizes: from the largest that a server takes."""

Bins = dict[bytes, Particle]


def partition(digest: bytes) -> int:
    """Return the number of the partition that a digest belongs to."""
    return int.from_bytes(digest[:2], "little") % PARTITIONS


class Refused(Exception):
    """An operation that ends with a result code."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.name)
        self.result = result


@dataclass
class Record:
    """A record; `key` is that of a write with KEY_SEND, `expiry` in seconds since `EPOCH`, 0 for never."""

    set: bytes
    bins: Bins = field(default_factory=dict)
    key: bytes | None = None
    generation: int = 0
    expiry: int = 0
    written: int = 0  # milliseconds since the Unix epoch
    lifetime: int = 0  # seconds between the last write and its expiry

    def size(self) -> int:
        """Return the bytes that count for the limit."""
        expiry = 4 if self.expiry else 0
        name = 1 + len(self.set) if self.set else 0
        key = 0 if self.key is None else (1 if len(self.key) < 0x80 else 2) + len(self.key)
        return _OVERHEAD + expiry + name + key + sum(2 + len(bin) + _size(*self.bins[bin]) for bin in self.bins)


def _size(kind: int, value: bytes) -> int:
    if kind == 1:
        return 1 + next(size for size in (1, 2, 4, 8) if int.from_bytes(value) < 1 << 8 * size)
    return len(value) if kind in (2, 17) else 4 + len(value)


@dataclass(frozen=True)
class Settings:
    """What an operator sets for a namespace; times in seconds, sizes in bytes."""

    default_ttl: int = 0
    nsup_period: int = 5
    allow_ttl_without_nsup: bool = False
    max_record_size: int = 1 << 20

    @property
    def refuses_ttl(self) -> bool:
        """Say whether a write with an expiry is forbidden."""
        return self.nsup_period == 0 and not self.allow_ttl_without_nsup


class Namespace:
    """Records by digest. Whoever reads and writes holds `lock`.

    `sets` are all that there ever were, with the time of their last truncation, in milliseconds since the Unix epoch.
    """

    def __init__(self, clock: Callable[[], float], settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.lock = threading.RLock()
        self.clock = clock
        self._records: dict[bytes, Record] = {}
        self._reaped = 0
        self.sets: dict[bytes, int] = {}
        self.expired = 0

    def now(self) -> int:
        """Return whole seconds since `EPOCH`."""
        return int(self.clock()) - EPOCH

    def stored(self, digest: bytes) -> Record | None:
        """Return a record even if it has expired, as long as it has not been reaped."""
        self._reap()
        return self._records.get(digest)

    def live(self, digest: bytes) -> Record | None:
        """Return a record that has not expired."""
        record = self.stored(digest)
        return None if record is None or self._expired(record) else record

    def all_live(self) -> Iterator[tuple[bytes, Record]]:
        """Yield every record that has not expired, in the order of digests."""
        self._reap()
        return ((digest, record) for digest, record in sorted(self._records.items()) if not self._expired(record))

    def write(self, digest: bytes, old: Record | None, new: Record, ttl: int) -> Record | None:
        """Put a record in the place of another, with the next generation; one without bins is removed."""
        expiry = self._expiry(ttl, old)
        if not new.bins:
            self._records.pop(digest, None)
            return None
        now = self.clock()
        written = replace(
            new,
            generation=new.generation % GENERATIONS + 1,
            expiry=expiry,
            written=int(now * 1000),
            lifetime=expiry and expiry - self.now(),
        )
        if written.size() > self.settings.max_record_size:
            raise Refused(Result.TOO_BIG)
        self._records[digest] = written
        self.sets.setdefault(written.set, 0)
        return written

    def remove(self, digest: bytes) -> None:
        """Remove a record, if it is there."""
        self._records.pop(digest, None)

    def renew(self, digest: bytes, record: Record) -> Record:
        """Let a record live as long again as it was written for, without a new generation."""
        renewed = replace(record, expiry=self.now() + record.lifetime)
        self._records[digest] = renewed
        return renewed

    def truncate(self, name: bytes | None, before: int | None = None) -> None:
        """Remove a set, or all sets, as far as it was written before a time in milliseconds, else now.

        What was written in this very millisecond survives, as on the real server.
        """
        now = int(self.clock() * 1000)
        if before is not None and before > now:
            raise Refused(Result.PARAMETER)
        with self.lock:
            self.sets |= dict.fromkeys(self.sets if name is None else self.sets.keys() & {name}, before or now)
            for digest, record in list(self._records.items()):
                if record.written < (before or now) and name in (None, record.set):
                    del self._records[digest]

    def clear(self) -> None:
        """Lose everything, as a node in memory does when it stops."""
        with self.lock:
            self._records.clear()

    def _expiry(self, ttl: int, old: Record | None) -> int:
        if ttl == NEVER:
            return 0
        if ttl == KEEP and old is not None:
            return old.expiry
        if ttl in (0, KEEP):
            ttl = self.settings.default_ttl
        elif ttl > MAX_TTL:
            raise Refused(Result.PARAMETER)
        elif self.settings.refuses_ttl:
            raise Refused(Result.FORBIDDEN)
        return self.now() + ttl if ttl else 0

    def _expired(self, record: Record) -> bool:
        return 0 < record.expiry < self.now()

    def _reap(self) -> None:
        """Remove what has expired, once in every period: until then `remove` still finds it."""
        period = self.settings.nsup_period
        turn = self.now() // period if period else 0
        if turn != self._reaped:
            self._reaped = turn
            for digest in [digest for digest, record in self._records.items() if self._expired(record)]:
                del self._records[digest]
                self.expired += 1
