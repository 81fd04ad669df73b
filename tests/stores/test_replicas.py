"""Reads are shared out between replicas, and find their way when some are down; all else is the primary's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, cast

import pytest

from kt_cache.changes import increment
from kt_cache.flows import adrive, drive
from kt_cache.reading import Values
from kt_cache.stores import AsyncStore, Store
from kt_cache.stores.replicas import ReplicatedStore
from kt_cache.stores.tolerant import TolerantStore
from kt_cache.values import Codec
from kt_core.errors import ConnectionFailed, InvalidInput
from tests.clock import Clock
from tests.stores.awaited import Awaited
from tests.stores.capabilities import SubsecondExpiry
from tests.stores.contract import StoreContract
from tests.stores.entries import Entries
from tests.stores.guarded import Guarded

READS: dict[str, Callable[[Any], object]] = {
    "get": lambda store: store.get(b"k"),
    "get_with_ttl": lambda store: store.get_with_ttl(b"k"),
    "get_many": lambda store: store.get_many(iter([b"k", b"none"])),
    "ttl_many": lambda store: store.ttl_many(iter([b"k", b"none"])),
    "exists": lambda store: store.exists(b"k"),
    "ttl": lambda store: store.ttl(b"k"),
    "keys": lambda store: store.keys(),
    "iter_keys": lambda store: list(store.iter_keys(b"k")),
    "iter_entries": lambda store: list(store.iter_entries(b"k")),
}
OTHERS: dict[str, Callable[[Any], object]] = {
    "set": lambda store: store.set(b"k", b"v", None),
    "set_many": lambda store: store.set_many({b"k": b"v"}, None),
    "add": lambda store: store.add(b"k", b"v", None),
    "replace": lambda store: store.replace(b"k", b"v", None),
    "delete": lambda store: store.delete(b"k"),
    "delete_many": lambda store: store.delete_many([b"k"]),
    "pop": lambda store: store.pop(b"k"),
    "touch": lambda store: store.touch(b"k", 10),
    "touch_many": lambda store: store.touch_many([b"k"], 10),
    "incr": lambda store: store.incr(b"n", 1),
    "incr_many": lambda store: store.incr_many({b"n": 1}),
    "compare_and_set": lambda store: store.compare_and_set(b"k", b"v", b"w"),
    "expire_at": lambda store: store.expire_at(b"k", 2e9),
    "persist": lambda store: store.persist(b"k"),
    "clear": lambda store: store.clear(),
    "clear_prefix": lambda store: store.clear_prefix(b"k"),
    "cull": lambda store: store.cull(10, 2),
    "vacuum": lambda store: store.vacuum(),
    "stats": lambda store: store.stats(),
    "ping": lambda store: store.ping(),
}


@pytest.fixture
def primary(clock: Clock) -> Guarded:
    """Return the one server that is written to."""
    return Guarded("primary:1978", clock)


@pytest.fixture
def replicas(primary: Guarded, clock: Clock) -> list[Guarded]:
    """Return two replicas that follow at once."""
    replicas = [Guarded(f"replica-{number}:1978", clock) for number in range(2)]
    for replica in replicas:
        replica.records = primary.records
    return replicas


@pytest.fixture
def store(primary: Guarded, replicas: list[Guarded]) -> Any:
    """Return the store over all of them."""
    members = [replica.member for replica in replicas]
    return ReplicatedStore(cast(AsyncStore, primary), members, random=Random(7))


@pytest.fixture(params=["waiting", "awaited"])
def way(request: pytest.FixtureRequest, store: Any, runner: asyncio.Runner) -> Store:
    """Return the store, waiting and awaited."""
    return cast(Store, store if request.param == "waiting" else Awaited(store, runner))


class TestReplicatedStore(StoreContract, Entries, SubsecondExpiry):
    """The contract does not show who answers."""


class TestAwaitedReplicatedStore(StoreContract, SubsecondExpiry):
    @pytest.fixture
    def store(self, store: Any, runner: asyncio.Runner) -> Awaited:
        return Awaited(store, runner)


def asked(servers: list[Guarded]) -> list[int]:
    return [len(server.calls) for server in servers]


# -- who is asked ------------------------------------------------------------------------------------------


def test_every_method_is_a_read_or_not() -> None:
    assert {*READS, *OTHERS, "close"} == {name for name in vars(Store) if not name.startswith("_")}


@pytest.mark.parametrize("method", READS)
def test_reads_are_shared_out_between_the_replicas(
    way: Any, primary: Guarded, replicas: list[Guarded], method: str
) -> None:
    for _ in range(40):
        READS[method](way)
    assert primary.calls == []
    assert sum(asked(replicas)) == 40
    assert min(asked(replicas)) >= 10


@pytest.mark.parametrize("method", OTHERS)
def test_all_else_is_asked_of_the_primary(way: Any, primary: Guarded, replicas: list[Guarded], method: str) -> None:
    OTHERS[method](way)
    assert [call[0] for call in primary.calls] == [method]
    assert asked(replicas) == [0, 0]


def test_closing_closes_every_server(store: Any, primary: Guarded, replicas: list[Guarded]) -> None:
    store.close()
    assert [server.closed for server in (primary, *replicas)] == [1, 1, 1]


# -- replicas out of order ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", READS)
def test_a_replica_that_is_down_is_passed_over(
    way: Any, primary: Guarded, replicas: list[Guarded], method: str
) -> None:
    primary.records.set(b"k", b"v", 10)
    answer = READS[method](way)
    replicas[0].is_down = True
    for _ in range(10):
        assert READS[method](way) == answer
    assert primary.calls == []


@pytest.mark.parametrize("method", READS)
def test_without_replicas_the_primary_answers(way: Any, primary: Guarded, replicas: list[Guarded], method: str) -> None:
    primary.records.set(b"k", b"v", 10)
    answer = READS[method](way)
    for replica in replicas:
        replica.is_down = True
    assert READS[method](way) == answer
    assert [call[0] for call in primary.calls] == [method]


@pytest.mark.parametrize("method", READS)
def test_with_all_of_them_down_it_is_an_error(way: Any, primary: Guarded, replicas: list[Guarded], method: str) -> None:
    for server in (primary, *replicas):
        server.is_down = True
    with pytest.raises(ConnectionFailed, match="down"):
        READS[method](way)


def test_a_replica_is_tried_again_from_time_to_time(way: Any, replicas: list[Guarded], clock: Clock) -> None:
    replicas[0].is_down = True
    for _ in range(20):
        way.get(b"k")
    assert asked(replicas) == [1, 20]
    for _ in range(2):
        clock.advance(1)
        for _ in range(20):
            way.get(b"k")
    assert replicas[0].breaker.is_dead
    clock.advance(59)
    for _ in range(20):
        way.get(b"k")
    assert asked(replicas) == [3, 80]
    clock.advance(1)
    replicas[0].is_down = False
    for _ in range(20):
        way.get(b"k")
    assert asked(replicas)[0] > 5


def test_an_iteration_that_has_begun_does_not_begin_anew(store: Any, replicas: list[Guarded]) -> None:
    store.set_many({b"a": 1, b"b": 2, b"c": 3}, None)
    keys = store.iter_keys()
    assert next(keys) == b"a"
    for replica in replicas:
        replica.is_down = True
    assert list(keys) == [b"b", b"c"]


def test_a_mistake_is_no_reason_to_ask_somebody_else(way: Any, replicas: list[Guarded]) -> None:
    for replica in replicas:
        replica.records = cast(Any, Refusing())
    with pytest.raises(InvalidInput):
        way.get(b"k")
    assert sum(asked(replicas)) == 1


class Refusing:
    """Finds fault with every question."""

    def get(self, key: bytes) -> None:
        raise InvalidInput("not this")

    async def aget(self, key: bytes) -> None:
        raise InvalidInput("not this")


# -- replicas that lag behind ------------------------------------------------------------------------------


@pytest.fixture
def behind(primary: Guarded, replicas: list[Guarded], clock: Clock) -> bytes:
    """Return a key whose newest value no replica has yet."""
    for replica in replicas:
        replica.records = Guarded("", clock).records
        replica.records.set(b"k", b"old", None)
    primary.records.set(b"k", b"new", None)
    return b"k"


def test_after_a_lost_comparison_the_primary_is_read_once(way: Any, behind: bytes, replicas: list[Guarded]) -> None:
    assert way.get(behind) == b"old"
    assert way.compare_and_set(behind, b"old", b"mine") is False
    assert way.get(behind) == b"new"
    assert way.get(behind) == b"old"


def test_other_keys_are_not_concerned(way: Any, behind: bytes, primary: Guarded) -> None:
    way.compare_and_set(behind, b"old", b"mine")
    primary.calls.clear()
    assert way.get(b"other") is None
    assert primary.calls == []


def test_lost_comparisons_are_not_remembered_for_ever(store: Any) -> None:
    for number in range(5000):
        store.compare_and_set(b"%d" % number, b"old", b"mine")
    assert len(store._doubts) <= 1000


CODEC = Codec()


@pytest.mark.parametrize("is_down", [False, True])
@pytest.mark.parametrize("awaited", [False, True])
def test_repeating_until_nobody_is_faster_ends(
    store: Any, primary: Guarded, replicas: list[Guarded], behind: bytes, is_down: bool, awaited: bool
) -> None:
    """With the primary down the replica's value could be compared, in vain, for ever."""
    primary.records.set(behind, CODEC.dumps(1.5, behind), None)
    for replica in replicas:
        replica.records.set(behind, CODEC.dumps(0.5, behind), None)
    primary.is_down = is_down
    careful = cast(AsyncStore, TolerantStore(store))
    flow = increment(Values(CODEC, Clock()), behind, 1)
    total = asyncio.run(adrive(flow, careful)) if awaited else drive(flow, careful)
    assert total == (None if is_down else 2.5)
