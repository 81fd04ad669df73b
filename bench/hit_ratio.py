"""How well eviction keeps what is asked for: a Zipf trace against an exact LRU that holds as many entries."""

from __future__ import annotations

import random
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Protocol

from bench.backends import KTCACHE, VALUE, VALUE_SIZE, open_cache
from bench.servers import REDIS, RedisConnection
from bench.zipf import zipf_ranks

EXPONENT = 0.99
CAPACITY = 0.1  # of the key space
TOLERANCE = 0.03  # of the capacity, when the store's size is chosen
TRIALS = 6
SAMPLE = 1_000  # requests between two looks at the number of entries
WARM = 0.5  # of a trace, before the entries held are averaged
OVERHEAD = 200  # bytes a record takes beside its value: a first guess


class TrueLRU:
    """The model: keeps the `capacity` keys asked for last."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._keys: OrderedDict[str, None] = OrderedDict()

    def request(self, key: str) -> bool:
        """Ask for a key, storing it when it is not there; return whether it was."""
        if key in self._keys:
            self._keys.move_to_end(key)
            return True
        self._keys[key] = None
        if len(self._keys) > self._capacity:
            self._keys.popitem(last=False)
        return False


class Store(Protocol):
    """A cache of bounded size."""

    def request(self, key: str) -> bool:
        """Ask for a key, storing it when it is not there; return whether it was."""
        ...

    def entries(self) -> int: ...


class Embedded:
    """KTCache, through Django's calls."""

    def __init__(self, folder: Path, max_size: int) -> None:
        self.cache: Any = open_cache(KTCACHE.config(folder, max_size=max_size))

    def request(self, key: str) -> bool:
        if self.cache.get(key) is not None:
            return True
        self.cache.set(key, VALUE)
        return False

    def entries(self) -> int:
        return int(self.cache.stats().entries)


class Redis:
    """Redis with allkeys-lru, through a bare connection: only what it keeps matters here."""

    value = b"v" * VALUE_SIZE

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    def request(self, key: str) -> bool:
        if self._connection.call("GET", key) is not None:
            return True
        self._connection.call("SET", key, self.value, "EX", 3600)
        return False

    def entries(self) -> int:
        return int(self._connection.call("DBSIZE"))


@dataclass(frozen=True)
class Row:
    """One store under one naming of the keys, beside the model with as many entries."""

    title: str
    names: str
    entries: float  # held, on average
    hits: float  # of all requests
    true_lru: float


# Opens an empty store bounded to a number of bytes.
Opener = Callable[[int], AbstractContextManager[Store]]


def measure(with_redis: bool, folder: Path, keys: int, requests: int, say: Callable[[str], None]) -> list[Row]:
    """Replay the trace on each store, then on the model with as many entries as the store held."""
    ranks = zipf_ranks(keys, requests, EXPONENT, seed=0)
    numbers = list(range(keys))
    sorted_names = [f"item:{number:07}" for number in numbers]
    random.Random(0).shuffle(numbers)
    shuffled_names = [f"item:{number:07}" for number in numbers]

    stores: list[tuple[str, Opener, dict[str, list[str]]]] = [
        (
            KTCACHE.title,
            _embedded(folder),
            {"in order of popularity": sorted_names, "shuffled": shuffled_names},
        )
    ]
    if with_redis:  # it keeps keys by hash: their order is nothing to it
        stores.append(("Redis, allkeys-lru", _redis, {"shuffled": shuffled_names}))
    rows = []
    for title, opener, namings in stores:
        say(f"hit ratio: choosing the size of {title}")
        size = fitting_size(opener, int(keys * CAPACITY))
        for naming, names in namings.items():
            say(f"hit ratio: {title}, names {naming}")
            trace = [names[rank] for rank in ranks]
            with opener(size) as store:
                hits, entries = replay(store, trace)
            model = TrueLRU(round(entries))
            rows.append(Row(title, naming, entries, hits, sum(map(model.request, trace)) / requests))
    return rows


def fitting_size(opener: Opener, capacity: int) -> int:
    """Bytes with which a store holds about `capacity` records."""
    size = capacity * (VALUE_SIZE + OVERHEAD)
    distinct = [f"item:{number:07}" for number in range(4 * capacity)]
    random.Random(0).shuffle(distinct)
    for _ in range(TRIALS):
        with opener(size) as store:
            _, entries = replay(store, distinct)
        if abs(entries / capacity - 1) < TOLERANCE:
            break
        size = int(size * capacity / entries)
    return size


def replay(store: Store, trace: Sequence[str]) -> tuple[float, float]:
    """The share of hits, and the entries held on average once the store was warm."""
    hits = 0
    held = []
    for start in range(0, len(trace), SAMPLE):
        hits += sum(map(store.request, trace[start : start + SAMPLE]))
        held.append(store.entries())
    return hits / len(trace), mean(held[int(len(held) * WARM) :])


def _embedded(folder: Path) -> Opener:
    @contextmanager
    def opener(size: int) -> Iterator[Store]:
        # A directory never used before: an open database is kept by its path for the life of the process.
        with tempfile.TemporaryDirectory(dir=folder) as own:
            yield Embedded(Path(own), size)

    return opener


@contextmanager
def _redis(size: int) -> Iterator[Store]:
    policy = ("--maxmemory-policy", "allkeys-lru")
    with REDIS.run(*policy) as address, closing(RedisConnection(address.socket)) as connection:
        # An empty server occupies more than a small cache's records do.
        connection.call("CONFIG", "SET", "maxmemory", connection.figure("used_memory") + size)
        yield Redis(connection)
