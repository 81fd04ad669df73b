"""The Kyoto Tycoon store keeps the contract on every server found, waiting and awaited, and falls into no trap.

The traps, by which the tests are named:

K1   an expiry is a whole second, and the record lives until that second is over
K2   no expiry, and one of 0 seconds, are not "at once"; a fraction cut off would make a record immortal
K3   "never" reads back as 2^40 - 1
K4   a negative expiry is an absolute second
K5   a counter is 8 bytes, and any 8 bytes are a counter
K6   a missing counter, another value and an overflow are one and the same answer
K7   incrementing without an expiry makes a counter immortal
K8   incrementing makes a counter unless it is told only to try
K9   there is no touch
K10  an expiry comes along with the value: no script and no second look is needed for it
K11  adding, replacing and comparing are atomic by themselves
K12  removing tells how many there were, for one database at a time
K13  there is no None: an empty value is a value
"""

from __future__ import annotations

import asyncio
import inspect
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from kt_cache.stores import KEEP, Store
from kt_cache.stores.hosts import Host
from kt_cache.stores.kyoto import KyotoStore
from kt_core.errors import CounterOverflow, NotACounter, ServerError
from kt_core.kyoto import operations as ops
from kt_core.pool import PoolOptions
from kt_core.transport import Address
from kt_core.wire.exchange import Flow, Op
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX
from tests.clock import Clock
from tests.server.running import serving
from tests.stores.awaited import Awaited
from tests.stores.capabilities import Culling
from tests.stores.contract import StoreContract
from tests.stores.entries import Entries, NoUses
from tests.stores.server_clock import ServerClock

T = TypeVar("T")


@pytest.fixture(params=[0, 1], ids=["unordered", "ordered"])
def database(request: pytest.FixtureRequest) -> int:
    """Return the number of a database of each kind."""
    number: int = request.param
    return number


@pytest.fixture
def clock(kyoto: Address, database: int) -> ServerClock:
    """Return a clock that the test moves."""
    return ServerClock(kyoto, database)


@pytest.fixture
def plain(kyoto: Address, database: int) -> Iterator[KyotoStore]:
    """Return the store, empty."""
    store = KyotoStore(Host(PoolOptions(kyoto)), database)
    store.clear()
    yield store
    store.close()


class TestKyotoStore(StoreContract, Entries, NoUses, Culling):
    @pytest.fixture
    def store(self, plain: KyotoStore) -> KyotoStore:
        return plain


class TestAwaitedKyotoStore(StoreContract, Culling):
    @pytest.fixture
    def store(self, plain: KyotoStore, runner: asyncio.Runner) -> Awaited:
        return Awaited(plain, runner)


@pytest.fixture(scope="module")
def on_a_clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Address, Clock]]:
    """Return the address of a bundled server in this process, a unix socket's, and the clock that it reads."""
    path, clock = str(tmp_path_factory.mktemp("server") / "socket"), Clock()
    with serving("*", "%", clock=clock, port=None, sock=path):
        yield Address(path=path), clock


class TestKyotoStoreOnAClock(StoreContract, Entries, Culling):
    """The records of the tests above are made older; here it is time itself that passes."""

    @pytest.fixture
    def clock(self, on_a_clock: tuple[Address, Clock]) -> Clock:
        clock = on_a_clock[1]
        clock.seconds = Clock().seconds
        return clock

    @pytest.fixture
    def store(self, on_a_clock: tuple[Address, Clock], clock: Clock, database: int) -> Iterator[KyotoStore]:
        store = KyotoStore(Host(PoolOptions(on_a_clock[0])), database, clock=clock)
        store.clear()
        yield store
        store.close()


# -- the traps ---------------------------------------------------------------------------------------------


class Counted(Host):
    """Counts its exchanges."""

    exchanges = 0

    def run(self, op: Op[T]) -> T:
        self.exchanges += 1
        return super().run(op)

    def drive(self, flow: Flow[T]) -> T:
        return super().drive(self._counted(flow))

    def _counted(self, flow: Flow[T]) -> Flow[T]:
        result: Any = None
        while True:
            try:
                op = flow.send(result)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            self.exchanges += 1
            result = yield op


