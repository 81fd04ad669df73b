"""Keys are spread over servers, stay where they are when servers come and go, and move only for a dead one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kt_cache.stores import AsyncStore, Store
from kt_cache.stores.routing import RoutedStore
from kt_core.errors import ConnectionFailed, InvalidInput
from tests.clock import Clock
from tests.stores.awaited import Awaited
from tests.stores.capabilities import Counting, SubsecondExpiry
from tests.stores.contract import StoreContract
from tests.stores.entries import Entries
from tests.stores.guarded import Guarded

KEYS = [b"key %d" % number for number in range(10_000)]


@pytest.fixture
def servers(clock: Clock) -> list[Guarded]:
    """Return three servers."""
    return [Guarded(f"{name}:1978", clock) for name in "abc"]


def routed(servers: list[Guarded]) -> Any:
    return RoutedStore([server.member for server in servers])


@pytest.fixture
def store(servers: list[Guarded]) -> Any:
    """Return the store over all of them."""
    return routed(servers)


class TestRoutedStore(StoreContract, Entries, SubsecondExpiry, Counting):
    """The contract does not show how many servers there are."""


class TestAwaitedRoutedStore(StoreContract, SubsecondExpiry, Counting):
    @pytest.fixture
    def store(self, servers: list[Guarded], runner: asyncio.Runner) -> Awaited:
        return Awaited(cast(AsyncStore, routed(servers)), runner)


# -- which key is where ------------------------------------------------------------------------------------


def homes(names: str, clock: Clock) -> dict[bytes, str]:
    """Return the server of each key, among servers of these names."""
    members = [Guarded(f"{name}:1978", clock).member for name in names]
    by_store = {id(member.store): member.name[0] for member in members}
    store = RoutedStore(members)
    return {key: by_store[id(store.store_of(key))] for key in KEYS}


@pytest.mark.parametrize("names", ["ab", "abc", "abcdefgh"])
def test_keys_are_spread_evenly(clock: Clock, names: str) -> None:
    shares = Counter(homes(names, clock).values())
    assert set(shares) == set(names)
    assert all(share == pytest.approx(len(KEYS) / len(names), rel=0.1) for share in shares.values())


@pytest.mark.parametrize("names", ["ab", "abcde"])
def test_one_server_more_takes_its_share_and_moves_nothing_else(clock: Clock, names: str) -> None:
    before, after = homes(names, clock), homes(names + "z", clock)
    moved = [key for key in KEYS if before[key] != after[key]]
    assert {after[key] for key in moved} == {"z"}
    assert len(moved) == pytest.approx(len(KEYS) / (len(names) + 1), rel=0.1)


def test_the_order_of_the_servers_does_not_matter(clock: Clock) -> None:
    assert homes("abc", clock) == homes("cab", clock)


def test_a_key_is_where_every_version_and_process_looks_for_it(clock: Clock) -> None:
    assert "".join(homes("abc", clock)[key] for key in KEYS[:24]) == "aacbccbbbababaaacbbbbacc"


# -- many records ------------------------------------------------------------------------------------------

MANY: dict[str, Callable[[Any], object]] = {
    "get_many": lambda store: store.get_many(iter(KEYS[:100])),
    "set_many": lambda store: store.set_many(dict.fromkeys(KEYS[:100], b"v"), None),
    "delete_many": lambda store: store.delete_many(iter(KEYS[:100])),
    "touch_many": lambda store: store.touch_many(iter(KEYS[:100]), 10),
    "incr_many": lambda store: store.incr_many(dict.fromkeys(KEYS[:100], 1)),
    "ttl_many": lambda store: store.ttl_many(iter(KEYS[:100])),
}
WHOLE: dict[str, Callable[[Any], object]] = {
    "keys": lambda store: store.keys(b"key"),
    "clear": lambda store: store.clear(),
    "clear_prefix": lambda store: store.clear_prefix(b"key"),
    "cull": lambda store: store.cull(10, 2),
    "vacuum": lambda store: store.vacuum(),
    "stats": lambda store: store.stats(),
    "ping": lambda store: store.ping(),
}


@pytest.mark.parametrize("method", MANY)
def test_each_server_is_asked_once_and_for_its_own_keys(store: Any, servers: list[Guarded], method: str) -> None:
    MANY[method](store)
    asked: list[bytes] = []
    for server in servers:
        ((name, keys, *_),) = server.calls
        assert name == method
        assert {store.store_of(key) for key in keys} == {server}
        asked += keys
    assert sorted(asked) == sorted(KEYS[:100])


def test_a_server_without_any_of_the_keys_is_not_asked(store: Any, servers: list[Guarded]) -> None:
    store.get_many([KEYS[0]])
    assert sorted(len(server.calls) for server in servers) == [0, 0, 1]


@pytest.mark.parametrize("method", WHOLE)
def test_what_concerns_all_records_is_asked_of_all(store: Any, servers: list[Guarded], method: str) -> None:
    WHOLE[method](store)
    assert [[call[0] for call in server.calls] for server in servers] == [[method]] * 3


@pytest.mark.parametrize("method", [*MANY, *WHOLE])
def test_awaited_all_servers_are_asked_at_once(servers: list[Guarded], runner: asyncio.Runner, method: str) -> None:
    """None answers before all of them have been asked."""

    async def scenario() -> None:
        everybody = asyncio.Barrier(3)

        class Meeting:
            def __init__(self, server: Guarded) -> None:
                self._server = server

            def __getattr__(self, name: str) -> Callable[..., Any]:
                async def twin(*args: Any) -> Any:
                    await everybody.wait()
                    return await getattr(self._server, name)(*args)

                return twin

        members = [server.member._replace(store=cast(AsyncStore, Meeting(server))) for server in servers]
        store: Any = RoutedStore(members)
        await asyncio.wait_for({**MANY, **WHOLE}[method](_ToAwait(store)), 10)

    runner.run(scenario())


class _ToAwait:
    """Names the awaited methods as the waiting ones."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, f"a{name}")


