"""What a location opens, and what its users see of servers that stop and start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kt_cache.options import Options
from kt_cache.stores import AsyncStore, open_store
from kt_cache.stores.aerospike import AerospikeStore
from kt_cache.stores.embedded import EmbeddedStore
from kt_cache.stores.kyoto import KyotoStore
from kt_cache.stores.replicas import ReplicatedStore
from kt_cache.stores.routing import RoutedStore
from kt_cache.stores.tolerant import TolerantStore
from kt_cache.stores.tyrant import TyrantStore
from kt_core.errors import ConnectionFailed, Timeout
from tests.fix_servers import KINDS, TYRANT_KINDS, running
from tests.peer import peer

every_server = pytest.mark.parametrize(
    ("scheme", "kind"), [*(("kt", kind) for kind in KINDS), *(("tt", kind) for kind in TYRANT_KINDS)]
)

KEYS = [b"key %d" % number for number in range(50)]


@pytest.fixture
def open_at() -> Iterator[Callable[..., Any]]:
    """Return a function that opens stores, which are closed after the test."""
    opened: list[AsyncStore] = []

    def open_(location: object, **options: Any) -> AsyncStore:
        opened.append(open_store(Options.parse(location, options, default_name="default")))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


OpenAt = Callable[..., Any]


# -- what is opened ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "options", "kind"),
    [
        ("kt://a", {}, KyotoStore),
        ("kt+unix:///run/a", {}, KyotoStore),
        ("kt://a", {"on_error": "miss"}, TolerantStore),
        ("kt://a,b", {}, RoutedStore),
        ("kt://a,b", {"on_error": "miss"}, RoutedStore),
        ("kt://a?replicas=b", {}, ReplicatedStore),
        ("kt://a?replicas=b", {"on_error": "miss"}, TolerantStore),
        ("tt://a", {}, TyrantStore),
        ("tt+unix:///run/a", {}, TyrantStore),
        ("tt://a", {"on_error": "miss"}, TolerantStore),
        ("tt://a,b", {}, RoutedStore),
        ("tt://a?replicas=b", {}, ReplicatedStore),
        ("aerospike://a,b/ns/s", {}, AerospikeStore),
        ("aerospike://a/ns/s", {"on_error": "miss"}, TolerantStore),
    ],
)
def test_a_location_opens_a_store(open_at: OpenAt, location: str, options: dict[str, Any], kind: type[Any]) -> None:
    """No connection is made before it is needed: there is no server at any of these."""
    assert type(open_at(location, **options)) is kind


def test_equal_options_open_one_store(open_at: OpenAt) -> None:
    store = open_at("kt://a")
    assert open_at("kt://a:1978/0?timeout=1", serializer="json") is store
    assert open_at("kt://a/1") is not store
    assert open_at("kt://a", on_error="miss") is not store
    assert open_at("kt://a", timeout=2) is not store


def test_an_embedded_database_has_no_server_to_do_without(open_at: OpenAt, tmp_path: Any) -> None:
    store = open_at(f"embedded://{tmp_path}/store", max_size="2m", on_error="miss")
    assert type(store) is EmbeddedStore
    store._database.environment.close()


# -- a server that is not there ----------------------------------------------------------------------------


@pytest.fixture
def nowhere() -> str:
    """Return the location of a server that has just gone."""
    with peer(lambda connected: None) as gone:
        return f"kt://{gone.address}"


def test_without_its_server_a_store_raises(open_at: OpenAt, nowhere: str) -> None:
    store = open_at(nowhere)
    for _ in range(2):
        with pytest.raises(ConnectionFailed, match="cannot be reached"):
            store.get(b"k")
        with pytest.raises(ConnectionFailed, match="cannot be reached"):
            asyncio.run(store.aget(b"k"))


def test_without_its_server_a_tolerant_store_is_empty(
    open_at: OpenAt, nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_at(nowhere, on_error="miss")
    for _ in range(3):
        assert store.get(b"k") is None
        assert store.set_many({b"k": b"v"}, 10) == [b"k"]
        assert asyncio.run(store.aincr(b"k", 1, initial=0)) is None
        assert list(store.iter_keys()) == []
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "is out of order: " in caplog.text


def test_a_tolerant_store_does_not_wait_again_for_a_server_that_hangs(open_at: OpenAt) -> None:
    with peer(lambda connected: connected.recv(1) and connected.recv(1000) and connected.recv(1000)) as hanging:
        store = open_at(f"kt://{hanging.address}", on_error="miss", timeout=0.05, retry_timeout=60)
        for _ in range(100):
            assert store.get(b"k") is None
        assert hanging.accepted == 1


def test_a_store_waits_as_long_as_it_is_told(open_at: OpenAt) -> None:
    with peer(lambda connected: connected.recv(1) and connected.recv(1000) and connected.recv(1000)) as hanging:
        store = open_at(f"kt://{hanging.address}", timeout=0.05)
        with pytest.raises(Timeout, match=r"did not answer within 0\.05 s"):
            store.get(b"k")


# -- servers that stop and start ---------------------------------------------------------------------------


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must come true soon."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@every_server
def test_a_tolerant_store_goes_on_when_its_server_is_back(
    open_at: OpenAt, scheme: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running(kind, databases=["*"]) as address:
        store = open_at(f"{scheme}://{address}", on_error="miss", retry_timeout=0.02)
        store.set(b"k", b"v", None)
    assert store.get(b"k") is None
    with running(kind, address=address, databases=["*"]):
        until(lambda: store.add(b"k", b"new", None))
        assert store.get(b"k") == b"new"
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


@every_server
def test_a_store_goes_on_when_its_server_is_back(open_at: OpenAt, scheme: str, kind: str) -> None:
    """The connections in the pool are broken then, which nobody need notice."""
    with running(kind, databases=["*"]) as address:
        store = open_at(f"{scheme}://{address}")
        store.set(b"k", b"v", None)
    with running(kind, address=address, databases=["*"]):
        assert store.get(b"k") is None


@every_server
@pytest.mark.parametrize("on_error", ["raise", "miss"])
def test_other_servers_take_over_from_one_that_stops(open_at: OpenAt, scheme: str, kind: str, on_error: str) -> None:
    policy = {"on_error": on_error, "retry_timeout": 0.02, "dead_timeout": 0.2}

    def works(store: Any, key: bytes) -> bool:
        try:
            store.set(key, b"v", None)
        except ConnectionFailed:
            assert on_error == "raise"
            return False
        return bool(store.get(key) == b"v")

    with running(kind, databases=["*"]) as first:
        with running(kind, databases=["*"]) as second:
            store = open_at([f"{scheme}://{first}", f"{scheme}://{second}"], **policy)
            alone, other = open_at(f"{scheme}://{first}"), open_at(f"{scheme}://{second}")
            assert store.set_many(dict.fromkeys(KEYS, b"v"), None) == []
            key, *others = other.keys()
            assert sorted([key, *others, *alone.keys()]) == sorted(KEYS)
            assert 10 < len(others) < 40
        until(lambda: works(store, key))
        assert alone.exists(key)
        with running(kind, address=second, databases=["*"]):
            until(lambda: works(store, key) and other.exists(key))


@every_server
def test_reads_go_on_when_the_primary_stops(open_at: OpenAt, scheme: str, kind: str) -> None:
    with running(kind, databases=["*"]) as replica:
        open_at(f"{scheme}://{replica}").set(b"k", b"v", None)
        with running(kind, databases=["*"]) as primary:
            store = open_at(f"{scheme}://{primary}", replicas=[str(replica)], on_error="miss", retry_timeout=0.02)
            assert store.add(b"new", b"v", None) is True
            assert store.get(b"k") == b"v"
        assert store.get(b"k") == b"v"
        assert store.add(b"new", b"v", None) is False