@pytest.fixture
def host(kyoto: Address) -> Iterator[Counted]:
    host = Counted(PoolOptions(kyoto))
    yield host
    host.close()


@pytest.fixture
def store(host: Counted, database: int) -> KyotoStore:
    store = KyotoStore(host, database)
    store.clear()
    host.exchanges = 0
    return store


@pytest.fixture(scope="module")
def aged(kyoto: Address) -> dict[str, float | None]:
    """Return the seconds left to records that were written two seconds ago: the one real wait there is."""
    store = KyotoStore(Host(PoolOptions(kyoto)))
    store.clear()
    for timeout in (None, 1e-9, 0.5, 1, 4):
        store.set(f"set {timeout}".encode(), b"v", timeout)
        store.set_many({f"set_many {timeout}".encode(): 1}, timeout)
        store.add(f"add {timeout}".encode(), b"v", timeout)
        store.incr(f"incr {timeout}".encode(), 1, initial=0, timeout=timeout)
        store.set(f"touch {timeout}".encode(), b"v", 60)
        store.touch(f"touch {timeout}".encode(), timeout)
    store.set(b"expire_at 0.5", b"v", None)
    store.expire_at(b"expire_at 0.5", time.time() + 0.5)
    time.sleep(2)
    left = {key.decode(): store.ttl(key) for key in store.iter_keys()}
    store.close()
    return left


WRITES = ["set", "set_many", "add", "incr", "touch"]


@pytest.mark.parametrize("record", [*(f"{write} 1" for write in WRITES), "expire_at 0.5"])
def test_k1_a_record_of_a_second_is_gone_after_two(aged: dict[str, float], record: str) -> None:
    assert record not in aged


@pytest.mark.parametrize("write", WRITES)
def test_k1_a_record_lives_no_shorter_than_its_timeout(aged: dict[str, float], write: str) -> None:
    assert aged[f"{write} 4"] in (1, 2, 3)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("timeout", ["1e-09", "0.5"])
def test_k2_a_fraction_of_a_second_is_not_for_ever(aged: dict[str, float], write: str, timeout: str) -> None:
    assert f"{write} {timeout}" not in aged


@pytest.mark.parametrize("write", WRITES)
def test_k2_none_is_for_ever(aged: dict[str, float], write: str) -> None:
    assert aged[f"{write} None"] == math.inf


@pytest.mark.parametrize("timeout", [0, -1, -1000])
def test_k2_k4_a_timeout_that_is_over_leaves_nothing_behind(store: KyotoStore, host: Counted, timeout: float) -> None:
    store.set_many({b"set": b"v", b"many": b"v", b"replace": b"v", b"touch": b"v", b"cas": b"v"}, None)
    store.set(b"set", b"v", timeout)
    store.set_many({b"many": b"v"}, timeout)
    store.add(b"add", b"v", timeout)
    store.replace(b"replace", b"v", timeout)
    store.touch(b"touch", timeout)
    store.compare_and_set(b"cas", b"v", b"w", timeout)
    store.incr(b"incr", 1, initial=0, timeout=timeout)
    assert store.stats().entries == 0  # a record that has expired would count, too


def test_k3_never_is_infinite(store: KyotoStore, host: Counted, database: int) -> None:
    store.set_many({b"set": b"v", b"touched": b"v"}, None)
    store.touch(b"touched", 1e15)
    assert [store.ttl(key) for key in (b"set", b"touched")] == [math.inf] * 2
    assert {xt for *_, xt in host.run(ops.get_bulk([(database, b"set"), (database, b"touched")]))} == {XT_MAX}


def test_k4_no_negative_timeout_becomes_a_date(store: KyotoStore) -> None:
    store.set(b"k", b"v", -(time.time() + 100))
    assert store.exists(b"k") is False


def test_k5_a_counter_is_what_other_clients_count_with(store: KyotoStore, host: Counted, database: int) -> None:
    store.set(b"k", 41, None)
    assert host.run(ops.get(database, b"k")) == ops.Found(b"\0\0\0\0\0\0\0\x29", XT_MAX)
    assert host.run(ops.increment(database, b"k", 1, "try")) == 42
    assert store.get(b"k") == 42