def test_figures_are_added_up(store: Any) -> None:
    store.set_many(dict.fromkeys(KEYS[:100], b"v"), None)
    store.get_many(KEYS[:110])
    stats = store.stats()
    assert (stats.entries, stats.hits, stats.misses, stats.processes) == (100, 100, 10, 3)
    assert (stats.store, stats.location) == ("memory", "this process")


@pytest.mark.parametrize(
    ("figure", "values", "total"),
    [
        ("location", ("a:1978/0", "b:1978/0", "a:1978/0"), "a:1978/0, b:1978/0"),
        ("max_size", (10, 20, 30), 60),
        ("max_size", (10, 0, 30), 0),
        ("evictions", (1, 2, 3), 6),
        ("evictions", (1, None, 3), None),
        ("evictions", (None, None, None), None),
    ],
)
def test_what_one_server_does_not_know_is_unknown(
    store: Any, servers: list[Guarded], figure: str, values: tuple[Any, ...], total: object
) -> None:
    for server, value in zip(servers, values, strict=True):
        stats = replace(server.records.stats(), **{figure: value})
        server.records = cast(Any, SimpleNamespace(stats=lambda stats=stats: stats))
    assert getattr(store.stats(), figure) == total


def test_each_server_keeps_its_part_of_the_limit(store: Any) -> None:
    store.set_many(dict.fromkeys(KEYS[:3000], b"v"), None)
    store.cull(2700, 3)
    assert len(store.keys()) == pytest.approx(2000, abs=2)
    store.cull(2700, 3)
    assert len(store.keys()) == pytest.approx(2000, abs=2)


def test_closing_closes_every_server(store: Any, servers: list[Guarded]) -> None:
    store.close()
    assert [server.closed for server in servers] == [1, 1, 1]


# -- servers out of order ----------------------------------------------------------------------------------


def key_of(store: Any, server: Guarded, nth: int = 0) -> bytes:
    """Return a key that is on this server."""
    return [key for key in KEYS[:100] if store.store_of(key) is server][nth]


def die(server: Guarded, store: Any, clock: Clock) -> None:
    """Take a server down, and let calls find out."""
    key = key_of(store, server)
    server.is_down = True
    for attempt in range(3):
        if attempt:
            clock.advance(1)
        with pytest.raises(ConnectionFailed, match="down"):
            store.get(key)


