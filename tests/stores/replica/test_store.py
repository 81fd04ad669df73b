"""Reads go to the copy as long as it can tell, never behind the process's own writes; all else is the master's."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from kt_cache.stores import AsyncStore, Store
from kt_cache.stores.hosts import Host
from kt_cache.stores.kyoto import KyotoStore
from kt_cache.stores.replica.store import READS, WRITES, ReplicaStore
from kt_cache.stores.replica.words import EPOCH, WANTED, WHOLE
from kt_core.database import Environment
from kt_core.errors import ConnectionFailed, InvalidInput
from kt_core.pool import PoolOptions
from kt_core.transport import Address
from tests.clock import Clock
from tests.server.running import serving
from tests.stores.awaited import Awaited
from tests.stores.contract import StoreContract
from tests.stores.entries import Entries
from tests.stores.guarded import Guarded
from tests.stores.replica.conftest import opened
from tests.stores.replica.mirror import Heard, Mirror, Nanoseconds, as_store
from tests.stores.test_replicas import OTHERS
from tests.stores.test_replicas import READS as EVERY_READ

LAG, OUTAGE = 1.0, 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ticks() -> Nanoseconds:
    """Return the clock by which the age of the copy is measured."""
    return Nanoseconds()


@pytest.fixture
def environment(tmp_path: Path, clock: Clock) -> Iterator[Environment]:
    with opened(tmp_path / "copy", clock=clock) as environment:
        yield environment


# -- the contract --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_a_clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Address, Clock]]:
    """Return the address of a server in this process, and the clock that it reads."""
    path, clock = str(tmp_path_factory.mktemp("server") / "socket"), Clock()
    with serving("%", clock=clock, port=None, sock=path):
        yield Address(path=path), clock


@pytest.fixture
def heard(on_a_clock: tuple[Address, Clock], clock: Clock, ticks: Nanoseconds, tmp_path: Path) -> Iterator[Heard]:
    """Return a store whose copy hears of every write at once, so that all reads are the copy's."""
    master = KyotoStore(Host(PoolOptions(on_a_clock[0])), clock=clock)
    master.clear()
    with opened(tmp_path / "heard", clock=clock) as environment:
        mirror = Mirror(environment, master, ticks)
        mirror.fill()
        store = ReplicaStore(master, environment, max_lag=LAG, outage=OUTAGE, follow=never, clock=ticks)
        yield Heard(store, mirror)
    master.close()


def never() -> None:
    """Be nobody who would look for a follower: the copy is never too old."""
    raise AssertionError("the copy was too old")


class TestReplicaStore(StoreContract, Entries):
    @pytest.fixture
    def clock(self, on_a_clock: tuple[Address, Clock]) -> Clock:
        clock = on_a_clock[1]
        clock.seconds = Clock().seconds
        return clock

    @pytest.fixture
    def store(self, heard: Heard) -> Heard:
        return heard


class TestAwaitedReplicaStore(StoreContract):
    @pytest.fixture
    def clock(self, on_a_clock: tuple[Address, Clock]) -> Clock:
        clock = on_a_clock[1]
        clock.seconds = Clock().seconds
        return clock

    @pytest.fixture
    def store(self, heard: Heard, runner: asyncio.Runner) -> Awaited:
        return Awaited(as_store(heard), runner)


# -- who answers ---------------------------------------------------------------------------------------------