def test_k6_three_ways_to_fail_are_told_apart(store: KyotoStore) -> None:
    store.set_many({b"text": b"v", b"last": (1 << 63) - 1}, None)
    assert store.incr(b"none", 1) is None
    with pytest.raises(NotACounter):
        store.incr(b"text", 1)
    with pytest.raises(CounterOverflow):
        store.incr(b"last", 1)
    assert store.get_many([b"none", b"text", b"last"]) == {b"text": b"v", b"last": (1 << 63) - 1}


def test_k7_incrementing_leaves_the_very_second_of_the_expiry(store: KyotoStore, host: Counted, database: int) -> None:
    xt = int(time.time()) + 500
    host.run(ops.set_bulk([(database, b"k", bytes(8), -xt), (database, b"large", b"\x70" + bytes(7), -xt)]))
    assert store.incr(b"k", 5) == 5
    assert store.incr(b"large", 5) == (0x70 << 56) + 5
    assert store.compare_and_set(b"k", 5, b"text", KEEP) is True
    assert [found.xt for key in (b"k", b"large") if (found := host.run(ops.get(database, key)))] == [xt, xt]


def test_k8_no_counter_begins_by_itself(store: KyotoStore, host: Counted, database: int) -> None:
    expired = int(time.time()) - 10
    host.run(ops.set_bulk([(database, b"expired", bytes(8), -expired)]))
    for key in (b"none", b"expired"):
        assert store.incr(key, 1) is None
        assert store.exists(key) is False
        assert store.incr(key, 1, initial=10, timeout=60) == 11
        assert store.ttl(key) == pytest.approx(60, abs=1)


@pytest.mark.parametrize("value", [b"", b"value", 7, b"x" * 100_000])
def test_k9_touching_leaves_the_value(store: KyotoStore, value: bytes | int) -> None:
    store.set(b"k", value, 10)
    assert store.touch(b"k", 1000) is True
    assert store.get(b"k") == value
    assert store.ttl(b"k") == pytest.approx(1000, abs=1)


# What each operation costs: the binary protocol has one exchange for most, and K10 spares a second one.
EXCHANGES: dict[str, tuple[Callable[[Store], object], int]] = {
    "get": (lambda store: store.get(b"k"), 1),
    "get_with_ttl": (lambda store: store.get_with_ttl(b"k"), 1),
    "get_many": (lambda store: store.get_many([b"k", b"l"]), 1),
    "set": (lambda store: store.set(b"k", b"v", 10), 1),
    "set away": (lambda store: store.set(b"k", b"v", 0), 1),
    "set_many": (lambda store: store.set_many({b"k": b"v", b"l": 1}, 10), 1),
    "add": (lambda store: store.add(b"k", b"v", 10), 1),
    "replace": (lambda store: store.replace(b"k", b"v", 10), 1),
    "delete": (lambda store: store.delete(b"k"), 1),
    "delete_many": (lambda store: store.delete_many([b"k", b"l"]), 1),
    "pop": (lambda store: store.pop(b"k"), 1),
    "touch": (lambda store: store.touch(b"k", 10), 2),
    "touch_many": (lambda store: store.touch_many([b"k", b"n", b"none"], 10), 2),
    "touch_many away": (lambda store: store.touch_many([b"k", b"n", b"none"], 0), 1),
    "touch_many nothing": (lambda store: store.touch_many([b"none", b"l"], 10), 1),
    "touch_many of 100": (lambda store: store.touch_many([b"k", *(b"%d" % n for n in range(99))], 10), 3),
    "incr": (lambda store: store.incr(b"n", 1), 2),
    "incr nothing": (lambda store: store.incr(b"none", 1), 1),
    "incr_many": (lambda store: store.incr_many({b"n": 1, b"m": 2}), 2),
    "incr_many of none": (lambda store: store.incr_many({}), 0),
    "compare_and_set": (lambda store: store.compare_and_set(b"k", b"old", b"v", 10), 1),
    "compare_and_set, keeping": (lambda store: store.compare_and_set(b"k", b"old", b"v", KEEP), 2),
    "exists": (lambda store: store.exists(b"k"), 1),
    "ttl": (lambda store: store.ttl(b"k"), 1),
    "ttl_many": (lambda store: store.ttl_many([b"k", b"n", b"none"]), 1),
    "ttl_many of 100": (lambda store: store.ttl_many([b"%d" % n for n in range(100)]), 2),
    "ping": (lambda store: store.ping(), 1),
    "clear": (lambda store: store.clear(), 1),
    "clear_prefix": (lambda store: store.clear_prefix(b"k"), 2),
    "stats": (lambda store: store.stats(), 2),
}


