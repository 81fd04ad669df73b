"""What keeps a database bounded: reclaiming, eviction, and the size that is never exceeded."""

from __future__ import annotations

import random
from bisect import bisect
from collections import OrderedDict
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest

from kt_core.database import NEVER, Database, DatabaseOptions, Environment
from kt_core.database.control import EVICTIONS, EXPIRATIONS
from kt_core.errors import StoreFull
from tests.clock import Clock

SIZE = 4 << 20


@pytest.fixture
def options() -> DatabaseOptions:
    return DatabaseOptions(max_size=SIZE)


def _on_disk(directory: Path) -> int:
    return sum(max(path.stat().st_size, path.stat().st_blocks * 512) for path in directory.iterdir())


@pytest.mark.parametrize("max_size", [1 << 20, 4 << 20, 16 << 20])
def test_max_size_is_never_exceeded(directory: Path, max_size: int) -> None:
    """Small and large values mixed, new keys and old: all files together stay within the size, no write fails."""
    environment = Environment.open(directory, DatabaseOptions(max_size=max_size))
    database, rnd = Database(environment), random.Random(1)
    largest = min(200_000, environment.housekeeper.largest // 2)
    for number in range(12_000):
        size = rnd.choice((50, 50, 200, 3000)) if number % 100 else rnd.randrange(4000, largest)
        database.set(b"key%d" % rnd.randrange(10**6), bytes(size))
        if number % 500 == 0:
            assert _on_disk(directory) <= max_size

    assert environment.counters()["max_size"] <= max_size
    assert environment.words[EVICTIONS] > 0
    environment.close()


def test_what_is_read_stays_and_what_is_not_goes(database: Database, clock: Clock) -> None:
    """Reads count as use: a hundred records that are read now and then outlive ten thousand that are not."""
    hot = [b"hot%d" % number for number in range(100)]
    for key in hot:
        database.set(key, bytes(300))
    for number in range(40_000):
        clock.advance(0.001)
        database.set(b"cold%d" % number, bytes(300))
        if number % 20 == 0:
            database.get(hot[number // 20 % 100])

    assert len(database.get_bulk(hot)) >= 97
    assert database.count() < 12_000


def test_hit_ratio_is_close_to_that_of_a_true_lru(database: Database, clock: Clock) -> None:
    """A Zipf trace at a tenth of its keys, named in the order of popularity: the hardest for what goes by key order."""
    keys, requests, rnd = 60_000, 120_000, random.Random(5)
    weights = list(accumulate(1 / (rank + 1) ** 0.99 for rank in range(keys)))
    trace = [bisect(weights, rnd.random() * weights[-1]) for _ in range(requests)]
    hits, counts = 0, []
    for number, rank in enumerate(trace):
        clock.advance(0.001)
        key = b"item:%08d" % rank
        if database.get(key) is not None:
            hits += number > requests // 3
        else:
            database.set(key, bytes(200), NEVER)
        if number > requests // 3 and number % 1000 == 0:
            counts.append(database.count())

    true_lru: OrderedDict[int, None] = OrderedDict()
    true_hits, capacity = 0, sum(counts) // len(counts)
    for number, rank in enumerate(trace):
        if rank in true_lru:
            true_lru.move_to_end(rank)
            true_hits += number > requests // 3
        else:
            true_lru[rank] = None
            if len(true_lru) > capacity:
                true_lru.popitem(last=False)

    assert abs(true_hits - hits) / (requests * 2 // 3) <= 0.03


def test_expired_records_are_reclaimed_by_later_writes(database: Database, clock: Clock) -> None:
    """Nobody asks for them again; a few writes for each are enough for most to be gone."""
    expiry = int(clock() * 1000) + 1000
    for number in range(5000):
        database.set(b"short%d" % number, b"x", expiry)
    clock.advance(2)
    for number in range(5000):
        database.set(b"long%d" % (number % 100), b"x")

    assert database.count() < 1000
    assert database.environment.words[EXPIRATIONS] > 4000
    assert database.environment.words[EVICTIONS] == 0


def test_vacuum_reclaims_all_at_once(environment: Environment, clock: Clock) -> None:
    database = Database(environment)
    for number in range(300):
        database.set(b"key%d" % number, b"x", int(clock() * 1000) + 1000 * (number % 2) + 1)
    clock.advance(0.5)

    assert environment.vacuum() == 150
    assert database.count() == 150


def test_a_record_too_large_is_refused_and_one_just_small_enough_stored(database: Database) -> None:
    largest = database.environment.housekeeper.largest
    with pytest.raises(StoreFull, match="raise max_size"):
        database.set(b"key", bytes(largest))
    database.set(b"key", bytes(largest - 16))

    assert database.get(b"key") == bytes(largest - 16)


@pytest.mark.parametrize("records", [1, 100, 128, 129, 1000])
def test_bulks_of_any_size_find_room(database: Database, records: int) -> None:
    items = [(b"key%d" % number, bytes(100), NEVER) for number in range(records)]
    for _ in range(20):
        assert database.set_bulk(items) == records
    assert database.set_bulk(items, atomic=True) == records

    assert len(database.get_bulk([key for key, _, _ in items])) == records


class TestNothingIsEvicted:
    """A store that evicts nothing refuses what does not fit, and keeps all it has."""

    @pytest.fixture(params=["process", "commit"])
    def full(self, directory: Path, clock: Clock, request: pytest.FixtureRequest) -> Iterator[tuple[Database, int]]:
        options = DatabaseOptions(max_size=1 << 20, durability=request.param, eviction="none")
        environment = Environment.open(directory, options, clock=clock)
        database = Database(environment)
        number = 0
        with pytest.raises(StoreFull, match="evicts nothing"):  # noqa: PT012 - which of them fails is the point
            while True:
                expiry = int(clock() * 1000) + 5000 if number % 2 else NEVER
                database.set(b"%d" % number, bytes(4000), expiry)
                number += 1
        yield database, number
        environment.close()

    def test_nothing_is_lost(self, full: tuple[Database, int]) -> None:
        database, number = full
        assert number > 20
        assert len(database.get_bulk([b"%d" % each for each in range(number)])) == number

    def test_what_is_deleted_makes_room(self, full: tuple[Database, int]) -> None:
        database, number = full
        database.remove_bulk([b"%d" % each for each in range(number // 2)])
        for each in range(number // 4):
            database.set(b"new%d" % each, bytes(4000))

    def test_what_expires_makes_room(self, full: tuple[Database, int], clock: Clock) -> None:
        database, number = full
        clock.advance(10)
        for each in range(number // 4):
            database.set(b"new%d" % each, bytes(4000))
        assert len(database.get_bulk([b"%d" % each for each in range(0, number, 2)])) == (number + 1) // 2
