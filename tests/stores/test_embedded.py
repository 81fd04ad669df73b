"""The embedded store keeps the contract, waiting and awaited; and what it does when it is full."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import StoreFull
from tests.clock import Clock
from tests.processes import running
from tests.stores.awaited import Awaited
from tests.stores.capabilities import Counting, CullingByUse, SubsecondExpiry
from tests.stores.contract import StoreContract
from tests.stores.entries import Entries, NoUses, Unread, Uses

SESSIONS = {"durability": "commit", "eviction": "none"}

OpenStore = Callable[..., EmbeddedStore]


class TestCache(StoreContract, Entries, Unread, Uses, SubsecondExpiry, Counting, CullingByUse):
    @pytest.fixture
    def store(self, open_store: OpenStore) -> EmbeddedStore:
        return open_store()


class TestSessions(StoreContract, Entries, Unread, NoUses, SubsecondExpiry, Counting):
    @pytest.fixture
    def store(self, open_store: OpenStore) -> EmbeddedStore:
        return open_store(**SESSIONS)


class TestAwaitedCache(StoreContract, SubsecondExpiry, Counting, CullingByUse):
    @pytest.fixture
    def store(self, open_store: OpenStore, runner: asyncio.Runner) -> Awaited:
        return Awaited(open_store(), runner)


class TestAwaitedSessions(StoreContract):
    @pytest.fixture
    def store(self, open_store: OpenStore, runner: asyncio.Runner) -> Awaited:
        return Awaited(open_store(**SESSIONS), runner)


def fill(store: EmbeddedStore, written: dict[bytes, bytes]) -> None:
    """Write until the store refuses, and note what it took."""
    for number in range(2000):
        key, value = b"%d" % number, bytes((number % 256,)) * 4000
        store.set(key, value, None)
        written[key] = value


def fill_with_counters(store: EmbeddedStore) -> None:
    """Begin counters, hundreds at a time, until the store refuses."""
    for batch in range(1000):
        store.incr_many({b"counter %d %d" % (batch, number): 1 for number in range(300)}, initial=0)


@pytest.fixture(params=["process", "commit"])
def full(request: pytest.FixtureRequest, open_store: OpenStore) -> tuple[EmbeddedStore, dict[bytes, bytes]]:
    """Return a store that evicts nothing and has no room left, and what is in it."""
    store = open_store(max_size=1 << 20, eviction="none", durability=request.param)
    written: dict[bytes, bytes] = {}
    with pytest.raises(StoreFull, match="max_size"):
        fill(store, written)
    return store, written


class TestFullWithoutEviction:
    """A full store that evicts nothing refuses what needs room, and nothing else."""

    def test_most_of_it_was_filled(self, full: tuple[EmbeddedStore, dict[bytes, bytes]]) -> None:
        store, written = full
        assert sum(map(len, written.values())) > store.stats().max_size // 2

    def test_nothing_is_lost(self, full: tuple[EmbeddedStore, dict[bytes, bytes]]) -> None:
        store, written = full
        assert store.get_many(written) == written
        assert store.stats().evictions == 0

    @pytest.mark.parametrize(
        "write",
        [
            lambda store, value: store.set(b"0", value, None),
            lambda store, value: store.set_many({b"0": value, b"1": value}, None),
            lambda store, value: store.add(b"new", value, None),
            lambda store, value: store.replace(b"0", value, None),
            lambda store, value: store.compare_and_set(b"0", bytes(4000), value),
        ],
        ids=["set", "set_many", "add", "replace", "compare_and_set"],
    )
    def test_what_needs_room_is_refused(
        self, full: tuple[EmbeddedStore, dict[bytes, bytes]], write: Callable[[EmbeddedStore, bytes], object]
    ) -> None:
        store, written = full
        with pytest.raises(StoreFull):
            write(store, b"large" * 10_000)
        assert store.get_many([*written, b"new"]) == written

    @pytest.mark.parametrize(
        ("deletion", "left"),
        [
            (lambda store: store.delete(b"0"), 1),
            (lambda store: store.delete_many([b"0"]), 1),
            (lambda store: store.set(b"0", b"", 0), 1),
            (lambda store: store.pop(b"0"), 1),
            (lambda store: store.touch(b"0", 0), 1),
            (lambda store: store.touch_many([b"0"], 0), 1),
            (lambda store: store.compare_and_set(b"0", bytes(4000), None), 1),
            (lambda store: store.expire_at(b"0", 0), 1),
            (lambda store: store.clear_prefix(b"0"), 1),
            (lambda store: store.cull(0, 2), 2),
            (lambda store: store.clear(), 1000),
        ],
        ids=[
            "delete",
            "delete_many",
            "set",
            "pop",
            "touch",
            "touch_many",
            "compare_and_set",
            "expire_at",
            "clear_prefix",
            "cull",
            "clear",
        ],
    )
    def test_what_makes_room_is_not(
        self,
        full: tuple[EmbeddedStore, dict[bytes, bytes]],
        deletion: Callable[[EmbeddedStore], object],
        left: int,
    ) -> None:
        store, written = full
        deletion(store)
        assert store.get(b"0") is None
        assert len(store.keys()) == pytest.approx(len(written) / left, abs=1)

    def test_counters_that_find_no_room_are_refused_and_nothing_is_lost(
        self, full: tuple[EmbeddedStore, dict[bytes, bytes]]
    ) -> None:
        store, written = full
        with pytest.raises(StoreFull):
            fill_with_counters(store)
        assert store.get_many(written) == written
        counted = store.keys(b"counter")
        assert store.get_many(counted) == dict.fromkeys(counted, 1)

    def test_touching_many_that_find_no_room_loses_nothing(
        self, full: tuple[EmbeddedStore, dict[bytes, bytes]]
    ) -> None:
        """Whether there is room to write all of them anew is the database's business; none may go."""
        store, written = full
        with suppress(StoreFull):
            assert store.touch_many(written, 60) == list(written)
        assert store.get_many(written) == written

    def test_room_that_was_made_can_be_used(self, full: tuple[EmbeddedStore, dict[bytes, bytes]]) -> None:
        store, written = full
        assert store.delete_many(list(written)[:20]) == 20
        store.set(b"new", b"v" * 4000, None)
        assert store.get(b"new") == b"v" * 4000

    def test_expired_records_make_room(self, open_store: OpenStore, clock: Clock) -> None:
        store = open_store(max_size=1 << 20, eviction="none")
        store.set_many({b"expiring %d" % number: b"v" * 4000 for number in range(50)}, 10)
        with pytest.raises(StoreFull):
            fill(store, {})
        clock.advance(11)
        store.set(b"new", b"v" * 4000, None)
        assert store.get(b"new") == b"v" * 4000