@pytest.mark.parametrize(("operation", "exchanges"), EXCHANGES.values(), ids=EXCHANGES.keys())
def test_k10_no_exchange_is_one_too_many(
    store: KyotoStore, host: Counted, operation: Callable[[Store], object], exchanges: int
) -> None:
    store.set_many({b"k": b"old", b"n": 1, b"m": 1}, 60)
    host.exchanges = 0
    operation(store)
    assert host.exchanges == exchanges


@pytest.mark.parametrize(
    ("step", "winners"),
    [
        (lambda store, name: store.add(b"new", name, 60), 1),
        (lambda store, name: store.compare_and_set(b"there", b"old", name), 1),
        (lambda store, name: store.compare_and_set(b"there", b"old", name, KEEP), 1),
        (lambda store, name: store.replace(b"there", name, 60), 8),
        (lambda store, name: store.touch(b"there", 60), 8),
        (lambda store, name: store.touch_many([b"there"], 60) == [b"there"], 8),
        (lambda store, name: store.delete(b"there"), 1),
        (lambda store, name: store.pop(b"there") == b"old", 1),
        (lambda store, name: store.touch_many([b"there"], 0) == [b"there"], 1),
    ],
    ids=["add", "compare_and_set", "keeping", "replace", "touch", "touch_many", "delete", "pop", "touch_many away"],
)
def test_k11_who_wins_is_the_servers_decision(
    store: KyotoStore, step: Callable[[KyotoStore, bytes], bool], winners: int
) -> None:
    store.set(b"there", b"old", 60)
    won: list[bool] = []
    threads = [threading.Thread(target=lambda name=b"%d" % n: won.append(step(store, name))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(won) == winners
    assert len(won) == 8


def test_k11_increments_from_threads_add_up_and_keep_the_expiry(store: KyotoStore) -> None:
    def count() -> None:
        for _ in range(25):
            store.incr(b"k", 1, initial=0, timeout=500)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get(b"k") == 100
    assert store.ttl(b"k") == pytest.approx(500, abs=2)


def test_k11_increments_of_many_from_threads_add_up(store: KyotoStore) -> None:
    """Counters are made, counted with, and near the end of what the server can add to without going round."""
    large = (1 << 62) + 5
    store.set_many({b"%d" % number: large for number in range(50, 70)}, 500)

    def count(first: int) -> None:
        for turn in range(5):
            store.incr_many({b"%d" % number: number for number in range(first, first + 70)}, initial=0, timeout=500)
            store.incr(b"%d" % turn, 1, initial=0)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(0, 40, 10)))
    expected = Counter(dict.fromkeys(range(5), 4) | dict.fromkeys(range(50, 70), large))
    for first in range(0, 40, 10):
        expected.update({number: 5 * number for number in range(first, first + 70)})
    assert store.get_many(store.keys()) == {b"%d" % number: total for number, total in expected.items()}


def test_k12_clearing_is_for_one_database(store: KyotoStore, host: Counted, database: int) -> None:
    other = KyotoStore(host, 1 - database)
    other.clear()
    store.set(b"k", b"v", None)
    other.set_many({b"k": b"other", b"k2": b"other"}, None)
    assert store.clear_prefix(b"k") == 1
    store.set(b"k", b"v", None)
    store.clear()
    assert store.keys() == []
    assert other.get(b"k") == b"other"


