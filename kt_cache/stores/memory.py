"""The reference store: a dictionary in one process, which says in plain code what the contract means."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from kt_cache.stores.base import Entry, Keep, Stats, Value
from kt_core.errors import CounterOverflow, InvalidInput, KTError, NotACounter

_INT64 = range(-(1 << 63), 1 << 63)


class MemoryStore:
    """A store private to this process, for tests and for reading; nothing is evicted but by `cull`."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._records: dict[bytes, tuple[Value, float]] = {}  # oldest use first
        self._hits = self._misses = self._evictions = self._expirations = 0

    def get(self, key: bytes) -> Value | None:
        return self.get_many([key]).get(key)

    def get_with_ttl(self, key: bytes) -> tuple[Value, float] | None:
        with self._lock:
            value, left = self.get(key), self.ttl(key)
            return None if value is None or left is None else (value, left)

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Value]:
        with self._lock:
            found = {}
            for key in keys:
                record = self._find(key)
                if record is None:
                    self._misses += 1
                else:
                    self._hits += 1
                    self._records[key] = self._records.pop(key)
                    found[key] = record[0]
            return found

    def set(self, key: bytes, value: Value, timeout: float | None) -> bool:
        expiry = self._expiry(timeout)
        with self._lock:
            return self._put(key, value, expiry)

    def set_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]:
        for key, value in items.items():
            self.set(key, value, timeout)
        return []

    def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
        expiry = self._expiry(timeout)
        with self._lock:
            return not self.exists(key) and self._put(key, value, expiry)

    def replace(self, key: bytes, value: Value, timeout: float | None) -> bool:
        expiry = self._expiry(timeout)
        with self._lock:
            return self.exists(key) and self._put(key, value, expiry)

    def delete(self, key: bytes) -> bool:
        with self._lock:
            return self._find(key) is not None and self._records.pop(key) is not None

    def delete_many(self, keys: Iterable[bytes]) -> int:
        return sum([self.delete(key) for key in keys])

    def pop(self, key: bytes) -> Value | None:
        with self._lock:
            return self._records.pop(key)[0] if self._find(key) else None

    def touch(self, key: bytes, timeout: float | None) -> bool:
        expiry = self._expiry(timeout)
        with self._lock:
            record = self._find(key)
            return record is not None and self._put(key, record[0], expiry)

    def touch_many(self, keys: Iterable[bytes], timeout: float | None) -> list[bytes]:
        with self._lock:
            return [key for key in dict.fromkeys(keys) if self.touch(key, timeout)]

    def incr(self, key: bytes, delta: int, *, initial: int | None = None, timeout: float | None = None) -> int | None:
        made = initial, self._expiry(timeout)
        with self._lock:
            value, expiry = self._find(key) or made
            if value is None:
                return None
            if not isinstance(value, int):
                raise NotACounter("the record holds bytes, not a counter")
            total = value + delta
            if total not in _INT64:
                raise CounterOverflow(f"the sum {total} does not fit the 64 bits of a counter")
            self._records[key] = (total, expiry)
            return total

    def incr_many(
        self, deltas: Mapping[bytes, int], *, initial: int | None = None, timeout: float | None = None
    ) -> dict[bytes, int | KTError]:
        sums: dict[bytes, int | KTError] = {}
        for key, delta in deltas.items():
            try:
                total = self.incr(key, delta, initial=initial, timeout=timeout)
            except (NotACounter, CounterOverflow) as error:
                sums[key] = error
            else:
                if total is not None:
                    sums[key] = total
        return sums

    def compare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None = None
    ) -> bool:
        expiry = None if isinstance(timeout, Keep) else self._expiry(timeout)
        with self._lock:
            value, kept = self._find(key) or (None, math.inf)
            if value != (None if old is None else _value(old)):
                return False
            if new is None:
                self._records.pop(key, None)
                return True
            return self._put(key, new, kept if expiry is None else expiry)

    def exists(self, key: bytes) -> bool:
        with self._lock:
            return self._find(key) is not None

    def ttl(self, key: bytes) -> float | None:
        with self._lock:
            record = self._find(key)
            return None if record is None else record[1] - self._clock()

    def ttl_many(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        return {key: left for key in keys if (left := self.ttl(key)) is not None}

    def expire_at(self, key: bytes, when: float) -> bool:
        return self.touch(key, when - self._clock())

    def persist(self, key: bytes) -> bool:
        return self.touch(key, None)

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        with self._lock:
            return sorted(key for key in list(self._records) if key.startswith(prefix) and self._find(key))

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        return iter(self.keys(prefix))

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        for key in self.keys(prefix):
            with self._lock:
                record = self._find(key)
            if record is not None:
                yield Entry(key, _size(record[0]), record[1] - self._clock(), None)

    def clear(self) -> None:
        with self._lock:
            self._records.clear()

    def clear_prefix(self, prefix: bytes) -> int:
        with self._lock:
            return self.delete_many(self.keys(prefix))

    def cull(self, limit: int, divisor: int) -> None:
        with self._lock:
            count = len(self._records)
            if count >= limit:
                for key in list(self._records)[: count // divisor if divisor else count]:
                    del self._records[key]
                    self._evictions += 1

    def vacuum(self) -> None:
        self.keys()

    def stats(self) -> Stats:
        with self._lock:
            size = sum(len(key) + _size(value) for key, (value, _) in self._records.items())
            return Stats("memory", "this process", len(self._records), size, 0, self._hits, self._misses,
                         self._evictions, self._expirations, 1)  # fmt: skip

    def ping(self) -> bool:
        return True

    def close(self) -> None:
        self.clear()

    def _find(self, key: bytes) -> tuple[Value, float] | None:
        record = self._records.get(key)
        if record is not None and record[1] <= self._clock():
            del self._records[key]
            self._expirations += 1
            return None
        return record

    def _expiry(self, timeout: float | None) -> float:
        if timeout is not None and timeout != timeout:
            raise InvalidInput("a timeout cannot be NaN: write seconds, or None for never")
        return math.inf if timeout is None else self._clock() + timeout

    def _put(self, key: bytes, value: Value, expiry: float) -> bool:
        self._records.pop(key, None)
        if expiry > self._clock():
            self._records[key] = (_value(value), expiry)
        return True


def _size(value: Value) -> int:
    return len(value) if isinstance(value, bytes) else 8


def _value(value: Value) -> Value:
    """Return the counter that eight bytes are, and any other value as it is."""
    return int.from_bytes(value, "big", signed=True) if isinstance(value, bytes) and len(value) == 8 else value