class TestTooLargeForACache:
    """A cache drops what it cannot hold, and the old value with it, and says so."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> EmbeddedStore:
        store = open_store(max_size=1 << 20)
        store.set_many({b"k": b"old", b"other": b"v", b"counter": 1}, None)
        return store

    @pytest.mark.parametrize(
        ("write", "answer"),
        [
            (lambda store, value: store.set(b"k", value, None), False),
            (lambda store, value: store.set_many({b"k": value, b"l": b"v"}, None), [b"k"]),
            (lambda store, value: store.replace(b"k", value, None), True),
            (lambda store, value: store.compare_and_set(b"k", b"old", value), False),
        ],
        ids=["set", "set_many", "replace", "compare_and_set"],
    )
    def test_the_old_value_is_gone(
        self,
        store: EmbeddedStore,
        caplog: pytest.LogCaptureFixture,
        write: Callable[[EmbeddedStore, bytes], object],
        answer: object,
    ) -> None:
        with caplog.at_level(logging.WARNING, "kt_cache"):
            assert write(store, b"x" * (1 << 20)) == answer
        assert store.get_many([b"k", b"other"]) == {b"other": b"v"}
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "max_size" in caplog.text

    def test_add_leaves_what_is_there(self, store: EmbeddedStore) -> None:
        assert store.add(b"k", b"x" * (1 << 20), None) is False
        assert store.get(b"k") == b"old"

    def test_add_of_a_new_record_drops_it(self, store: EmbeddedStore, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING, "kt_cache"):
            assert store.add(b"new", b"x" * (1 << 20), None) is True
        assert store.get(b"new") is None
        assert "max_size" in caplog.text

    def test_the_rest_of_many_is_stored(self, store: EmbeddedStore, caplog: pytest.LogCaptureFixture) -> None:
        large = b"x" * (1 << 20)
        with caplog.at_level(logging.WARNING, "kt_cache"):
            assert store.set_many({b"a": b"1", b"b": large, b"c": 3, b"d": large}, None) == [b"b", b"d"]
        assert store.get_many([b"a", b"b", b"c", b"d"]) == {b"a": b"1", b"c": 3}

    def test_more_than_fits_at_once_is_stored_all_the_same(self, store: EmbeddedStore) -> None:
        records = {b"many %d" % number: b"v" * 4000 for number in range(1000)}
        assert store.set_many(records, None) == []
        assert store.get(b"many 999") == b"v" * 4000
        assert store.stats().evictions > 0


class TestFullCache:
    """A full cache makes room for many changes at once and raises nothing."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> EmbeddedStore:
        store = open_store(max_size=1 << 20)
        while not store.stats().evictions:
            store.set_many({secrets.token_bytes(8): bytes(3000) for _ in range(50)}, None)
        return store

    def test_counters_find_room(self, store: EmbeddedStore) -> None:
        deltas = {b"counter %d" % number: number for number in range(300)}
        assert store.incr_many(deltas, initial=1) == {key: delta + 1 for key, delta in deltas.items()}
        assert store.incr_many({b"counter 299": 1}) == {b"counter 299": 301}

    def test_touched_records_stay_or_are_evicted(self, store: EmbeddedStore) -> None:
        every = store.keys()
        for _ in range(5):
            touched = store.touch_many(every, 60)
            assert set(touched) <= set(every)
        left = store.keys()
        assert len(left) > 100
        assert max(store.ttl_many(left).values()) == pytest.approx(60, abs=1)