def test_k13_an_empty_value_is_a_value(store: KyotoStore) -> None:
    store.set(b"k", b"", None)
    assert store.get(b"k") == b""
    assert store.add(b"k", b"v", None) is False
    assert store.compare_and_set(b"k", None, b"v") is False
    assert store.compare_and_set(b"k", b"", b"v") is True


# -- and else ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in vars(Store) if not name.startswith("_")])
def test_the_methods_have_the_signatures_of_the_contract(name: str) -> None:
    assert inspect.signature(getattr(KyotoStore, name)) == inspect.signature(getattr(Store, name))


@pytest.mark.parametrize("name", [name for name in vars(Store) if not name.startswith("_")])
def test_the_awaited_methods_have_the_signatures_of_the_contract(name: str) -> None:
    if name not in ("iter_keys", "iter_entries", "close"):
        twin = getattr(KyotoStore, f"a{name}")
        assert inspect.iscoroutinefunction(twin)
        assert inspect.signature(twin) == inspect.signature(getattr(Store, name))


@pytest.mark.parametrize(
    "name", ["set", "add", "exists", "touch away", "pop", "ttl_many", "ping", "keys", "clear", "clear_prefix", "stats"]
)
def test_a_database_that_is_not_there_is_an_error(host: Counted, name: str) -> None:
    calls: dict[str, Callable[[Store], object]] = {
        "set": lambda store: store.set(b"k", b"v", None),
        "add": lambda store: store.add(b"k", b"v", None),
        "exists": lambda store: store.exists(b"k"),
        "touch away": lambda store: store.compare_and_set(b"k", None, b"v", 10),
        "pop": lambda store: store.pop(b"k"),
        "ttl_many": lambda store: store.ttl_many([b"k", b"l"]),
        "ping": lambda store: store.ping(),
        "keys": lambda store: store.keys(),
        "clear": lambda store: store.clear(),
        "clear_prefix": lambda store: store.clear_prefix(b""),
        "stats": lambda store: store.stats(),
    }
    with pytest.raises(ServerError, match="400: no such"):
        calls[name](KyotoStore(host, 150))


def test_expired_records_are_the_first_to_be_culled(store: KyotoStore, host: Counted, database: int) -> None:
    old = int(time.time()) - 10
    host.run(ops.set_bulk([(database, b"old %d" % number, b"v", -old) for number in range(20)]))
    host.run(ops.set_bulk([(database, b"new %d" % number, b"v", NEVER_XT) for number in range(20)]))
    store.cull(30, 2)
    assert len(store.keys()) == 20


def test_reads_are_counted_by_the_server(store: KyotoStore) -> None:
    store.set(b"k", b"v", None)
    before = store.stats()
    store.get(b"k")
    store.get_many([b"k", b"none", b"other"])
    after = store.stats()
    assert (after.hits - before.hits, after.misses - before.misses) == (2, 2)
    assert (after.evictions, after.expirations) == (None, None)


def test_an_awaited_iterator_that_is_left_takes_its_connection_along(
    store: KyotoStore, kyoto: Address, runner: asyncio.Runner
) -> None:
    store.set_many({b"%d" % number: b"v" for number in range(600)}, None)
    host = Host(PoolOptions(kyoto, max_connections=1))
    own = KyotoStore(host, store._exchanges._db)

    async def scenario() -> int:
        keys = own.aiter_keys()
        await anext(keys)
        await keys.aclose()
        return len([key async for key in own.aiter_keys()])

    assert runner.run(scenario()) == 600
    host.close()


def test_an_iterator_that_is_left_takes_its_connection_along(store: KyotoStore, kyoto: Address) -> None:
    """Or else the next one to use it would find somebody's cursor on it."""
    store.set_many({b"%d" % number: b"v" for number in range(600)}, None)
    host = Host(PoolOptions(kyoto, max_connections=1))
    keys = KyotoStore(host, store._exchanges._db).iter_keys()
    next(keys)
    keys.close()
    assert len(host._pool) == 0
    assert len(list(KyotoStore(host, store._exchanges._db).iter_keys())) == 600
    assert len(host._pool) == 1
    host.close()
