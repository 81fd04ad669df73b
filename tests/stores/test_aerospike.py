"""The Aerospike store keeps the contract on every server found, waiting and awaited, and falls into no trap."""

from __future__ import annotations

import asyncio
import inspect
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from aerospike_helpers.batch.records import BatchRecords, Write  # type: ignore[import-untyped]

from kt_cache.options import AerospikeOptions, Options
from kt_cache.stores import KEEP, Store, open_store
from kt_cache.stores.aerospike import AerospikeStore
from kt_cache.stores.aerospike import Cluster as Connected
from kt_cache.stores.aerospike.cluster import native_config
from kt_cache.stores.aerospike.failures import failure
from kt_cache.stores.aerospike.forms import LONGEST, NEVER, in_portions, to_ttl
from kt_cache.stores.hosts import is_outage
from kt_core.aerospike.native import Native
from kt_core.errors import (
    ConnectionFailed,
    CounterOverflow,
    KTError,
    Misconfigured,
    NotACounter,
    NotSupported,
    ServerError,
    StoreFull,
    Timeout,
)
from tests.aerospike.server import Cluster
from tests.clock import Clock
from tests.fix_aerospike import AEROSPIKE_KINDS, EXPIRING, Place
from tests.fix_servers import PATIENCE
from tests.processes import python
from tests.stores.awaited import Awaited
from tests.stores.capabilities import Culling
from tests.stores.contract import StoreContract
from tests.stores.entries import Entries, NoUses

OURS = AEROSPIKE_KINDS[:1]
SET = f"store-{os.getpid() % 100}"
"""Others may run the same tests on the same server."""
Start: TypeAlias = "Callable[[str], Place]"


def open_at(url: str, **options: Any) -> Any:
    """Open the store of a location."""
    return open_store(Options.parse(url, options, default_name=""))


def options_at(url: str, **options: Any) -> AerospikeOptions:
    """Return the options of a location."""
    store = Options.parse(url, options, default_name="").store
    assert isinstance(store, AerospikeOptions)
    return store


class Server:
    """A running server, and its time."""

    def __init__(self, place: Place, ours: Cluster | None) -> None:
        self.place = place
        self.ours = ours


class MovedClock(Clock):
    """The clock of our server, which the test moves; it is set back afterwards."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
        self._cluster.advance(seconds)

    def restore(self) -> None:
        """Set the clock back."""
        self._cluster.advance(-self._ahead)


class AgingClock(Clock):
    """The real time; to let some pass, every record of the store is brought nearer to its expiry, or removed."""

    def __init__(self) -> None:
        self.stores: list[AerospikeStore] = []

    def __call__(self) -> float:
        return time.time()

    def advance(self, seconds: float) -> None:
        for store in self.stores:
            for entry in list(store.iter_entries()):
                if entry.left < float("inf"):
                    store.touch(entry.key, entry.left - seconds)

    def restore(self) -> None:
        """Nothing to do."""


@pytest.fixture(scope="module", params=AEROSPIKE_KINDS)
def server(request: pytest.FixtureRequest, start_aerospike: Callable[[str], Place]) -> Iterator[Server]:
    """Return a running server, one of each kind; ours is this module's own, since its time is moved."""
    if request.param == "real":
        yield Server(start_aerospike("real"), None)
        return
    with Cluster(namespaces=EXPIRING) as cluster:
        yield Server(Place(tuple(cluster.hosts)), cluster)


@pytest.fixture
def clock(server: Server) -> Iterator[MovedClock | AgingClock]:
    """Return a clock that the test moves."""
    clock = AgingClock() if server.ours is None else MovedClock(server.ours)
    yield clock
    clock.restore()


@pytest.fixture(scope="module")
def connected(server: Server) -> Iterator[Connected]:
    """Return a set of the server's."""
    connected = Connected(options_at(server.place.url(SET), timeout=PATIENCE))
    yield connected
    connected.close()


@pytest.fixture
def plain(connected: Connected, clock: MovedClock | AgingClock) -> Iterator[AerospikeStore]:
    """Return the store, empty."""
    store = AerospikeStore(connected, clock=clock)
    if isinstance(clock, AgingClock):
        clock.stores.append(store)
    store.clear()
    yield store
    store.clear()  # before the clock is set back: nothing written in the future would be cleared


