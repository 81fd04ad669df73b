"""What becomes of speed and size as entries grow in number: the embedded store beside Redis."""

from __future__ import annotations

import pickle
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Protocol

from django.core.cache.backends.base import BaseCache

from bench.backends import KTCACHE, REDIS_CACHE, open_cache
from bench.servers import REDIS, RedisConnection

VALUE = "v" * 85
PICKLED = pickle.dumps(VALUE, pickle.HIGHEST_PROTOCOL)
LIFETIME = 86_400
FILL = 1_000
CALLS = 100
MAX_SIZE_PER_KEY = 860  # 4 GiB for 5 million: nothing may be evicted
ROOM_PER_KEY = 1_200  # that, and Redis's memory beside it
SMALLEST = 256 << 20


@dataclass(frozen=True)
class Row:
    """One store at one number of entries."""

    title: str
    entries: int
    get: float  # microseconds, median
    set: float
    bytes_per_entry: float
    fill: float  # entries a second, from the size before


@dataclass
class Result:
    """The rows, and what was left out."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Store(Protocol):
    """A cache that can be filled fast and weighed."""

    title: str
    cache: BaseCache

    def put(self, names: Iterable[str]) -> None: ...

    def weigh(self) -> tuple[int, int]:
        """Entries, and bytes they occupy."""
        ...


class Embedded:
    """KTCache, filled through set_many."""

    title = KTCACHE.title

    def __init__(self, folder: Path, max_size: int) -> None:
        self.cache: Any = open_cache(KTCACHE.config(folder, max_size=max_size))

    def put(self, names: Iterable[str]) -> None:
        self.cache.set_many(dict.fromkeys(names, VALUE), LIFETIME)

    def weigh(self) -> tuple[int, int]:
        stats = self.cache.stats()
        return stats.entries, stats.size


class Redis:
    """Redis, filled with the same keys, values and lifetime through bare pipelined SETs."""

    title = REDIS_CACHE.title

    def __init__(self, cache: BaseCache, connection: RedisConnection) -> None:
        self.cache = cache
        self._connection = connection
        self._empty = connection.figure("used_memory")

    def put(self, names: Iterable[str]) -> None:
        key = self.cache.make_key
        self._connection.pipeline([("SET", key(name), PICKLED, "EX", LIFETIME) for name in names])

    def weigh(self) -> tuple[int, int]:
        return self._connection.call("DBSIZE"), self._connection.figure("used_memory") - self._empty


def name_of(number: int) -> str:
    """The key of an entry: scattered, so that no store is filled in the order of its keys."""
    return f"item:{number * 0x9E3779B97F4A7C15 % 2**64:016x}"


def room(folder: Path) -> int:
    """Bytes that may be filled: the place's, or the memory's when that is less."""
    free = shutil.disk_usage(folder).free
    meminfo = Path("/proc/meminfo")
    for line in meminfo.read_text().splitlines() if meminfo.exists() else ():
        if line.startswith("MemAvailable:"):
            free = min(free, int(line.split()[1]) * 1024)
    return free


def measure(with_redis: bool, folder: Path, sizes: Sequence[int], batches: int, say: Callable[[str], None]) -> Result:
    """Fill to each size in turn; at each, time gets and sets of random entries, and weigh."""
    result = Result()
    free = room(folder)
    fitting = [size for size in sizes if size * ROOM_PER_KEY <= free]
    result.notes += [
        f"{size:,} entries left out: {size * ROOM_PER_KEY / 1e9:.1f} GB wanted, {free / 1e9:.1f} GB free."
        for size in sizes[len(fitting) :]
    ]
    with _stores(with_redis, folder / "growth", max(fitting, default=0)) as stores:
        stored = 0
        for size in fitting:
            rates = [_fill(store, range(stored, size), say) for store in stores]
            stored = size
            say(f"growth: timing at {size:,}")
            for store, rate, times in zip(stores, rates, _times(stores, size, batches), strict=True):
                entries, weight = store.weigh()
                result.rows.append(Row(store.title, entries, *times, weight / entries, rate))
                if entries != size:
                    result.notes.append(f"{store.title} holds {entries:,} of the {size:,} entries stored.")
    return result


@contextmanager
def _stores(with_redis: bool, folder: Path, keys: int) -> Iterator[list[Store]]:
    embedded = Embedded(folder, max(SMALLEST, keys * MAX_SIZE_PER_KEY))
    if with_redis:
        with REDIS.run() as address, closing(RedisConnection(address.socket)) as connection:
            yield [embedded, Redis(open_cache(REDIS_CACHE.config(folder, address)), connection)]
    else:
        yield [embedded]


def _fill(store: Store, numbers: range, say: Callable[[str], None]) -> float:
    """Entries a second."""
    say(f"growth: filling {store.title} to {numbers.stop:,}")
    start = perf_counter()
    for first in range(numbers.start, numbers.stop, FILL):
        store.put([name_of(number) for number in range(first, min(first + FILL, numbers.stop))])
    return len(numbers) / (perf_counter() - start)


def _times(stores: Sequence[Store], size: int, batches: int) -> list[tuple[float, float]]:
    """Median microseconds of get and set for each store; the stores take turns."""
    rng = random.Random(size)
    gets: list[list[float]] = [[] for _ in stores]
    sets: list[list[float]] = [[] for _ in stores]
    for _ in range(batches):
        names = [name_of(rng.randrange(size)) for _ in range(CALLS)]
        for index in rng.sample(range(len(stores)), len(stores)):
            get, put = stores[index].cache.get, stores[index].cache.set
            start = perf_counter()
            for name in names:
                get(name)
            between = perf_counter()
            for name in names:
                put(name, VALUE, LIFETIME)
            end = perf_counter()
            gets[index].append((between - start) / CALLS * 1e6)
            sets[index].append((end - between) / CALLS * 1e6)
    return [(median(got), median(put)) for got, put in zip(gets, sets, strict=True)]
