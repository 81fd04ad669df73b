"""The Tokyo Tyrant store keeps the contract on every server found, with our script and without, and is exact.

Each is tested with a database whose keys have no order and with one whose keys have one; in a file where that costs
no time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest

from kt_cache.options import Options
from kt_cache.reserved import Kind, reserved
from kt_cache.stores import KEEP, open_store
from kt_cache.stores.edits import HEADER
from kt_cache.stores.hosts import Host
from kt_cache.stores.leases import OWN
from kt_cache.stores.script import PATH
from kt_cache.stores.tyrant import TyrantStore
from kt_core.errors import Misconfigured
from kt_core.pool import PoolOptions
from kt_core.transport import Address
from kt_core.tyrant import operations as ops
from tests.clock import Clock
from tests.fix_servers import PATIENCE, TYRANT_KINDS, running
from tests.processes import python
from tests.processes import running as beside
from tests.stores.awaited import Awaited
from tests.stores.capabilities import Culling, SubsecondExpiry
from tests.stores.contract import StoreContract
from tests.stores.entries import Entries, NoUses, Unread
from tests.stores.test_leases import Counter


class Setup(NamedTuple):
    """A kind of server, a database, and whether it runs our script."""

    kind: str
    database: str = "*"
    scripted: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.database}{' with the script' * self.scripted}"


SETUPS = [
    setup
    for setup in (
        Setup("bundled tyrant"),
        Setup("bundled tyrant", "+", scripted=True),
        Setup("ttserver", "data.tcb"),
        Setup("ttserver", scripted=True),
    )
    if setup.kind in TYRANT_KINDS
]
START: TypeAlias = "Callable[[Setup], Address]"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[START]:
    """Return a function that gives the address of a running server, the same for all tests."""
    with ExitStack() as servers:

        @cache
        def start(setup: Setup) -> Address:
            place = str(tmp_path_factory.mktemp("tyrant") / setup.database) if "." in setup.database else setup.database
            script = ["-ext", str(PATH)] if setup.scripted else []
            return servers.enter_context(running(setup.kind, *script, databases=[place]))

        yield start


@pytest.fixture(params=SETUPS, ids=str)
def setup(request: pytest.FixtureRequest) -> Setup:
    """Return a way to run a server, each in its turn."""
    found: Setup = request.param
    return found


@pytest.fixture
def host(setup: Setup, start: START) -> Iterator[Host]:
    """Return a server."""
    host = Host(PoolOptions(start(setup)))
    yield host
    host.close()


@pytest.fixture
def plain(host: Host, clock: Clock) -> TyrantStore:
    """Return the store, empty."""
    store = TyrantStore(host, PATIENCE, clock=clock)
    store.clear()
    return store


class TestTyrantStore(StoreContract, SubsecondExpiry, Entries, NoUses, Unread, Culling):
    @pytest.fixture
    def store(self, plain: TyrantStore) -> TyrantStore:
        return plain


@pytest.mark.parametrize("setup", SETUPS[:1], ids=str)
class TestAwaitedTyrantStore(StoreContract, Culling):
    @pytest.fixture
    def store(self, plain: TyrantStore, runner: asyncio.Runner) -> Awaited:
        return Awaited(plain, runner)


# -- servers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYRANT_KINDS)
@pytest.mark.parametrize("database", ["*", "+", "data.tch", "data.tcb"])
def test_every_database_of_free_keys_will_do(start: START, kind: str, database: str) -> None:
    store = TyrantStore(Host(PoolOptions(start(Setup(kind, database)))), PATIENCE)
    store.clear()
    assert store.set_many({b"a": b"1", b"b": 2, b"ab": b""}, 60) == []
    assert store.set_many({b"a": b"3"}, None) == []
    assert store.get_many([b"a", b"b", b"c"]) == {b"a": b"3", b"b": 2}
    assert sorted(store.iter_keys(b"a")) == [b"a", b"ab"]
    assert store.ttl(b"a") == math.inf
    assert store.clear_prefix(b"") == 3
    store.close()


@pytest.mark.parametrize("kind", TYRANT_KINDS)
@pytest.mark.parametrize(("database", "type_name"), [("data.tcf", "fixed-length"), ("data.tct", "table")])
def test_other_databases_are_refused(start: START, kind: str, database: str, type_name: str) -> None:
    store = TyrantStore(Host(PoolOptions(start(Setup(kind, database)))), PATIENCE)
    with pytest.raises(Misconfigured, match=rf"of the type '{type_name}', which cannot be a cache: start it with '\*'"):
        store.get(b"k")
    with pytest.raises(Misconfigured):
        asyncio.run(store.aset(b"k", b"v", None))
    store.close()


@pytest.mark.parametrize("kind", TYRANT_KINDS)
def test_a_server_may_be_started_again_with_the_script_and_without(start: START, kind: str, clock: Clock) -> None:
    """The store finds out, the second time within a minute, and does the same by itself meanwhile."""
    with running(kind, "-ext", str(PATH), databases=["*"]) as address:
        store = TyrantStore(Host(PoolOptions(address, check_after=0)), PATIENCE, clock=clock)
        assert store.incr(b"k", 1, initial=0) == 1
        store.close()
    with running(kind, address=address, databases=["*"]):
        assert store.incr(b"k", 1, initial=5) == 6
        store.close()
    with running(kind, "-ext", str(PATH), address=address, databases=["*"]):
        clock.advance(61)
        assert store.incr(b"k", 1, initial=7) == 8
        store.close()


@pytest.mark.parametrize("kind", TYRANT_KINDS)
def test_nobody_notices_that_a_server_was_started_again(kind: str) -> None:
    """A connection in the pool is broken then, and the first exchange of a change may be sent twice."""
    with running(kind, databases=["*"]) as address:
        store = TyrantStore(Host(PoolOptions(address)), PATIENCE)
        assert store.incr(b"k", 1, initial=0) == 1
    with running(kind, address=address, databases=["*"]):
        assert store.incr(b"k", 1, initial=5) == 6
        store.close()


class Counted(Host):
    """Counts its exchanges."""

    exchanges = 0

    def run(self, op: Any) -> Any:
        self.exchanges += 1
        return super().run(op)

    def drive(self, flow: Any) -> Any:
        return super().drive(self._counted(flow))

    def _counted(self, flow: Any) -> Any:
        result: Any = None
        while True:
            try:
                op = flow.send(result)
            except StopIteration as end:
                return end.value
            self.exchanges += 1
            result = yield op


# What each operation costs without the script, and with it.
EXCHANGES: dict[str, tuple[Callable[[TyrantStore], object], int, int]] = {
    "get": (lambda store: store.get(b"k"), 1, 1),
    "get_with_ttl": (lambda store: store.get_with_ttl(b"k"), 1, 1),
    "get_many": (lambda store: store.get_many([b"k", b"l"]), 1, 1),
    "exists": (lambda store: store.exists(b"k"), 1, 1),
    "ttl": (lambda store: store.ttl(b"k"), 1, 1),
    "set": (lambda store: store.set(b"k", b"v", 10), 2, 1),
    "set_many": (lambda store: store.set_many({b"k": b"v", b"l": 1}, 10), 2, 1),
    "add": (lambda store: store.add(b"k", b"v", 10), 2, 1),
    "delete": (lambda store: store.delete(b"k"), 2, 1),
    "delete_many": (lambda store: store.delete_many([b"k", b"l"]), 2, 1),
    "pop": (lambda store: store.pop(b"k"), 2, 1),
    "touch": (lambda store: store.touch(b"k", 10), 2, 1),
    "touch_many": (lambda store: store.touch_many([b"k", b"n"], 10), 2, 1),
    "incr": (lambda store: store.incr(b"n", 1), 2, 1),
    "incr_many": (lambda store: store.incr_many({b"n": 1, b"m": 2}), 2, 1),
    "compare_and_set": (lambda store: store.compare_and_set(b"k", b"old", b"v", KEEP), 2, 1),
    "ping": (lambda store: store.ping(), 1, 1),
    "cull": (lambda store: store.cull(100, 3), 1, 1),
    "clear": (lambda store: store.clear(), 1, 1),
}


@pytest.mark.parametrize(("operation", "leased", "scripted"), EXCHANGES.values(), ids=EXCHANGES.keys())
def test_no_exchange_is_one_too_many(
    setup: Setup, start: START, clock: Clock, operation: Callable[[TyrantStore], object], leased: int, scripted: int
) -> None:
    host = Counted(PoolOptions(start(setup)))
    store = TyrantStore(host, PATIENCE, clock=clock)
    store.clear()
    store.set_many({b"k": b"old", b"n": 1, b"m": 1}, 60)
    host.exchanges = 0
    operation(store)
    host.close()
    assert host.exchanges == (scripted if setup.scripted else leased)


@pytest.mark.parametrize("kind", TYRANT_KINDS)
def test_a_server_may_listen_on_a_unix_socket(kind: str, tmp_path: Path) -> None:
    """A port of 0 says that the host is a path."""
    path = str(tmp_path / "tt")
    with running(kind, "-host", path, "-port", "0", databases=["*"], address=Address(path=path)):
        store = open_store(Options.parse(f"tt+unix://{path}", {}, default_name=""))
        assert store.add(b"k", b"v", 60) is True
        assert asyncio.run(store.aget(b"k")) == b"v"
        store.close()


# -- records -----------------------------------------------------------------------------------------------


def test_the_stores_own_records_are_hidden(plain: TyrantStore, host: Host) -> None:
    """Those that others keep for themselves are not."""
    lock = reserved(Kind.LOCK, b"k")
    plain.set_many({lock: b"v", b"k": b"v"}, 60)
    host.run(ops.put(OWN + b"lease\0other", b"?"))
    assert sorted(plain.keys()) == sorted(plain.iter_keys()) == [lock, b"k"]
    assert sorted(plain.keys(b"\0")) == [lock]
    assert [entry.key for entry in plain.iter_entries(b"k")] == [b"k"]
    assert plain.stats().entries == 2
    assert plain.clear_prefix(b"") == 2


@pytest.mark.parametrize("theirs", [b"", b"short", HEADER.pack(5) + b"long over"])
def test_what_is_no_record_is_none(plain: TyrantStore, host: Host, theirs: bytes) -> None:
    host.run(ops.put(b"k", theirs))
    assert plain.get(b"k") is None
    assert plain.get_many([b"k"]) == plain.ttl_many([b"k"]) == {}
    assert plain.exists(b"k") is False
    assert plain.keys() == list(plain.iter_keys()) == []
    assert plain.incr(b"k", 1) is None
    assert plain.add(b"k", b"v", None) is True
    assert plain.get(b"k") == b"v"


def test_a_timeout_that_is_over_leaves_nothing_behind(plain: TyrantStore, host: Host) -> None:
    plain.set_many({b"set": b"v", b"replace": b"v", b"touch": b"v", b"cas": b"v"}, None)
    plain.set(b"set", b"v", 0)
    plain.add(b"add", b"v", -1)
    plain.replace(b"replace", b"v", 0)
    plain.touch(b"touch", 0)
    plain.compare_and_set(b"cas", b"v", b"w", 0)
    plain.incr(b"incr", 1, initial=0, timeout=0)
    assert host.run(ops.mget([b"set", b"add", b"replace", b"touch", b"cas", b"incr"])) == []


def test_large_values_and_many_of_them(plain: TyrantStore) -> None:
    records = {b"%d" % number: bytes([number]) * 700_000 for number in range(8)}
    assert plain.set_many(records, 60) == []
    assert plain.get_many(records) == records
    assert {entry.key: entry.size for entry in plain.iter_entries()} == dict.fromkeys(records, 700_000)
    assert plain.delete_many(records) == 8


# -- races -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "winners"),
    [
        (lambda store, name: store.add(b"new", name, 60), 1),
        (lambda store, name: store.add(b"expired", name, 60), 1),
        (lambda store, name: store.compare_and_set(b"there", b"old", name), 1),
        (lambda store, name: store.compare_and_set(b"there", b"old", name, KEEP), 1),
        (lambda store, name: store.replace(b"there", name, 60), 8),
        (lambda store, name: store.touch(b"there", 60), 8),
        (lambda store, name: store.delete(b"there"), 1),
        (lambda store, name: store.pop(b"there") == b"old", 1),
        (lambda store, name: store.touch_many([b"there"], 0) == [b"there"], 1),
    ],
    ids=["add", "add expired", "compare_and_set", "keeping", "replace", "touch", "delete", "pop", "touch_many away"],
)
def test_who_wins_is_the_servers_decision(
    plain: TyrantStore, clock: Clock, step: Callable[[TyrantStore, bytes], bool], winners: int
) -> None:
    plain.set(b"expired", b"old", 1)
    clock.advance(2)
    plain.set(b"there", b"old", 60)
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda number: step(plain, b"%d" % number), range(8)))
    assert sum(won) == winners


def test_counting_of_many_is_exact(plain: TyrantStore) -> None:
    keys = [b"%d" % number for number in range(5)]

    def count(thread: int) -> None:
        for _ in range(8):
            plain.incr_many(dict.fromkeys(keys[thread % 2 :], 1), initial=0)
            plain.incr(keys[thread], 10, initial=0)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))
    assert [plain.get(key) for key in keys] == [16 + 80, 32 + 80, 32 + 80, 32 + 80, 32]


def test_with_the_script_and_without_it_at_a_time(plain: TyrantStore, host: Host, setup: Setup) -> None:
    """Each count is made once, by whoever makes it."""

    def by_itself() -> None:
        counter = Counter(host)
        for _ in range(40):
            counter.count()

    with ThreadPoolExecutor(4) as threads:
        others = [threads.submit(by_itself) for _ in range(2)]
        ours = [threads.submit(lambda: [plain.incr(b"k", 1, initial=0) for _ in range(40)]) for _ in range(2)]
        every = [total for each in ours for total in each.result()]
        for other in others:
            other.result()
    assert plain.get(b"k") == 160
    assert len({*every, *Counter(host).witnessed()}) == 160


def test_clocks_that_differ_by_hours_exclude_each_other(plain: TyrantStore, host: Host) -> None:
    def count(hours: int) -> list[int | None]:
        store = TyrantStore(host, PATIENCE, clock=lambda: 1e9 + hours * 3600)
        return [store.incr(b"k", 1, initial=0) for _ in range(30)]

    with ThreadPoolExecutor(4) as threads:
        sums = [total for each in threads.map(count, [-5, 0, 5, 100]) for total in each if total is not None]
    assert sorted(sums) == list(range(1, 121))


COUNT = """
import sys
from kt_cache.options import Options
from kt_cache.stores import open_store
store = open_store(Options.parse(sys.argv[1], {}, default_name=""))
for number in range(int(sys.argv[2])):
    store.incr(b"k", 1, initial=0)
    if store.add(b"lock", b"", None):
        store.compare_and_set(b"n", seen := store.get(b"n"), (seen or 0) + 1)
        assert store.delete(b"lock")
    print(number, flush=True)
"""


def test_processes_count_exactly(plain: TyrantStore, setup: Setup, start: START) -> None:
    location = f"tt://{start(setup)}?timeout=10"
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: python("-c", COUNT, location, 15), range(4)))
    assert plain.get(b"k") == 60


def test_who_is_killed_takes_nothing_along(plain: TyrantStore, setup: Setup, start: START) -> None:
    with beside(COUNT, f"tt://{start(setup)}", 100_000) as process:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        process.kill()
        counted = 20 + len(process.stdout.read().splitlines())
    plain.delete(b"lock")
    assert plain.incr(b"k", 0) in (counted, counted + 1)
    assert plain.set(b"k", b"v", None) is True
