"""The embedded store: a logical database opened in this very process, shared with all others of the machine."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import ParamSpec, TypeVar

from kt_cache.stores.base import Entry, Keep, Stats, Value
from kt_cache.stores.forms import refuse_nan, to_bytes, to_value
from kt_core.database import NEVER, Database, Origin
from kt_core.database.batch import Change
from kt_core.errors import CounterOverflow, KTError, NotACounter, StoreFull
from kt_core.number import INTEGER

logger = logging.getLogger("kt_cache.stores")

P = ParamSpec("P")
T = TypeVar("T")

_COUNTER_SIZE = INTEGER.size
_AGES = 1e12  # seconds
_BATCH = 512  # keys that are listed at once


class EmbeddedStore:
    """A store over a logical database.

    A cache never raises `StoreFull`: a value that finds no room is dropped, and the old one with it, since it is
    out of date. A database that evicts nothing raises it, and loses nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._environment = database.environment
        self._clock = database.environment.clock

    # -- the contract ------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Value | None:
        """Return the value, or None."""
        found = self._database.find(key)
        if found is None:
            return None
        value = found[0]
        return value if len(value) != _COUNTER_SIZE else int.from_bytes(value, "big", signed=True)

    def get_with_ttl(self, key: bytes) -> tuple[Value, float] | None:
        """Return the value and the seconds it has left, infinity if it never expires; None if there is none."""
        found = self._database.find(key)
        return None if found is None else (to_value(found[0]), self._left(found[1]))

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Value]:
        """Return the values of those keys that have one."""
        found: dict[bytes, Value] = self._database.get_bulk(keys)  # type: ignore[assignment]
        for key, value in found.items():
            if len(value) == _COUNTER_SIZE:  # type: ignore[arg-type]
                found[key] = int.from_bytes(value, "big", signed=True)  # type: ignore[arg-type]
        return found

    def set(self, key: bytes, value: Value, timeout: float | None) -> bool:
        """Store a value, whatever was there; tell whether there was room for it."""
        expiry = self._expiry(timeout)
        if not expiry:
            self.delete(key)
            return True
        return self._set_or_drop(key, to_bytes(value), expiry)

    def set_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]:
        """Store many values; return the keys that could not be stored."""
        expiry = self._expiry(timeout)
        if not expiry:
            self.delete_many(items)
            return []
        values = {key: value if isinstance(value, bytes) else INTEGER.pack(value) for key, value in items.items()}
        try:
            self._database.set_all(values, expiry)
        except StoreFull:
            return [key for key, value in values.items() if not self._set_or_drop(key, value, expiry)]
        return []

    def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
        """Store a value where there is none; tell whether there was none."""
        expiry = self._expiry(timeout)
        if not expiry:
            return not self.exists(key)
        try:
            return self._database.add(key, to_bytes(value), expiry)
        except StoreFull as error:
            self._drop([key], error)
            return not self._environment.bypassed  # nobody has a lock that cannot be kept

    def replace(self, key: bytes, value: Value, timeout: float | None) -> bool:
        """Store a value where there is one; tell whether there was one."""
        expiry = self._expiry(timeout)
        if not expiry:
            return self.delete(key)
        try:
            return self._database.replace(key, to_bytes(value), expiry)
        except StoreFull as error:
            return self._drop([key], error) > 0

    def delete(self, key: bytes) -> bool:
        """Delete a record; tell whether there was one."""
        try:
            return self._database.remove(key)
        except StoreFull as error:
            return self._cannot_delete(error) > 0

    def delete_many(self, keys: Iterable[bytes]) -> int:
        """Delete many records; return how many there were."""
        try:
            return self._database.remove_bulk(keys)
        except StoreFull as error:
            return self._cannot_delete(error)

    def pop(self, key: bytes) -> Value | None:
        """Delete a record and return its value, None if there was none."""
        try:
            record = self._database.seize(key)
        except StoreFull as error:
            self._cannot_delete(error)
            return None
        return to_value(record.value) if record is not None else None

    def touch(self, key: bytes, timeout: float | None) -> bool:
        """Give a record another timeout; tell whether there was one."""
        expiry = self._expiry(timeout)
        if not expiry:
            return self.delete(key)
        try:
            return self._database.touch(key, expiry)
        except StoreFull as error:
            return self._drop([key], error) > 0

    def touch_many(self, keys: Iterable[bytes], timeout: float | None) -> list[bytes]:
        """Give many records another timeout; return the keys of those that there were."""
        expiry = self._expiry(timeout)
        every = list(dict.fromkeys(keys))
        operations = self._database.operations
        changes = [
            Change(operations.touch, (key, expiry), 0) if expiry else Change(operations.remove, (key,), 0)
            for key in every
        ]
        return [
            key
            for key, outcome in zip(every, self._database.change_all(changes), strict=True)
            if (self.touch(key, timeout) if isinstance(outcome, KTError) else outcome)
        ]

    def incr(self, key: bytes, delta: int, *, initial: int | None = None, timeout: float | None = None) -> int | None:
        """Add to a counter, which keeps its expiry, and return the sum; see the contract for all else."""
        origin = Origin.TRY if initial is None else initial
        try:
            return self._database.increment(
                key, delta, origin, self._expiry(timeout) or 1, keep_expiry=True, wrap=False
            )
        except StoreFull as error:
            self._drop([key], error)
            return None if initial is None else initial + delta

    def incr_many(
        self, deltas: Mapping[bytes, int], *, initial: int | None = None, timeout: float | None = None
    ) -> dict[bytes, int | KTError]:
        """Add to many counters; return their sums, without those that there were not, or what each met with."""
        origin = Origin.TRY if initial is None else initial
        expiry = self._expiry(timeout) or 1
        operation = self._database.operations.increment
        changes = [
            Change(operation, (key, delta, origin, expiry, True, False), _COUNTER_SIZE) for key, delta in deltas.items()
        ]
        sums: dict[bytes, int | KTError] = {}
        for (key, delta), outcome in zip(deltas.items(), self._database.change_all(changes), strict=True):
            if isinstance(outcome, KTError) and not isinstance(outcome, NotACounter | CounterOverflow):
                outcome = self.incr(key, delta, initial=initial, timeout=timeout)
            if outcome is not None:
                sums[key] = outcome
        return sums

    def compare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None = None
    ) -> bool:
        """Put `new` in the place of `old`, None standing for no record; tell whether `old` was there."""
        keep = isinstance(timeout, Keep)
        expiry = NEVER if isinstance(timeout, Keep) else self._expiry(timeout)
        wanted = None if new is None or not expiry else to_bytes(new)
        try:
            return self._database.cas(key, None if old is None else to_bytes(old), wanted, expiry, keep_expiry=keep)
        except StoreFull as error:
            self._drop([key], error)
            return False

    def exists(self, key: bytes) -> bool:
        """Tell whether there is a record, without counting as a read."""
        return self._database.check(key) is not None

    def ttl(self, key: bytes) -> float | None:
        """Return the seconds a record has left, infinity if it never expires; None if there is none."""
        found = self._database.check(key)
        return None if found is None else self._left(found[1])

    def ttl_many(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        """Return the seconds that those of the records have left that there are."""
        return {key: left for key in keys if (left := self.ttl(key)) is not None}

    def expire_at(self, key: bytes, when: float) -> bool:
        """Let a record expire at a time, in seconds since the epoch; tell whether there was one."""
        return self.touch(key, when - self._clock())

    def persist(self, key: bytes) -> bool:
        """Let a record never expire; tell whether there was one."""
        return self.touch(key, None)

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        """Return all keys with the prefix."""
        return list(self._database.keys(prefix))

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the keys with the prefix; no snapshot, and no more than a batch of them in memory."""
        return self._database.keys(prefix)

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """Yield what is known of the records with the prefix, without reading them; no snapshot."""
        for key, size, expiry, used in self._database.traces(prefix):
            yield Entry(key, size, self._left(expiry), None if used is None else used / 1000)

    def clear(self) -> None:
        """Delete every record of the logical database."""
        try:
            self._database.clear()
        except StoreFull as error:
            self._cannot_delete(error)

    def clear_prefix(self, prefix: bytes) -> int:
        """Delete every record whose key begins with the prefix; return how many there were."""
        return self.delete_many(self._database.keys(prefix))

    def cull(self, limit: int, divisor: int) -> None:
        """Where `limit` records or more are there, make room: drop one in `divisor`, old ones first; all for 0."""
        self._database.count_uses()
        if self._database.count() < limit:
            return
        try:
            self._database.cull(divisor) if divisor else self._database.clear()
        except StoreFull as error:
            self._cannot_delete(error)

    def vacuum(self) -> None:
        """Delete the expired records of the whole environment now."""
        self._database.vacuum()

    def stats(self) -> Stats:
        """Return the figures of the store."""
        status = self._database.status()
        return Stats(
            store="embedded",
            location=str(self._environment.directory),
            entries=status["count"],
            size=status["size"],
            **self._environment.counters(),
        )

    def ping(self) -> bool:
        """Read something; tell whether anything that is written is kept."""
        self._database.check(b"")
        return not self._environment.bypassed

    def close(self) -> None:
        """Nothing to do: the environment belongs to the process, and other threads use it."""

    # -- awaited -----------------------------------------------------------------------------------------

    async def _off_loop(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a write here if it takes microseconds, in a thread if it may wait for an fsync or another writer."""
        if self._environment.may_wait():
            return await _in_thread(operation, *args, **kwargs)
        return operation(*args, **kwargs)

    async def aget(self, key: bytes) -> Value | None:
        return self.get(key)

    async def aget_with_ttl(self, key: bytes) -> tuple[Value, float] | None:
        return self.get_with_ttl(key)

    async def aget_many(self, keys: Iterable[bytes]) -> dict[bytes, Value]:
        return self.get_many(keys)

    async def aset(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return await self._off_loop(self.set, key, value, timeout)

    async def aset_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]:
        return await self._off_loop(self.set_many, items, timeout)

    async def aadd(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return await self._off_loop(self.add, key, value, timeout)

    async def areplace(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return await self._off_loop(self.replace, key, value, timeout)

    async def adelete(self, key: bytes) -> bool:
        return await self._off_loop(self.delete, key)

    async def adelete_many(self, keys: Iterable[bytes]) -> int:
        return await self._off_loop(self.delete_many, keys)

    async def apop(self, key: bytes) -> Value | None:
        return await self._off_loop(self.pop, key)

    async def atouch(self, key: bytes, timeout: float | None) -> bool:
        return await self._off_loop(self.touch, key, timeout)

    async def atouch_many(self, keys: Iterable[bytes], timeout: float | None) -> list[bytes]:
        return await self._off_loop(self.touch_many, keys, timeout)

    async def aincr(
        self, key: bytes, delta: int, *, initial: int | None = None, timeout: float | None = None
    ) -> int | None:
        return await self._off_loop(self.incr, key, delta, initial=initial, timeout=timeout)

    async def aincr_many(
        self, deltas: Mapping[bytes, int], *, initial: int | None = None, timeout: float | None = None
    ) -> dict[bytes, int | KTError]:
        return await self._off_loop(self.incr_many, deltas, initial=initial, timeout=timeout)

    async def acompare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None = None
    ) -> bool:
        return await self._off_loop(self.compare_and_set, key, old, new, timeout)

    async def aexists(self, key: bytes) -> bool:
        return self.exists(key)

    async def attl(self, key: bytes) -> float | None:
        return self.ttl(key)

    async def attl_many(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        return self.ttl_many(keys)

    async def aexpire_at(self, key: bytes, when: float) -> bool:
        return await self._off_loop(self.expire_at, key, when)

    async def apersist(self, key: bytes) -> bool:
        return await self._off_loop(self.persist, key)

    # Walking many keys, and what needs the process's lock, takes a thread: it is no matter of microseconds.

    async def akeys(self, prefix: bytes = b"") -> list[bytes]:
        return await _in_thread(self.keys, prefix)

    async def aclear(self) -> None:
        await _in_thread(self.clear)

    async def aclear_prefix(self, prefix: bytes) -> int:
        return await _in_thread(self.clear_prefix, prefix)

    async def acull(self, limit: int, divisor: int) -> None:
        await _in_thread(self.cull, limit, divisor)

    async def avacuum(self) -> None:
        await _in_thread(self.vacuum)

    async def astats(self) -> Stats:
        return await _in_thread(self.stats)

    async def aping(self) -> bool:
        return self.ping()

    async def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        keys = self.iter_keys(prefix)
        while batch := await _in_thread(lambda: list(islice(keys, _BATCH))):
            for key in batch:
                yield key

    # -- expiry and fullness -----------------------------------------------------------------------------

    def _expiry(self, timeout: float | None) -> int:
        """Return the expiry in milliseconds; 0, which is no expiry at all, for a timeout that is over."""
        if timeout is None:
            return NEVER
        if timeout <= 0:
            return 0
        if timeout < _AGES:
            # Rounded down: nothing outlives its timeout, and whoever sleeps exactly as long finds it gone.
            return int((self._clock() + timeout) * 1000)
        refuse_nan(timeout)
        return NEVER

    def _left(self, expiry: int) -> float:
        return math.inf if expiry == NEVER else max(0.0, expiry / 1000 - self._clock())

    def _set_or_drop(self, key: bytes, value: bytes, expiry: int) -> bool:
        try:
            self._database.set(key, value, expiry)
        except StoreFull as error:
            self._drop([key], error)
            return False
        return True

    def _drop(self, keys: list[bytes], error: StoreFull) -> int:
        """Forget what a cache could not bring up to date; return how many records that were."""
        if not self._environment.evicts:
            raise error
        if self._environment.bypassed:
            return 0
        logger.warning("not cached: %s", error, extra={"kt_location": str(self._environment.directory)})
        return self.delete_many(keys)

    def _cannot_delete(self, error: StoreFull) -> int:
        if not self._environment.evicts:
            raise error
        self._environment.enter_bypass()
        return 0


async def _in_thread(operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    from asyncio import to_thread  # whoever awaits has it: the others need not load it

    return await to_thread(operation, *args, **kwargs)