class TestAerospikeStore(StoreContract, Entries, NoUses, Culling):
    @pytest.fixture
    def store(self, plain: AerospikeStore) -> AerospikeStore:
        return plain


class TestAwaitedAerospikeStore(StoreContract, Culling):
    @pytest.fixture
    def store(self, plain: AerospikeStore, runner: asyncio.Runner) -> Awaited:
        return Awaited(plain, runner)


@pytest.mark.parametrize("name", [name for name in vars(Store) if not name.startswith("_")])
def test_the_methods_have_the_signatures_of_the_contract(name: str) -> None:
    assert inspect.signature(getattr(AerospikeStore, name)) == inspect.signature(getattr(Store, name))
    if name not in ("iter_keys", "iter_entries", "close"):
        twin = getattr(AerospikeStore, f"a{name}")
        assert inspect.iscoroutinefunction(twin)
        assert inspect.signature(twin) == inspect.signature(getattr(Store, name))


# -- expiry ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout", "ttl"),
    [
        (1e-9, 1),
        (0.5, 1),
        (1, 1),
        (1.001, 2),
        (LONGEST, LONGEST),
        (LONGEST + 0.5, NEVER),
        (1 << 32, NEVER),
        (math.inf, NEVER),
        (None, NEVER),
        (0, 0),
        (-5, 0),
    ],
)
def test_a_timeout_is_rounded_up_to_whole_seconds(timeout: float | None, ttl: int) -> None:
    assert to_ttl(timeout) == ttl


@pytest.mark.parametrize("kind", OURS)
def test_the_expiry_of_the_namespace_is_never_taken(start_aerospike: Start, kind: str) -> None:
    """Whatever is sent without an expiry takes it: here 30 seconds."""
    place = replace(start_aerospike(kind), namespace="brief")
    store = AerospikeStore(Connected(options_at(place.url(f"{SET}-expiry"))))
    store.clear()
    store.set_many({b"set_many": 1, b"kept": 1}, None)
    store.set(b"set", b"v", None)
    store.add(b"add", b"v", None)
    store.compare_and_set(b"cas", None, b"v", KEEP)
    store.incr(b"incr", 1, initial=0)
    store.incr_many({b"incr_many": 1}, initial=0)
    assert store.incr(b"kept", 1) == 2
    assert store.incr_many({b"kept": 1}) == {b"kept": 3}
    assert store.compare_and_set(b"kept", 3, b"text", KEEP) is True
    assert store.replace(b"set", b"w", None) is True
    store.set_many({b"touched": 1, b"touched too": 1}, 10)
    store.touch(b"touched", None)
    store.touch_many([b"touched too"], None)
    left = {entry.key: entry.left for entry in store.iter_entries()}
    assert len(left) == 9
    assert set(left.values()) == {math.inf}
    store.close()


@pytest.mark.parametrize("kind", OURS)
def test_a_namespace_that_refuses_expiries_is_told_at_the_first_use(start_aerospike: Start, kind: str) -> None:
    place = replace(start_aerospike(kind), namespace="unexpiring")
    for on_error in ("raise", "miss"):
        store = open_at(place.url("refusing"), on_error=on_error)
        for _ in range(2):
            with pytest.raises(Misconfigured, match=r"set nsup-period .* or allow-ttl-without-nsup to true"):
                store.get(b"k")
        store.close()


def test_a_namespace_that_is_not_there_is_told(server: Server) -> None:
    store = open_at(replace(server.place, namespace="none").url("s"))
    for use in (lambda: store.get(b"k"), lambda: store.set_many({b"k": 1}, 1), store.keys, store.ping):
        with pytest.raises(Misconfigured, match=r"no such namespace at aerospike://.*/none/s"):
            use()
    store.close()


# -- values ------------------------------------------------------------------------------------------------


FOREIGN: dict[str, dict[str, Any]] = {
    "text": {"v": "text"},
    "another bin": {"w": b"value"},
    "a list": {"v": [1]},
    "a double": {"v": 1.5},
    "truth": {"v": True},
}


