"""The Store contract: what every store offers to the adapters above, and in which terms.

Keys are bytes. A value is bytes, or an int of 64 bits: a counter, which `incr` can change. Eight bytes are a
counter, too: they come back as the int that they are in big-endian order. Timeouts are seconds
from now, `None` for never; zero and less mean "already over": the record is deleted, or not made at all.
`tests.stores.contract` holds the same as tests that every store inherits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from kt_core.errors import KTError

Value = bytes | int


class Keep:
    """The timeout that leaves a record's expiry as it is."""

    def __repr__(self) -> str:
        return "KEEP"


KEEP: Final = Keep()


class Entry(NamedTuple):
    """What is known of a record without its value: the value's bytes, the seconds left, infinity if it never expires.

    `used` is when it was last stored or read, in seconds since the epoch; None where the store does not note that. An
    embedded one notes reads only as it fills up, or once `cull` was called.
    """

    key: bytes
    size: int
    left: float
    used: float | None


@dataclass(frozen=True)
class Stats:
    """How a store is doing, over all processes that use it; sizes in bytes, None for what the store does not know.

    `entries` counts expired records that nobody has reclaimed yet, too. `max_size` is 0 without a bound.
    `processes` have the records open: those of the machine, or a server alone. `lag` is the seconds by which a copy of
    a server, which is read in its place, may be behind; None where there is none.
    """

    store: str
    location: str
    entries: int
    size: int
    max_size: int
    hits: int
    misses: int
    evictions: int | None
    expirations: int | None
    processes: int
    lag: float | None = None

    @property
    def hit_ratio(self) -> float | None:
        """The share of reads that found something; None before the first read."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else None


class Store(Protocol):
    """Records with expiry, each operation atomic for all who share the store.

    Each method but the last two also exists with an ``a`` before its name, to be awaited: the same in one piece,
    without holding up the event loop.
    """

    def get(self, key: bytes) -> Value | None:
        """Return the value, or None."""

    def get_with_ttl(self, key: bytes) -> tuple[Value, float] | None:
        """Return the value and the seconds it has left, infinity if it never expires; None if there is none."""

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Value]:
        """Return the values of those keys that have one."""

    def set(self, key: bytes, value: Value, timeout: float | None) -> bool:
        """Store a value, whatever was there; tell whether that was possible: a cache may have no room for it."""

    def set_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]:
        """Store many values; return the keys that could not be stored."""

    def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
        """Store a value where there is none; tell whether there was none."""

    def replace(self, key: bytes, value: Value, timeout: float | None) -> bool:
        """Store a value where there is one; tell whether there was one."""

    def delete(self, key: bytes) -> bool:
        """Delete a record; tell whether there was one."""

    def delete_many(self, keys: Iterable[bytes]) -> int:
        """Delete many records; return how many there were."""

    def pop(self, key: bytes) -> Value | None:
        """Delete a record and return its value, None if there was none, without counting as a read."""

    def touch(self, key: bytes, timeout: float | None) -> bool:
        """Give a record another timeout; tell whether there was one."""

    def touch_many(self, keys: Iterable[bytes], timeout: float | None) -> list[bytes]:
        """Give many records another timeout; return the keys of those that there were."""

    def incr(self, key: bytes, delta: int, *, initial: int | None = None, timeout: float | None = None) -> int | None:
        """Add to a counter, which keeps its expiry, and return the sum.

        Where there is none, it is made with `initial` plus `delta` and `timeout`, or without `initial` nothing is
        made and None returned. `NotACounter` for another value, `CounterOverflow` beyond 64 bits.
        """

    def incr_many(
        self, deltas: Mapping[bytes, int], *, initial: int | None = None, timeout: float | None = None
    ) -> dict[bytes, int | KTError]:
        """Add to many counters, each as by `incr`; return their sums, without those that there were not.

        In the place of a sum is the `NotACounter` or `CounterOverflow` that the one counter met with.
        """

    def compare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None = None
    ) -> bool:
        """Put `new` in the place of `old`, None standing for no record; tell whether `old` was there."""

    def exists(self, key: bytes) -> bool:
        """Tell whether there is a record, without counting as a read."""

    def ttl(self, key: bytes) -> float | None:
        """Return the seconds a record has left, infinity if it never expires; None if there is none."""

    def ttl_many(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        """Return the seconds that those of the records have left that there are, as `ttl` does."""

    def expire_at(self, key: bytes, when: float) -> bool:
        """Let a record expire at a time, in seconds since the epoch; tell whether there was one."""

    def persist(self, key: bytes) -> bool:
        """Let a record never expire; tell whether there was one."""

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        """Return all keys with the prefix."""

    def clear(self) -> None:
        """Delete every record."""

    def clear_prefix(self, prefix: bytes) -> int:
        """Delete every record whose key begins with the prefix; return how many there were."""

    def cull(self, limit: int, divisor: int) -> None:
        """Where `limit` records or more are there, make room: drop one in `divisor`, old ones first; all for 0.

        From the first call on a read counts as a use.
        """

    def vacuum(self) -> None:
        """Delete the expired records now, which otherwise go by and by as their room is needed."""

    def stats(self) -> Stats:
        """Return the figures of the store."""

    def ping(self) -> bool:
        """Tell whether the store answers, having waited for it; unless it stands in for one that does not, True."""

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the keys with the prefix; no snapshot, and no more than a batch of them in memory."""

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """Yield what is known of the records with the prefix, without reading them; as `iter_keys`, no snapshot."""

    def close(self) -> None:
        """Let go of what this process holds of the store."""


class AsyncStore(Store, Protocol):
    """A store whose operations can be awaited, too."""

    async def aget(self, key: bytes) -> Value | None: ...
    async def aget_with_ttl(self, key: bytes) -> tuple[Value, float] | None: ...
    async def aget_many(self, keys: Iterable[bytes]) -> dict[bytes, Value]: ...
    async def aset(self, key: bytes, value: Value, timeout: float | None) -> bool: ...
    async def aset_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]: ...
    async def aadd(self, key: bytes, value: Value, timeout: float | None) -> bool: ...
    async def areplace(self, key: bytes, value: Value, timeout: float | None) -> bool: ...
    async def adelete(self, key: bytes) -> bool: ...
    async def adelete_many(self, keys: Iterable[bytes]) -> int: ...
    async def apop(self, key: bytes) -> Value | None: ...
    async def atouch(self, key: bytes, timeout: float | None) -> bool: ...
    async def atouch_many(self, keys: Iterable[bytes], timeout: float | None) -> list[bytes]: ...
    async def aincr(
        self, key: bytes, delta: int, *, initial: int | None = None, timeout: float | None = None
    ) -> int | None: ...
    async def aincr_many(
        self, deltas: Mapping[bytes, int], *, initial: int | None = None, timeout: float | None = None
    ) -> dict[bytes, int | KTError]: ...
    async def acompare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None = None
    ) -> bool: ...
    async def aexists(self, key: bytes) -> bool: ...
    async def attl(self, key: bytes) -> float | None: ...
    async def attl_many(self, keys: Iterable[bytes]) -> dict[bytes, float]: ...
    async def aexpire_at(self, key: bytes, when: float) -> bool: ...
    async def apersist(self, key: bytes) -> bool: ...
    async def akeys(self, prefix: bytes = b"") -> list[bytes]: ...
    async def aclear(self) -> None: ...
    async def aclear_prefix(self, prefix: bytes) -> int: ...
    async def acull(self, limit: int, divisor: int) -> None: ...
    async def avacuum(self) -> None: ...
    async def astats(self) -> Stats: ...
    async def aping(self) -> bool: ...
    def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]: ...
