"""A location with a copy opens a store over both, and a copy for each of several servers."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from kt_cache.options import Options
from kt_cache.stores import AsyncStore, open_store
from kt_cache.stores.hosts import Host
from kt_cache.stores.kyoto import KyotoStore
from kt_cache.stores.replica.election import lock_alone
from kt_cache.stores.replica.store import ReplicaStore
from kt_cache.stores.routing import RoutedStore
from kt_cache.stores.tolerant import TolerantStore
from kt_core.database import Database, Environment
from kt_core.errors import Misconfigured
from kt_core.pool import PoolOptions
from kt_core.transport import Address
from tests.fix_servers import MASTERS, running, with_log
from tests.stores.replica.conftest import until

KEYS = [b"key %d" % number for number in range(50)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return where copies are, which are removed after the test: with them those who follow end."""
    place = tmp_path / "copies"
    place.mkdir()
    yield place / "copy"
    Environment.close_below(place)
    shutil.rmtree(place)


@pytest.fixture
def open_at(place: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that opens stores with a copy, which are closed after the test."""
    opened: list[AsyncStore] = []

    def open_(servers: str, **options: Any) -> AsyncStore:
        every = {"replica": f"embedded://{place}?max_size=4m", **options}
        opened.append(open_store(Options.parse(f"kt://{servers}", every, default_name="x")))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


def test_the_store_reads_the_copy(open_at: Callable[..., Any], master: Address, place: Path) -> None:
    store = open_at(str(master))
    assert isinstance(store, ReplicaStore)
    store.set(b"k", b"v", None)
    until(lambda: store.get(b"k") == b"v" and store.lag < 0.5)
    until(lambda: Database(store._environment).get(b"k") == b"v")
    assert store.stats().lag == pytest.approx(store.lag, abs=0.5)
    assert (place / "follower").exists()


def test_one_that_goes_on_without_its_server_does_so_with_a_copy(open_at: Callable[..., Any], master: Address) -> None:
    assert isinstance(open_at(str(master), on_error="miss"), TolerantStore)


def test_equal_options_open_one_store(open_at: Callable[..., Any], master: Address) -> None:
    assert open_at(str(master)) is open_at(str(master))


def test_each_of_several_servers_has_a_copy(open_at: Callable[..., Any], place: Path, tmp_path: Path) -> None:
    with ExitStack() as servers:
        addresses = [
            servers.enter_context(running(MASTERS[-1], *with_log(tmp_path / f"log {number}"))) for number in range(2)
        ]
        store = open_at(",".join(map(str, addresses)))
        assert isinstance(store, RoutedStore)
        store.set_many(dict.fromkeys(KEYS, b"v"), None)
        copies = [cast(ReplicaStore, member.store) for _, member in store._members]
        until(lambda: store.get_many(KEYS) == dict.fromkeys(KEYS, b"v") and all(copy.lag < 0.5 for copy in copies))
        held = [len(Database(copy._environment).get_bulk(KEYS)) for copy in copies]
        assert sum(held) == 50
        assert min(held) > 5
        lag = store.stats().lag
        assert lag is not None
        assert lag <= max(copy.lag for copy in copies)
        servers.close()
        assert [store.get_many(KEYS) for _ in range(20)] == [dict.fromkeys(KEYS, b"v")] * 20
        names = {f"copy-127.0.0.1-{address.port}" for address in addresses}
        assert {each.name for each in place.parent.iterdir()} == names


def test_records_that_are_no_copy_are_not_replaced(open_at: Callable[..., Any], master: Address, place: Path) -> None:
    cache = open_store(Options.parse(f"embedded://{place}?max_size=4m", {}, default_name="x"))
    cache.set(b"k", b"v", None)
    with pytest.raises(Misconfigured, match="holds records of its own, and a copy would replace them"):
        open_at(str(master))
    assert cache.get(b"k") == b"v"


@pytest.mark.parametrize("on_error", ["raise", "miss"])
def test_reads_go_on_when_the_server_stops(open_at: Callable[..., Any], tmp_path: Path, on_error: str) -> None:
    with running(MASTERS[-1], *with_log(tmp_path / "log")) as address:
        KyotoStore(Host(PoolOptions(address))).set(b"k", b"v", None)
        store = open_at(str(address), on_error=on_error, max_lag=0.2)
        replica = store if on_error == "raise" else store._store
        until(lambda: store.get(b"k") == b"v" and replica.lag < 0.2)
    time.sleep(0.3)
    assert replica.lag > 0.2
    assert [store.get(b"k") for _ in range(100)] == [b"v"] * 100
    assert [store.get(b"none") for _ in range(100)] == [None] * 100


def test_a_worker_counts_as_one(open_at: Callable[..., Any], master: Address, place: Path) -> None:
    open_at(str(master))
    lock = lock_alone(str(place), "workers")
    if lock is not None:
        os.close(lock)
    assert lock is None


def test_where_the_copy_was_removed_the_server_is_read(
    open_at: Callable[..., Any], master: Address, place: Path
) -> None:
    store = open_at(str(master), max_lag=0.2)
    until(lambda: store.get(b"none") is None and store.lag < 0.2)
    shutil.rmtree(place)
    KyotoStore(Host(PoolOptions(master))).set(b"k", b"v", None)
    until(lambda: store.lag > 0.2)
    assert store.get(b"k") == b"v"
    assert not place.exists()