@pytest.mark.parametrize("bins", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_others_have_stored_is_no_value(plain: AerospikeStore, server: Server, bins: dict[str, Any]) -> None:
    client = Native({"hosts": list(server.place.hosts)}).client
    client.put((server.place.namespace, SET, bytearray(b"k")), bins, policy={"key": 1})
    assert plain.get(b"k") is None
    assert plain.get_many([b"k"]) == {}
    assert plain.get_with_ttl(b"k") is None
    assert list(plain.iter_entries()) == []
    assert plain.compare_and_set(b"k", b"text", b"new") is False
    for initial in (None, 0):
        with pytest.raises(NotACounter):
            plain.incr(b"k", 1, initial=initial)
        assert isinstance(plain.incr_many({b"k": 1}, initial=initial)[b"k"], NotACounter)
    assert plain.pop(b"k") is None
    assert plain.exists(b"k") is False


def test_records_without_our_keys_are_not_listed(plain: AerospikeStore, server: Server) -> None:
    client = Native({"hosts": list(server.place.hosts)}).client
    for key, policy in (("text", 1), (5, 1), (bytearray(b"unsent"), 0)):
        client.put((server.place.namespace, SET, key), {"v": 1}, policy={"key": policy})
    plain.set_many({b"ours": 1, b"": 2}, None)
    assert sorted(plain.keys()) == [b"", b"ours"]
    plain.cull(5, 1)
    assert plain.keys() == []
    assert plain.stats().entries == 0


def test_a_counter_is_an_integer_to_others(plain: AerospikeStore, server: Server) -> None:
    client = Native({"hosts": list(server.place.hosts)}).client
    plain.set(b"k", 41, None)
    client.increment((server.place.namespace, SET, bytearray(b"k")), "v", 1)
    assert plain.get(b"k") == 42


LARGE = bytes(1 << 20)


@pytest.mark.parametrize("size", [1 << 20, 9 << 20])
def test_a_record_may_be_too_large(plain: AerospikeStore, size: int) -> None:
    large = bytes(size)
    writes: list[Callable[[], object]] = [
        lambda: plain.set(b"k", large, 10),
        lambda: plain.add(b"new", large, 10),
        lambda: plain.replace(b"k", large, 10),
        lambda: plain.compare_and_set(b"k", b"old", large, 10),
        lambda: plain.set_many({b"fits": b"v", b"k": large}, 10),
    ]
    plain.set(b"k", b"old", None)
    for write in writes:
        with pytest.raises(
            StoreFull, match=f"is {size} bytes, and a record of aerospike://.* 1048576 bytes .*compress"
        ):
            write()
    assert plain.get_many([b"k", b"new", b"fits"]) == {b"k": b"old", b"fits": b"v"}


def test_a_cache_drops_what_is_too_large(
    connected: Connected, plain: AerospikeStore, caplog: pytest.LogCaptureFixture
) -> None:
    """And what it was to replace with it: that is out of date."""
    store = AerospikeStore(connected, drops=True)
    writes: list[tuple[Callable[[], object], object]] = [
        (lambda: store.set(b"k", LARGE, 10), False),
        (lambda: store.replace(b"k", LARGE, 10), False),
        (lambda: store.compare_and_set(b"k", b"old", LARGE, 10), False),
        (lambda: store.set_many({b"fits": b"v", b"k": LARGE}, 10), [b"k"]),
    ]
    for write, answer in writes:
        store.set(b"k", b"old", None)
        assert write() == answer
        assert store.get(b"k") is None
    assert store.add(b"k", LARGE, 10) is False
    assert [record.message.partition(":")[0] for record in caplog.records] == ["not cached"] * 5


def test_large_values_and_many_of_them(plain: AerospikeStore) -> None:
    """More than one message to the server holds."""
    records = {b"%d" % number: bytes([number]) * 900_000 for number in range(20)}
    assert plain.set_many(records, 60) == []
    assert plain.get_many(records) == records
    assert {entry.key: entry.size for entry in plain.iter_entries()} == dict.fromkeys(records, 900_000)
    assert plain.delete_many(records) == 20


def test_portions_are_of_so_many_records_and_bytes() -> None:
    items: dict[bytes, bytes | int] = {b"a": b"12", b"b": b"3456", b"c": b"7" * 9, b"d": b"", b"e": 5, b"f": b""}
    found = [[key for key, _ in portion] for portion in in_portions(items, 2, 8)]
    assert found == [[b"a", b"b"], [b"c"], [b"d", b"e"], [b"f"]]
    assert list(in_portions({}, 2, 8)) == []


def test_keys_may_be_long(plain: AerospikeStore) -> None:
    keys = [b"k" * 100_000 + bytes([last]) for last in range(3)]
    plain.set_many(dict.fromkeys(keys, 1), None)
    assert sorted(plain.keys(b"k" * 100_000)) == keys
    assert plain.incr_many(dict.fromkeys(keys, 1)) == dict.fromkeys(keys, 2)


# -- keys that are not stored ------------------------------------------------------------------------------


def test_without_stored_keys_nothing_is_listed(server: Server) -> None:
    store = AerospikeStore(Connected(options_at(server.place.url(f"{SET}-unsent"), send_key=False)))
    store.clear()
    store.set_many({b"%d" % number: 1 for number in range(10)}, 60)
    store.set(b"k", b"v", 60)
    for listing in (store.keys, lambda: next(store.iter_entries()), lambda: store.clear_prefix(b"k")):
        with pytest.raises(NotSupported, match=r"keeps no keys.*leave out send_key=False"):
            listing()
    assert store.get(b"k") == b"v"
    assert store.stats().entries == 11
    store.cull(11, 2)
    assert store.stats().entries == 6
    store.clear()
    assert store.get(b"k") is None
    store.close()


# -- races -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "winners"),
    [
        (lambda store, name: store.add(b"new", name, 60), 1),
        (lambda store, name: store.compare_and_set(b"there", b"old", name), 1),
        (lambda store, name: store.compare_and_set(b"there", b"old", name, KEEP), 1),
        (lambda store, name: store.compare_and_set(b"there", b"old", None), 1),
        (lambda store, name: store.replace(b"there", name, 60), 8),
        (lambda store, name: store.touch(b"there", 60), 8),
        (lambda store, name: store.delete(b"there"), 1),
        (lambda store, name: store.delete_many([b"there"]) == 1, 1),
        (lambda store, name: store.pop(b"there") == b"old", 1),
        (lambda store, name: store.touch_many([b"there"], 0) == [b"there"], 1),
    ],
    ids=[
        "add", "compare_and_set", "keeping", "compare_and_delete", "replace", "touch", "delete", "delete_many", "pop",
        "touch_many away",
    ],
)  # fmt: skip
def test_who_wins_is_the_servers_decision(
    plain: AerospikeStore, step: Callable[[AerospikeStore, bytes], bool], winners: int
) -> None:
    plain.set(b"there", b"old", 60)
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda number: step(plain, b"%d" % number), range(8)))
    assert sum(won) == winners