class TestBypass:
    """While the map is full and cannot be emptied a cache is empty, takes nothing, and raises nothing."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[EmbeddedStore]:
        store = open_store()
        store.set_many({b"k": b"v", b"counter": 1}, None)
        environment = store._database.environment
        reader = environment.begin()
        environment.enter_bypass()
        yield store
        reader.abort()

    @pytest.mark.parametrize(
        ("operation", "answer"),
        [
            (lambda store: store.get(b"k"), None),
            (lambda store: store.get_with_ttl(b"k"), None),
            (lambda store: store.get_many([b"k"]), {}),
            (lambda store: store.set(b"k", b"new", None), False),
            (lambda store: store.set(b"k", b"new", 0), True),
            (lambda store: store.set_many({b"k": b"new"}, None), [b"k"]),
            (lambda store: store.set_many({b"k": b"new"}, 0), []),
            (lambda store: store.add(b"new", b"v", None), False),
            (lambda store: store.replace(b"k", b"new", None), False),
            (lambda store: store.delete(b"k"), False),
            (lambda store: store.delete_many([b"k"]), 0),
            (lambda store: store.pop(b"k"), None),
            (lambda store: store.touch(b"k", 10), False),
            (lambda store: store.touch_many([b"k", b"counter"], 10), []),
            (lambda store: store.touch_many([b"k", b"counter"], 0), []),
            (lambda store: store.incr(b"counter", 1), None),
            (lambda store: store.incr(b"counter", 1, initial=4), 5),
            (lambda store: store.incr_many({b"counter": 1, b"new": 2}), {}),
            (lambda store: store.incr_many({b"counter": 1, b"new": 2}, initial=4), {b"counter": 5, b"new": 6}),
            (lambda store: store.compare_and_set(b"k", b"v", b"new"), False),
            (lambda store: store.exists(b"k"), False),
            (lambda store: store.ttl(b"k"), None),
            (lambda store: store.ttl_many([b"k"]), {}),
            (lambda store: store.expire_at(b"k", 2e9), False),
            (lambda store: store.persist(b"k"), False),
            (lambda store: store.keys(), []),
            (lambda store: store.clear(), None),
            (lambda store: store.clear_prefix(b""), 0),
            (lambda store: store.cull(0, 3), None),
            (lambda store: store.cull(0, 0), None),
            (lambda store: store.stats().location != "", True),
            (lambda store: store.ping(), False),
        ],
    )
    def test_every_operation_has_an_answer(
        self, store: EmbeddedStore, operation: Callable[[EmbeddedStore], object], answer: object
    ) -> None:
        assert operation(store) == answer

    def test_it_ends_with_the_stopped_reader(self, open_store: OpenStore, caplog: pytest.LogCaptureFixture) -> None:
        store = open_store()
        store.set(b"k", b"v", None)
        with caplog.at_level(logging.WARNING, "kt_core"):
            store._database.environment.enter_bypass()
            store.set(b"new", b"v", None)
        assert store.get_many([b"k", b"new"]) == {b"new": b"v"}
        assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_expired_records_are_counted_when_they_go(open_store: OpenStore, clock: Clock) -> None:
    store = open_store()
    store.set_many({b"a": b"v", b"b": b"v"}, 1)
    clock.advance(2)
    assert store.stats().entries == 2
    store._database.vacuum()
    assert store.stats().expirations == 2
    assert store.stats().entries == 0


def test_stores_of_one_database_share_all(open_store: OpenStore) -> None:
    store = open_store()
    other = EmbeddedStore(Database(store._database.environment))
    store.set(b"k", b"v", None)
    other.get(b"k")
    other.close()
    assert store.get(b"k") == b"v"
    assert store.stats() == other.stats()
    assert store.stats().hits == 2


def test_logical_databases_share_no_record(open_store: OpenStore) -> None:
    first = open_store(databases=2)
    second = EmbeddedStore(Database(first._database.environment, 1))
    first.set(b"k", b"first", None)
    assert second.get(b"k") is None
    second.set(b"k", b"second", None)
    second.clear()
    assert first.get(b"k") == b"first"


def test_stats_say_what_bounds_the_store(open_store: OpenStore) -> None:
    stats = open_store(max_size=2 << 20).stats()
    assert stats.store == "embedded"
    assert (2 << 20) - 8192 <= stats.max_size <= 2 << 20


# -- many who count ----------------------------------------------------------------------------------------

_COUNT = """
import sys
from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, DatabaseOptions, Environment