class Follow:
    """Notes that somebody is asked to follow."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1


@pytest.fixture
def follow() -> Follow:
    return Follow()


@pytest.fixture
def master(clock: Clock) -> Guarded:
    """Return the master, with one record."""
    master = Guarded("master:1978", clock)
    master.records.set_many({b"k": b"old", b"n": 5}, 100)
    return master


@pytest.fixture
def mirror(environment: Environment, master: Guarded, ticks: Nanoseconds) -> Mirror:
    """Return the copy, complete."""
    mirror = Mirror(environment, cast(Store, master.records), ticks)
    mirror.fill()
    return mirror


@pytest.fixture
def store(
    environment: Environment, master: Guarded, mirror: Mirror, ticks: Nanoseconds, follow: Follow
) -> ReplicaStore:
    return ReplicaStore(as_store(master), environment, max_lag=LAG, outage=OUTAGE, follow=follow, clock=ticks)


@pytest.fixture(params=["waiting", "awaited"])
def way(request: pytest.FixtureRequest, store: Any, runner: asyncio.Runner) -> Any:
    """Return the store, waiting and awaited."""
    return store if request.param == "waiting" else Awaited(cast(AsyncStore, store), runner)


def others(name: str) -> Callable[[Any], object]:
    return {**OTHERS, **EVERY_READ}[name]


def test_every_method_is_known() -> None:
    rest = {"keys", "iter_keys", "iter_entries", "vacuum", "stats", "ping", "close"}
    assert {*READS, *WRITES, *rest} == {name for name in vars(Store) if not name.startswith("_")}
    assert len({*READS, *WRITES, *rest}) == len(READS) + len(WRITES) + len(rest)


reads = pytest.mark.parametrize("method", READS)


@reads
def test_reads_are_answered_by_the_copy(way: Any, master: Guarded, follow: Follow, method: str) -> None:
    answer = EVERY_READ[method](way)
    assert master.calls == []
    assert follow.asked == 0
    assert answer == EVERY_READ[method](master.records) or method in ("ttl", "ttl_many", "get_with_ttl")


@reads
def test_what_is_not_there_is_told_by_the_copy_too(way: Any, master: Guarded, mirror: Mirror, method: str) -> None:
    master.records.clear()
    mirror.hear()
    assert not EVERY_READ[method](way)
    assert master.calls == []


@pytest.mark.parametrize("method", [*WRITES, "keys", "iter_keys", "iter_entries", "vacuum", "stats", "ping"])
def test_all_else_is_the_masters(way: Any, master: Guarded, method: str) -> None:
    others(method)(way)
    assert [call[0] for call in master.calls] == [method]


def test_closing_closes_the_masters_connections(store: ReplicaStore, master: Guarded) -> None:
    store.close()
    assert master.closed == 1
    assert store.get(b"k") == b"old"


# -- a copy that lags behind ------------------------------------------------------------------------------------


def test_how_far_it_may_be_behind_can_be_seen(store: ReplicaStore, mirror: Mirror, ticks: Nanoseconds) -> None:
    ticks.advance(0.5)
    assert store.lag == pytest.approx(0.5)
    mirror.hear()
    assert store.lag == pytest.approx(0, abs=1e-6)
    mirror.records.abandon()
    assert store.lag == math.inf


@reads
def test_one_that_is_too_old_is_not_read(
    way: Any, master: Guarded, ticks: Nanoseconds, follow: Follow, method: str
) -> None:
    ticks.advance(0.99)
    EVERY_READ[method](way)
    assert master.calls == []
    ticks.advance(0.02)
    master.records.set(b"k", b"new", 100)
    EVERY_READ[method](way)
    assert [call[0] for call in master.calls] == [method]
    assert follow.asked == 1


@reads
def test_it_is_read_again_once_it_has_caught_up(
    way: Any, master: Guarded, mirror: Mirror, ticks: Nanoseconds, method: str
) -> None:
    ticks.advance(5)
    EVERY_READ[method](way)
    mirror.hear()
    master.calls.clear()
    EVERY_READ[method](way)
    assert master.calls == []


@reads
def test_one_that_is_being_filled_is_not_read(way: Any, master: Guarded, mirror: Mirror, method: str) -> None:
    mirror.records.abandon()
    EVERY_READ[method](way)
    assert [call[0] for call in master.calls] == [method]


def test_one_that_is_filled_anew_in_the_middle_of_a_read_is_not_believed(
    way: Any, store: ReplicaStore, environment: Environment, master: Guarded, clock: Clock
) -> None:
    class Filling(Clock):
        """The time is asked for in the middle of every read."""

        def __call__(self) -> float:
            environment.words[EPOCH] += 2
            return super().__call__()

    master.records.set(b"k", b"new", None)
    environment.clock = Filling()
    begin, dbis, *rest, _ = environment.reading
    environment.reading = (begin, dbis, *rest, environment.clock)  # type: ignore[assignment]
    assert way.get(b"k") == b"new"
    assert [call[0] for call in master.calls] == ["get"]


def missing(environment: Environment) -> None:
    environment.words[WHOLE] = 0


def damaged(environment: Environment) -> None:
    environment.control.mark_bypassed(True)


@pytest.mark.parametrize("fault", [missing, damaged])
@reads
def test_what_one_that_lacks_records_does_not_have_is_asked_of_the_master(
    way: Any, environment: Environment, master: Guarded, method: str, fault: Callable[[Environment], None]
) -> None:
    fault(environment)
    master.records.set(b"none", b"v", 100)
    getattr(way, method)([b"none"] if method.endswith("many") else b"none")
    assert [call[0] for call in master.calls] == [method]


@reads
def test_what_one_that_lacks_records_has_is_read(
    way: Any, environment: Environment, master: Guarded, method: str
) -> None:
    missing(environment)
    getattr(way, method)([b"k", b"n"] if method.endswith("many") else b"k")
    assert master.calls == []


# -- the process's own writes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("write", WRITES)
@reads
def test_what_was_just_written_is_read_from_the_master(
    way: Any, master: Guarded, environment: Environment, follow: Follow, write: str, method: str
) -> None:
    OTHERS[write](way)
    key = b"n" if write in ("incr", "incr_many") else b"k"
    assert environment.words[WANTED] == 1
    environment.words[WANTED] = 0
    master.calls.clear()
    getattr(way, method)([b"other", key] if method.endswith("many") else key)
    assert [call[0] for call in master.calls] == [method]
    assert environment.words[WANTED] == 1
    assert follow.asked == 0


@pytest.mark.parametrize("write", WRITES)
@reads
def test_once_the_copy_has_it_it_is_read_from_there(
    way: Any, master: Guarded, mirror: Mirror, write: str, method: str
) -> None:
    OTHERS[write](way)
    mirror.hear()
    master.calls.clear()
    EVERY_READ[method](way)
    assert master.calls == []


def test_other_keys_are_not_concerned(way: Any, master: Guarded) -> None:
    way.set(b"k", b"new", None)
    master.calls.clear()
    assert way.get(b"n") == 5
    assert master.calls == []


@pytest.mark.parametrize("write", ["clear", "clear_prefix", "cull"])
def test_after_a_clear_every_key_is(way: Any, master: Guarded, write: str) -> None:
    OTHERS[write](way)
    master.calls.clear()
    way.get(b"never heard of")
    assert [call[0] for call in master.calls] == ["get"]


def test_what_was_heard_before_the_write_was_acknowledged_does_not_count(
    way: Any, store: ReplicaStore, master: Guarded, mirror: Mirror, ticks: Nanoseconds
) -> None:
    """The marker was under way while the master wrote."""
    sent = ticks()
    way.set(b"k", b"new", None)
    mirror.records.reach(sent)
    assert way.get(b"k") == b"new"


def test_a_write_without_an_answer_may_have_been_made(way: Any, master: Guarded, mirror: Mirror) -> None:
    master.is_down = True
    with pytest.raises(ConnectionFailed):
        way.set(b"k", b"new", None)
    master.is_down = False
    master.breaker._tries = 0
    master.records.set(b"k", b"new", None)
    assert way.get(b"k") == b"new"


def test_keys_that_can_be_iterated_once_only_are_noted(way: Any, master: Guarded) -> None:
    assert way.delete_many(iter([b"k"])) == 1
    assert way.get(b"k") is None
    assert way.get_many(iter([b"k", b"n"])) == {b"n": 5}


# -- a master out of order --------------------------------------------------------------------------------------


@reads
def test_without_the_master_the_copy_goes_on(way: Any, master: Guarded, ticks: Nanoseconds, method: str) -> None:
    answer = EVERY_READ[method](way)
    master.is_down = True
    ticks.advance(59)
    assert EVERY_READ[method](way) == answer


@reads
def test_but_not_for_ever(way: Any, master: Guarded, ticks: Nanoseconds, method: str) -> None:
    master.is_down = True
    ticks.advance(61)
    with pytest.raises(ConnectionFailed):
        EVERY_READ[method](way)


@reads
def test_nor_with_what_is_known_to_be_out_of_date(way: Any, master: Guarded, ticks: Nanoseconds, method: str) -> None:
    way.set(b"k", b"new", None)
    master.is_down = True
    ticks.advance(5)
    with pytest.raises(ConnectionFailed):
        EVERY_READ[method](way)


@reads
def test_nor_with_what_it_may_lack(
    way: Any, master: Guarded, environment: Environment, ticks: Nanoseconds, method: str
) -> None:
    missing(environment)
    master.is_down = True
    ticks.advance(5)
    with pytest.raises(ConnectionFailed):
        getattr(way, method)([b"none"] if method.endswith("many") else b"none")


def test_writes_are_errors_then(way: Any, master: Guarded) -> None:
    master.is_down = True
    with pytest.raises(ConnectionFailed):
        way.set(b"k", b"v", None)


def test_a_mistake_is_no_outage(way: Any, master: Guarded, ticks: Nanoseconds) -> None:
    class Refusing:
        def get(self, key: bytes) -> None:
            raise InvalidInput("not this")

        async def aget(self, key: bytes) -> None:
            raise InvalidInput("not this")

    master.records = cast(Any, Refusing())
    ticks.advance(5)
    with pytest.raises(InvalidInput):
        way.get(b"k")