def test_another_record_of_the_same_generation_is_not_taken_for_the_old_one(plain: AerospikeStore) -> None:
    """Whose lock has expired must not delete the next one's: both are of the first generation."""
    plain.set(b"lock", b"mine", 60)
    plain.delete(b"lock")
    plain.add(b"lock", b"theirs", 60)
    assert plain.compare_and_set(b"lock", b"mine", None) is False
    assert plain.compare_and_set(b"lock", b"mine", b"new") is False
    assert plain.get(b"lock") == b"theirs"


def test_counting_of_many_is_exact(plain: AerospikeStore) -> None:
    last = (1 << 63) - 1
    plain.set(b"last", last - 20, 500)
    keys = [b"%d" % number for number in range(5)]

    def count(thread: int) -> int:
        refused = 0
        for _ in range(8):
            plain.incr_many(dict.fromkeys(keys[thread % 2 :], 1), initial=0, timeout=500)
            plain.incr(keys[thread], 10, initial=0, timeout=500)
            try:
                plain.incr(b"last", 1)
            except CounterOverflow:
                refused += 1
        return refused

    with ThreadPoolExecutor(4) as threads:
        refused = list(threads.map(count, range(4)))
    assert [plain.get(key) for key in keys] == [16 + 80, 32 + 80, 32 + 80, 32 + 80, 32]
    assert sum(refused) == 32 - 20
    assert plain.get(b"last") == last


def test_what_is_written_just_before_a_clear_is_cleared(plain: AerospikeStore) -> None:
    """The server spares what was written in the millisecond in which it clears."""
    for _ in range(20):
        plain.set_many({b"a": 1, b"b": 2}, None)
        plain.clear()
        assert plain.get_many([b"a", b"b"]) == {}
        plain.set(b"c", 3, None)
        assert plain.get(b"c") == 3


COUNT = """
import sys
from kt_cache.options import Options
from kt_cache.stores import open_store
store = open_store(Options.parse(sys.argv[1], {}, default_name=""))
for number in range(int(sys.argv[2])):
    store.incr(b"k", 1, initial=0)
"""