directory, max_size, first = sys.argv[1:]
store = EmbeddedStore(Database(Environment.open(directory, DatabaseOptions(int(max_size)))))
for turn in range(40):
    deltas = {b"%d" % ((int(first) + number) % 100): number for number in range(70)}
    assert len(store.incr_many(deltas, initial=0)) == 70
    store.incr(b"%d" % turn, 1, initial=0)
    store.touch_many(list(deltas), 1000)
"""


def test_increments_from_many_processes_add_up(tmp_path: Path) -> None:
    """Each process adds to seventy counters of a hundred, one further on than the process before."""
    environment = Environment.open(tmp_path / "shared", DatabaseOptions(4 << 20))
    store = EmbeddedStore(Database(environment))
    with ExitStack() as stack:
        counting = [
            stack.enter_context(running(_COUNT, environment.directory, 4 << 20, first)) for first in range(0, 80, 20)
        ]
        assert [process.wait(60) for process in counting] == [0] * 4
    expected = Counter(dict.fromkeys(range(40), 4))
    for first in range(0, 80, 20):
        expected.update({(first + number) % 100: 40 * number for number in range(70)})
    assert store.get_many([b"%d" % number for number in range(100)]) == {
        b"%d" % number: total for number, total in expected.items()
    }
    environment.close()


def test_increments_from_many_threads_add_up(open_store: OpenStore) -> None:
    store = open_store()

    def count(first: int) -> None:
        for turn in range(20):
            store.incr_many({b"%d" % ((first + number) % 100): number for number in range(70)}, initial=0)
            store.incr(b"%d" % turn, 1, initial=0)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(0, 80, 10)))
    expected = Counter(dict.fromkeys(range(20), 8))
    for first in range(0, 80, 10):
        expected.update({(first + number) % 100: 20 * number for number in range(70)})
    assert store.get_many(store.keys()) == {b"%d" % number: total for number, total in expected.items()}
