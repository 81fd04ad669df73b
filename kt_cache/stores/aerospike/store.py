"""The Aerospike store: the contract on one set of a cluster, an operation of the cluster's for each of the store's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import aerospike
from aerospike_helpers.batch.records import BatchRecords, Write  # type: ignore[import-untyped]
from aerospike_helpers.operations import operations  # type: ignore[import-untyped]

from kt_cache.stores.aerospike.cluster import Cluster
from kt_cache.stores.aerospike.failures import ANSWERS, OK, Answer
from kt_cache.stores.aerospike.forms import (
    BIN,
    KEEP_TTL,
    NEVER,
    NativeKey,
    begins_with,
    has_room_for,
    holds,
    in_portions,
    of_bins,
    to_key,
    to_seconds,
    to_stored,
    to_ttl,
)
from kt_cache.stores.aerospike.report import count, report, size_limit
from kt_cache.stores.base import Entry, Keep, Stats, Value
from kt_cache.stores.forms import COUNTERS, overflow, parts, refuse_nan
from kt_cache.stores.threads import InThreads
from kt_core.errors import CounterOverflow, KTError, NotACounter, NotSupported, StoreFull

logger = logging.getLogger("kt_cache.stores")

_SET = aerospike.POLICY_EXISTS_CREATE_OR_REPLACE
_ADD = aerospike.POLICY_EXISTS_CREATE
_REPLACE = aerospike.POLICY_EXISTS_REPLACE
_UPDATE = aerospike.POLICY_EXISTS_UPDATE

_READ, _DELETE, _TOUCH = operations.read(BIN), operations.delete(), operations.touch()

_ROWS: Final = 1000  # records of one batch
_KEYS: Final = 2000  # keys that are listed at once
_ENTRIES: Final = 200  # and records with their values
_PORTION: Final = 8 << 20  # bytes of values in one batch, but for one value alone
_UNSTORED: Final = (Answer.TOO_BIG, Answer.FULL)


class AerospikeStore(InThreads):
    """A store over a set.

    Times are whole seconds, rounded up, and the server adds what is left of the current one. `stats` counts the reads
    of the whole namespace. The server removes expired records by itself, so that `vacuum` has nothing to do; `cull`
    leaves to chance which records go. A record too large for the server, or one for which it has no room left, raises
    `StoreFull`; with `drops` it is not cached, nor is what it was to replace. `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        drops: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._call = cluster.call
        self._batch = cluster.batch
        self._namespace, self._set = cluster.namespace, cluster.set
        self._drops = drops
        self._clock = clock

    # -- one record --------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Value | None:
        """Return the value, or None."""
        # What `_key` does, without the call: half a microsecond of the eleven that a get takes.
        found = self._call("get", (self._namespace, self._set, bytearray(key) or ""))
        return None if found is Answer.ABSENT else of_bins(found[2])

    def get_with_ttl(self, key: bytes) -> tuple[Value, float] | None:
        """Return the value and the whole seconds it has left, infinity if it never expires; None if there is none."""
        found = self._call("get", self._key(key))
        if found is Answer.ABSENT:
            return None
        _, meta, bins = found
        value = of_bins(bins)
        return None if value is None else (value, to_seconds(meta["ttl"]))

    def set(self, key: bytes, value: Value, timeout: float | None) -> bool:
        """Store a value, whatever was there; tell whether there was room for it."""
        ttl = to_ttl(timeout)
        if not ttl:
            self.delete(key)
            return True
        return self._put(key, value, ttl, _SET) is None

    def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
        """Store a value where there is none; tell whether there was none."""
        ttl = to_ttl(timeout)
        return self._put(key, value, ttl, _ADD) is None if ttl else not self.exists(key)

    def replace(self, key: bytes, value: Value, timeout: float | None) -> bool:
        """Store a value where there is one; tell whether there was one."""
        ttl = to_ttl(timeout)
        return self._put(key, value, ttl, _REPLACE) is None if ttl else self.delete(key)

    def compare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None = None
    ) -> bool:
        """Put `new` in the place of `old`, None standing for no record; tell whether `old` was there.

        The server compares: a generation would be that of another record, too, once the first one was deleted.
        """
        ttl = (NEVER if old is None else KEEP_TTL) if isinstance(timeout, Keep) else to_ttl(timeout)
        if old is None:
            if new is None or not ttl:
                return not self.exists(key)
            return self._put(key, new, ttl, _ADD) is None
        if new is None or not ttl:
            return self._did("operate", self._key(key), [_DELETE], None, {"expressions": holds(old)})
        return self._put(key, new, ttl, _REPLACE, holds(old)) is None

    def delete(self, key: bytes) -> bool:
        """Delete a record; tell whether there was one."""
        # Not `remove`, to which an expired record is one until the server has removed it.
        return self._did("operate", self._key(key), [_DELETE])

    def pop(self, key: bytes) -> Value | None:
        """Delete a record and return its value, None if there was none."""
        found = self._call("operate", self._key(key), [_READ, _DELETE])
        return None if found is Answer.ABSENT else of_bins(found[2])

    def exists(self, key: bytes) -> bool:
        """Tell whether there is a record."""
        return self._call("exists", self._key(key))[1] is not None

    # -- expiry ------------------------------------------------------------------------------------------

    def touch(self, key: bytes, timeout: float | None) -> bool:
        """Give a record another timeout; tell whether there was one."""
        ttl = to_ttl(timeout)
        return self._did("touch", self._key(key), ttl) if ttl else self.delete(key)

    def persist(self, key: bytes) -> bool:
        """Let a record never expire; tell whether there was one."""
        return self.touch(key, None)

    def expire_at(self, key: bytes, when: float) -> bool:
        """Let a record expire at a time, in seconds since the epoch; tell whether there was one."""
        refuse_nan(when)
        return self.touch(key, when - self._clock())

    def ttl(self, key: bytes) -> float | None:
        """Return the whole seconds a record has left, infinity if it never expires; None if there is none."""
        meta = self._call("exists", self._key(key))[1]
        return None if meta is None else to_seconds(meta["ttl"])

    # -- counters ----------------------------------------------------------------------------------------

    def incr(self, key: bytes, delta: int, *, initial: int | None = None, timeout: float | None = None) -> int | None:
        """Add to a counter, which keeps its expiry, and return the sum; see the contract for all else."""
        return self._incr(key, delta, initial, to_ttl(timeout))

    def _incr(self, key: bytes, delta: int, initial: int | None, ttl: int) -> int | None:
        while True:
            total = self._counted(key, delta)
            if total is not None or initial is None:
                return total
            total = _sum(initial, delta)
            if not ttl or self._put(key, total, ttl, _ADD) is not Answer.PRESENT:
                return total

    def _counted(self, key: bytes, delta: int) -> int | None:
        """Add to a counter that is there; None if there is none."""
        if delta in COUNTERS:
            found = self._call("operate", self._key(key), *_increment(delta))
            if found is Answer.ABSENT:
                return None
            if found is not Answer.UNFIT:
                return found[2][BIN]  # type: ignore[no-any-return]
        while (found := self._call("get", self._key(key))) is not Answer.ABSENT:
            value = of_bins(found[2])
            if not isinstance(value, int):
                raise NotACounter(f"the record under {key!r} holds no number: it was not written as a counter")
            total = _sum(value, delta)
            if self._put(key, total, KEEP_TTL, _REPLACE, holds(value)) is None:
                return total
        return None

    def incr_many(
        self, deltas: Mapping[bytes, int], *, initial: int | None = None, timeout: float | None = None
    ) -> dict[bytes, int | KTError]:
        """Add to many counters; return their sums, without those that there were not, or what each met with."""
        ttl = to_ttl(timeout)
        sums: dict[bytes, int | KTError] = {}
        for part in parts(deltas, _ROWS):
            counted = {key: deltas[key] for key in part if deltas[key] in COUNTERS}
            writes = [
                Write(self._key(key), ops, meta, policy)
                for key, (ops, meta, policy) in ((key, _increment(delta)) for key, delta in counted.items())
            ]
            rows = self._batch("batch_write", BatchRecords(writes)) if writes else []
            totals = {
                key: row.record[2][BIN]
                for key, row in zip(counted, rows, strict=True)
                if row.result == OK and row.record is not None
            }
            for key in part:
                try:
                    total = totals[key] if key in totals else self._incr(key, deltas[key], initial, ttl)
                except (NotACounter, CounterOverflow) as error:
                    sums[key] = error
                else:
                    if total is not None:
                        sums[key] = total
        return sums

    # -- many records ------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Value]:
        """Return the values of those keys that have one."""
        namespace, name = self._namespace, self._set
        values: dict[bytes, Value] = {}
        for part in parts(keys, _ROWS):
            rows = self._batch("batch_read", [(namespace, name, bytearray(key) or "") for key in part], [BIN])
            for key, row in zip(part, rows, strict=True):
                if row.record is not None and (value := of_bins(row.record[2])) is not None:
                    values[key] = value
        return values

    def set_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]:
        """Store many values; return the keys that could not be stored: too large, or no room."""
        ttl = to_ttl(timeout)
        if not ttl:
            self.delete_many(items)
            return []
        policy = {"ttl": ttl, "exists": _SET}
        namespace, name, write = self._namespace, self._set, aerospike.OPERATOR_WRITE
        failed: list[tuple[bytes, Answer]] = []
        for part in in_portions(items, _ROWS, _PORTION):
            writes = [
                Write((namespace, name, bytearray(key) or ""), [{"op": write, "bin": BIN, "val": stored}], None, policy)
                for key, stored in part
            ]
            rows = self._batch("batch_write", BatchRecords(writes))
            failed += [(key, ANSWERS[row.result]) for (key, _), row in zip(part, rows, strict=True) if row.result != OK]
        for key, answer in failed:
            self._drop(key, items[key], answer)
        return [key for key, _ in failed]

    def delete_many(self, keys: Iterable[bytes]) -> int:
        """Delete many records; return how many there were."""
        return sum(len(done) for done in self._all(keys, _DELETE, None))

    def touch_many(self, keys: Iterable[bytes], timeout: float | None) -> list[bytes]:
        """Give many records another timeout; return the keys of those that there were."""
        ttl = to_ttl(timeout)
        every = self._all(keys, _TOUCH, {"ttl": ttl}) if ttl else self._all(keys, _DELETE, None)
        return [key for done in every for key in done]

    def _all(self, keys: Iterable[bytes], operation: Any, policy: dict[str, Any] | None) -> Iterator[list[bytes]]:
        """Do the same to many records; yield the keys of those that there were."""
        for part in parts(keys, _ROWS):
            rows = self._batch("batch_operate", [self._key(key) for key in part], [operation], None, policy)
            yield [key for key, row in zip(part, rows, strict=True) if row.result == OK]

    def ttl_many(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        """Return the whole seconds that those of the records have left that there are."""
        left: dict[bytes, float] = {}
        for part in parts(keys, _ROWS):
            rows = self._batch("batch_read", [self._key(key) for key in part], [])
            left |= {
                key: to_seconds(row.record[1]["ttl"])
                for key, row in zip(part, rows, strict=True)
                if row.record is not None
            }
        return left

    # -- all records -------------------------------------------------------------------------------------

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        """Return all keys with the prefix."""
        return list(self.iter_keys(prefix))

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the keys with the prefix; no snapshot, and no more than a page of them in memory."""
        return (key for page in self._pages_of_keys(prefix) for key in page)

    async def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        """Yield the keys with the prefix; each page takes a thread."""
        pages = self._pages_of_keys(prefix)
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            for key in page:
                yield key

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """Yield what is known of the records with the prefix; the server sends the values, too."""
        for page in self._pages(prefix, _ENTRIES, with_values=True):
            for key, meta, bins in page:
                value = of_bins(bins)
                if value is not None:
                    size = len(value) if isinstance(value, bytes) else 8
                    yield Entry(key, size, to_seconds(meta["ttl"]), None)

    def clear(self) -> None:
        """Delete every record of the set."""
        self._cluster.truncate()

    def clear_prefix(self, prefix: bytes) -> int:
        """Delete every record whose key begins with the prefix; return how many there were."""
        return sum(self.delete_many(page) for page in self._pages_of_keys(prefix))

    def cull(self, limit: int, divisor: int) -> None:
        """Where `limit` records or more are there, drop one in `divisor`, whichever these are; all for 0."""
        if count(self._cluster) < limit:  # an estimate: records of a set just cleared are among them
            return
        found = [native for page in self._cluster.pages(_KEYS, {}, {"nobins": True}) for native, _, _ in page]
        if len(found) < limit:
            return
        if not divisor:
            self.clear()
            return
        doomed = found[::divisor][: len(found) // divisor]
        with_keys = [native[:3] for native in doomed if native[2] is not None]
        for start in range(0, len(with_keys), _ROWS):
            self._batch("batch_operate", with_keys[start : start + _ROWS], [_DELETE])
        for native in doomed:
            if native[2] is None:  # one by one: a batch of digests alone ends the process
                self._did("operate", native, [_DELETE])

    def vacuum(self) -> None:
        """Nothing to do: the server removes what has expired, in each `nsup-period` of its configuration."""

    def _pages_of_keys(self, prefix: bytes) -> Iterator[list[bytes]]:
        return ([key for key, _, _ in page] for page in self._pages(prefix, _KEYS, with_values=False))

    def _pages(
        self, prefix: bytes, size: int, *, with_values: bool
    ) -> Iterator[list[tuple[bytes, dict[str, int], dict[str, Any]]]]:
        """Yield the records with the prefix, as far as their keys are stored and could be ours."""
        if not self._cluster.keeps_keys:
            raise NotSupported(
                f"{self._cluster.where} keeps no keys, so that none can be listed nor chosen by a prefix: leave out "
                "send_key=False; records written until then stay without"
            )
        policy = {"expressions": begins_with(prefix)} if prefix else {}
        for page in self._cluster.pages(size, policy, {"nobins": not with_values}):
            yield [(key, meta, bins) for (_, _, stored, _), meta, bins in page if (key := to_key(stored)) is not None]

    # -- about it ----------------------------------------------------------------------------------------

    def stats(self) -> Stats:
        """Return the figures of the set, and of the namespace's reads, room, evictions and expirations."""
        return report(self._cluster)

    def ping(self) -> bool:
        """Ask for a record; tell that there was an answer."""
        self.exists(b"")
        return True

    def close(self) -> None:
        """Let go of the client of this process; whoever needs it connects anew."""
        self._cluster.close()

    # -- steps -------------------------------------------------------------------------------------------

    def _key(self, key: bytes) -> NativeKey:
        return (self._namespace, self._set, bytearray(key) or "")

    def _did(self, method: str, *args: Any) -> bool:
        return not isinstance(self._call(method, *args), Answer)

    def _put(self, key: bytes, value: Value, ttl: int, exists: int, condition: Any = None) -> Answer | None:
        """Write a record; return why it was not written, None if it was."""
        policy = {"ttl": ttl, "exists": exists}
        if condition is not None:
            policy["expressions"] = condition
        answer = self._call("put", self._key(key), {BIN: to_stored(value)}, None, policy)
        if answer == OK:
            return None
        if answer in _UNSTORED:
            self._drop(key, value, answer)
        return answer  # type: ignore[no-any-return]

    def _drop(self, key: bytes, value: Value, answer: Answer) -> None:
        """Forget what a cache could not bring up to date, or raise `StoreFull`."""
        # Where nothing may be lost there are sessions, and their keys are for nobody's eyes.
        what = f"the value of {key!r}" if self._drops else "the value"
        why = f"{self._cluster.where} has no room left for {what}: give the namespace more"
        if answer is Answer.TOO_BIG:
            size = len(value) if isinstance(value, bytes) else 8
            why = (
                f"{what} is {size} bytes, and a record of {self._cluster.where} takes "
                f"{size_limit(self._cluster)} with its key: store less, compress it with the option compression, or "
                "raise the server's max-record-size"
            )
        if not self._drops:
            raise StoreFull(why)
        logger.warning("not cached: %s", why, extra={"kt_location": self._cluster.where})
        self.delete(key)


@lru_cache(maxsize=1024)  # built anew they would take as long as a quarter of the exchange
def _increment(delta: int) -> tuple[list[dict[str, Any]], None, dict[str, Any]]:
    """Return what the client needs to add to a counter that is there, and has room, and keeps its expiry."""
    policy = {"ttl": KEEP_TTL, "exists": _UPDATE, "expressions": has_room_for(delta)}
    return [operations.increment(BIN, delta), _READ], None, policy


def _sum(number: int, delta: int) -> int:
    if number + delta not in COUNTERS:
        raise overflow(number + delta)
    return number + delta