def test_processes_count_exactly(plain: AerospikeStore, server: Server) -> None:
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: python("-c", COUNT, server.place.url(SET), 50), range(3)))
    assert plain.get(b"k") == 150


FORK = """
import os, sys
from kt_cache.options import Options
from kt_cache.stores import open_store
store = open_store(Options.parse(sys.argv[1], {}, default_name=""))

def use(name):
    for number in range(100):
        store.set(name, b"the %s is %d" % (name, number), 60)
        assert store.get(name) == b"the %s is %d" % (name, number)

use(b"before")
children = []
for name in (b"first", b"second", b"third"):
    child = os.fork()
    if not child:
        use(name)
        store.close()
        use(name)
        for number in range(20):
            assert name in store.keys()
        sys.exit()
    children.append(child)
use(b"parent")
for number in range(20):
    assert b"before" in store.keys()
print([os.waitpid(child, 0)[1] for child in children], sorted(store.keys()))
"""


def test_forked_children_have_clients_of_their_own(plain: AerospikeStore, server: Server) -> None:
    """Those of the parent would swap the answers of both, and end the child with a crash."""
    seen = python("-W", "ignore::DeprecationWarning", "-c", FORK, server.place.url(SET))
    assert seen == "[0, 0, 0] [b'before', b'first', b'parent', b'second', b'third']\n"


def test_more_threads_than_connections_wait(server: Server, plain: AerospikeStore) -> None:
    """The native client fails at once where it has no connection left."""
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(seconds)

    options = options_at(server.place.url(SET), max_connections=1, timeout=20)
    store = AerospikeStore(Connected(options, sleep=sleep))

    def work(number: int) -> None:
        key = b"%d" % number
        for turn in range(20):
            assert store.incr(key, 1, initial=0) == turn + 1
            assert store.get_many([key, b"none"]) == {key: turn + 1}

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert waits
    store.close()


def test_a_call_waits_for_a_connection_no_longer_than_its_timeout(server: Server) -> None:
    times = iter([0.0, 0.5, 1.0])
    options = options_at(server.place.url(SET), timeout=1)
    cluster = Connected(options, sleep=lambda seconds: None, clock=lambda: next(times))
    deadline = cluster._rest(cluster._rest(None))
    with pytest.raises(Timeout, match="all connections of this process to a node of aerospike://"):
        cluster._rest(deadline)


def test_many_are_awaited_at_once(plain: AerospikeStore, runner: asyncio.Runner) -> None:
    store: Any = plain

    async def scenario() -> list[int | None]:
        await asyncio.gather(*(store.aset(b"%d" % number, number, 60) for number in range(50)))
        return await asyncio.gather(*(store.aget(b"%d" % number) for number in range(50)))

    assert runner.run(scenario()) == list(range(50))


# -- outages -----------------------------------------------------------------------------------------------


def test_a_write_whose_answer_is_lost_is_not_sent_again(cluster: Cluster) -> None:
    store = open_at(Place(tuple(cluster.hosts)).url("s"))
    store.set(b"n", 1, 60)
    before = cluster.served()
    for write in (lambda: store.incr(b"n", 1), lambda: store.add(b"a", b"v", 60), lambda: store.delete(b"d")):
        cluster.fail("drop after")
        with pytest.raises(ConnectionFailed):
            write()
    assert cluster.served() == before + 3
    assert store.get(b"n") == 2
    store.close()


def test_a_read_is_sent_again(cluster: Cluster) -> None:
    store = open_at(Place(tuple(cluster.hosts)).url("s"))
    store.set(b"k", b"v", 60)
    reads: list[Callable[[], object]] = [
        lambda: store.get(b"k"),
        lambda: store.get_many([b"k", b"l"])[b"k"],
        lambda: store.get_with_ttl(b"k")[0],
    ]
    for read in reads:
        cluster.fail("drop before")
        assert read() == b"v"
    cluster.fail("drop before", 2)
    with pytest.raises(ConnectionFailed):
        store.get(b"k")
    store.close()


def test_a_node_that_hangs_costs_no_more_than_the_timeout(cluster: Cluster) -> None:
    store = open_at(Place(tuple(cluster.hosts)).url("s"), timeout=0.2, retries=0)
    store.set(b"k", b"v", 60)
    uses: list[Callable[[], object]] = [
        lambda: store.get(b"k"),
        lambda: store.set(b"k", b"w", 60),
        lambda: store.get_many([b"k", b"l"]),
        lambda: store.set_many({b"k": b"w", b"l": b"w"}, 60),
    ]
    for use in uses:
        cluster.fail("freeze")
        with pytest.raises(KTError) as caught:
            use()
        assert type(caught.value) is Timeout
    cluster.heal()
    assert store.get(b"k") is not None
    store.close()