@pytest.fixture(params=["waiting", "awaited"])
def way(request: pytest.FixtureRequest, store: Any, runner: asyncio.Runner) -> Store:
    """Return the store, waiting and awaited."""
    return cast(Store, store if request.param == "waiting" else Awaited(store, runner))


@pytest.mark.parametrize("method", [*MANY, *WHOLE])
def test_the_others_do_their_part_before_an_error_is_raised(way: Any, servers: list[Guarded], method: str) -> None:
    servers[0].is_down = True
    with pytest.raises(ConnectionFailed, match="down"):
        {**MANY, **WHOLE}[method](way)
    assert [[call[0] for call in server.calls] for server in servers] == [[method]] * 3


def test_a_failure_is_raised_and_the_keys_of_others_are_not_concerned(
    way: Any, store: Any, servers: list[Guarded]
) -> None:
    first, second = key_of(store, servers[0]), key_of(store, servers[1])
    way.set(second, b"v", None)
    servers[0].is_down = True
    with pytest.raises(ConnectionFailed, match="down"):
        way.get(first)
    with pytest.raises(ConnectionFailed, match="left alone"):
        way.get(first)
    assert way.get(second) == b"v"


def test_a_server_that_is_back_in_time_keeps_its_keys(
    way: Any, store: Any, servers: list[Guarded], clock: Clock
) -> None:
    key = key_of(store, servers[0])
    way.set(key, b"v", None)
    servers[0].is_down = True
    with pytest.raises(ConnectionFailed):
        way.get(key)
    clock.advance(1)
    servers[0].is_down = False
    assert way.get(key) == b"v"


def test_a_dead_servers_keys_go_to_others_until_it_is_back(
    way: Any, store: Any, servers: list[Guarded], clock: Clock
) -> None:
    dead, *others = servers
    before = {key: store.store_of(key) for key in KEYS[:100]}
    die(dead, store, clock)
    after = {key: store.store_of(key) for key in KEYS[:100]}
    assert {key for key in after if after[key] is not before[key]} == {key for key in before if before[key] is dead}
    assert {after[key] for key in before if before[key] is dead} == set(others)
    key = key_of_before(before, dead)
    way.set(key, b"elsewhere", None)
    assert way.get(key) == b"elsewhere"
    clock.advance(60)
    dead.is_down = False
    assert way.get(key) is None
    assert {key: store.store_of(key) for key in KEYS[:100]} == before


def key_of_before(before: dict[bytes, Any], server: Guarded) -> bytes:
    return next(key for key, home in before.items() if home is server)


def test_without_failover_a_dead_servers_keys_fail_until_it_is_back(
    servers: list[Guarded], clock: Clock, runner: asyncio.Runner
) -> None:
    store: Any = RoutedStore([server.member for server in servers], failover=False)
    before = {key: store.store_of(key) for key in KEYS[:100]}
    key = key_of(store, servers[0])
    store.set(key, b"v", None)
    die(servers[0], store, clock)
    assert {key: store.store_of(key) for key in KEYS[:100]} == before
    with pytest.raises(ConnectionFailed, match="left alone"):
        store.get_many(KEYS[:100])
    with pytest.raises(ConnectionFailed, match="left alone"):
        Awaited(store, runner).set(key, b"w", None)
    clock.advance(1)
    servers[0].is_down = False
    assert store.get(key) == b"v"


def test_with_all_servers_dead_the_keys_stay_where_they_were(
    way: Any, store: Any, servers: list[Guarded], clock: Clock
) -> None:
    before = {key: store.store_of(key) for key in KEYS[:100]}
    for server in servers:
        die(server, store, clock)
    assert {key: store.store_of(key) for key in KEYS[:100]} == before
    with pytest.raises(ConnectionFailed, match="left alone"):
        way.get(key_of(store, servers[2]))
    clock.advance(1)
    servers[2].is_down = False
    assert way.get(key_of(store, servers[2])) is None


def test_a_mistake_is_raised_as_it_is(way: Any, servers: list[Guarded]) -> None:
    with pytest.raises(InvalidInput, match="NaN"):
        way.set_many(dict.fromkeys(KEYS[:100], b"v"), float("nan"))