@pytest.mark.parametrize(
    ("code", "kind"), [(1, ServerError), (4, ServerError), (9, Timeout), (18, ServerError), (20, Misconfigured)]
)
def test_what_a_server_answers_becomes_an_error(cluster: Cluster, code: int, kind: type[KTError]) -> None:
    store = open_at(Place(tuple(cluster.hosts)).url("s"), retries=0)
    store.ping()
    for use in (lambda: store.get(b"k"), lambda: store.incr_many({b"k": 1, b"l": 1})):
        cluster.fail("code", value=code)
        with pytest.raises(kind, match="aerospike://"):
            use()
    store.close()


@pytest.mark.parametrize(
    ("code", "is_one"), [(-10, True), (-8, True), (-14, True), (-1, True), (1, True), (9, True), (11, True), (18, True),
    (4, False), (-2, False), (22, False), (20, False), (51, False), (81, False)],
)  # fmt: skip
def test_an_outage_is_told_from_a_mistake(code: int, is_one: bool) -> None:
    assert is_outage(failure(code, "text", "aerospike://a/b/c")) is is_one


def test_an_empty_cluster_is_no_namespace_that_is_missing() -> None:
    assert isinstance(failure(20, "Cluster is empty", "aerospike://a/b/c"), ConnectionFailed)


def test_a_full_namespace_takes_nothing(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    url = Place(tuple(cluster.hosts)).url("s")
    store, cache = open_at(url, oversize="refuse"), open_at(url)
    store.set(b"k", b"old", None)
    cluster.fail("code", value=8)
    with pytest.raises(StoreFull, match="has no room left for the value:"):
        store.set(b"k", b"new", 60)
    assert cache.get(b"k") == b"old"
    cluster.fail("code", value=8)
    assert cache.set(b"k", b"new", 60) is False
    assert cache.get(b"k") is None
    assert "not cached: " in caplog.text
    store.close()
    cache.close()


def test_clearing_holds_up_no_other_thread(cluster: Cluster) -> None:
    """The client's own way to truncate would, for as long as a node is silent."""
    store = open_at(Place(tuple(cluster.hosts)).url("s"))
    store.ping()
    cluster.pause()
    with ThreadPoolExecutor(1) as thread:
        clearing = thread.submit(store.clear)
        time.sleep(0.05)
        assert not clearing.done()
        cluster.resume()
        clearing.result()
    store.close()


def test_a_set_that_cannot_be_cleared_is_told() -> None:
    store = AerospikeStore(Connected(options_at("aerospike://a/ns/s"), native=Answering(BatchRecords())))
    with pytest.raises(ServerError, match="500: aerospike://a:3000/ns/s cannot be cleared: "):
        store.clear()


class Answering:
    """Has, for every method of the native client, the same batch: it stands for a cluster of which no node is left."""

    def __init__(self, rows: BatchRecords) -> None:
        self.client = self
        self._rows = rows

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args: self._rows

    def info_random_node(self, command: str, policy: object = None) -> str:
        return ""

    def close(self) -> None:
        """Nothing to do."""


def test_rows_of_an_empty_cluster_are_not_taken_for_done() -> None:
    rows = BatchRecords([Write(("ns", "s", "k"), []), Write(("ns", "s", "l"), [])])
    rows.result = 1
    store = AerospikeStore(Connected(options_at("aerospike://a/ns/s"), native=Answering(rows)))
    uses: list[Callable[[], object]] = [
        lambda: store.set_many({b"k": 1, b"l": 2}, 60),
        lambda: store.get_many([b"k", b"l"]),
        lambda: store.delete_many([b"k", b"l"]),
        lambda: store.incr_many({b"k": 1, b"l": 1}),
    ]
    for use in uses:
        with pytest.raises(ServerError, match="501"):
            use()


def test_rows_that_failed_among_others_are_an_error() -> None:
    rows = BatchRecords([Write(("ns", "s", "k"), []), Write(("ns", "s", "l"), [])])
    rows.result = -16
    rows.batch_records[1].result = -15
    store = AerospikeStore(Connected(options_at("aerospike://a/ns/s"), native=Answering(rows)))
    with pytest.raises(ConnectionFailed, match="-15"):
        store.set_many({b"k": 1, b"l": 2}, 60)


def test_a_tolerant_store_goes_on_without_its_cluster(caplog: pytest.LogCaptureFixture) -> None:
    with Cluster() as cluster:
        store: Any = open_at(Place(tuple(cluster.hosts)).url("s"), on_error="miss", retry_timeout=0.05)
        assert store.set(b"k", b"v", 60) is True
        cluster.stop()
        for _ in range(3):
            assert store.get(b"k") is None
            assert store.set_many({b"k": b"v"}, 60) == [b"k"]
            assert asyncio.run(store.aincr(b"k", 1, initial=0)) is None
            assert list(store.iter_keys()) == []
        cluster.start()
        while store.get(b"k") is None:
            time.sleep(0.05)
        store.close()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_without_a_cluster_nothing_is_asked_before_it_is_needed(tmp_path: Any) -> None:
    store = open_at("aerospike://127.0.0.1:1/test/s")
    for _ in range(2):
        with pytest.raises(ConnectionFailed, match=r"aerospike://127.0.0.1:1/test/s cannot be reached: no node"):
            store.get(b"k")
    with pytest.raises(ConnectionFailed):
        next(store.iter_keys())


@pytest.mark.parametrize(
    ("options", "names"),
    [({"user": "u", "password": "p"}, "user"), ({"cluster_name": "other"}, "cluster_name")],
)
def test_a_node_that_refuses_may_have_its_reasons(server: Server, options: dict[str, str], names: str) -> None:
    """The client does not tell them."""
    with pytest.raises(ConnectionFailed, match=f"no node .* that accepts the option {names}"):
        open_at(server.place.url("s"), **options).ping()


def test_one_node_of_several_is_enough_to_begin_with(server: Server) -> None:
    hosts = ("127.0.0.1", 1), *server.place.hosts
    store = open_at(Place(hosts, server.place.namespace).url(SET))
    assert store.ping() is True
    store.close()


def test_equal_options_are_one_store() -> None:
    url = "aerospike://a/ns/s"
    assert open_at(url) is open_at("aerospike://a:3000/ns/s?timeout=1", serializer="json")
    assert open_at(url) is not open_at("aerospike://a/ns/t")
    assert open_at(url) is not open_at(url, on_error="miss")


def test_the_password_is_in_no_figure_and_no_error(plain: AerospikeStore) -> None:
    store = open_at("aerospike://127.0.0.1:1/test/s?user=u&password=hunter2")
    with pytest.raises(ConnectionFailed) as caught:
        store.ping()
    assert "hunter2" not in f"{caught.value!r} {store!r} {plain.stats()}"


def test_every_option_reaches_the_client(server: Server) -> None:
    options = options_at(
        server.place.url("s"), timeout=0.5, connect_timeout=0.25, retries=3, max_connections=7, replica="any",
        read_mode="all", commit_level="master", send_key=False,
    )  # fmt: skip
    config = native_config(options)
    assert (config["connect_timeout"], config["max_conns_per_node"]) == (250, 7)
    policies = Native(config).client.get_policies()
    for name in ("read", "batch"):
        found = policies[name]
        assert (found["total_timeout"], found["socket_timeout"], found["max_retries"]) == (500, 125, 3)
        assert (found["replica"], found["read_mode_ap"]) == (1, 1)
    for name in ("write", "operate"):
        found = policies[name]
        assert (found["total_timeout"], found["max_retries"], found["key"], found["commit_level"]) == (500, 0, 0, 1)
    assert policies["batch_parent_write"]["total_timeout"] == 500
    assert policies["batch_parent_write"]["max_retries"] == 0
    assert policies["batch_write"]["commit_level"] == 1
    config = native_config(replace(options, user="u", password="p", cluster_name="lab"))
    assert [config[name] for name in ("user", "password", "cluster_name")] == ["u", "p", "lab"]


def test_reads_are_counted_by_the_server(plain: AerospikeStore) -> None:
    plain.set(b"k", b"v", None)
    before = plain.stats()
    plain.get(b"k")
    plain.get_many([b"k", b"none", b"other"])
    after = plain.stats()
    assert (after.hits - before.hits, after.misses - before.misses) == (2, 2)
    assert after.store == "aerospike"
