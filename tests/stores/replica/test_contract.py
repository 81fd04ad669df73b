"""The contract holds over a real master and a follower that takes its time: who answers is left to chance."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from kt_cache.stores.hosts import Host
from kt_cache.stores.kyoto import KyotoStore
from kt_cache.stores.replica.store import ReplicaStore
from kt_core.database import Environment
from kt_core.pool import PoolOptions
from kt_core.transport import Address
from tests.stores.awaited import Awaited
from tests.stores.contract import StoreContract
from tests.stores.entries import Entries, NoUses
from tests.stores.replica.conftest import followed, opened, settle
from tests.stores.replica.mirror import as_store
from tests.stores.server_clock import ServerClock


class FollowedClock(ServerClock):
    """Its time has passed once the copy knows it, too."""

    def __init__(self, address: Address, environment: Environment) -> None:
        super().__init__(address, 0)
        self._environment = environment

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        settle(self._environment)


@pytest.fixture(scope="module")
def copy(master: Address, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Return the environment of a copy that is followed."""
    with opened(tmp_path_factory.mktemp("copy")) as environment, followed(environment, master):
        settle(environment)
        yield environment


@pytest.fixture
def clock(master: Address, copy: Environment) -> FollowedClock:
    return FollowedClock(master, copy)


@pytest.fixture
def plain(master: Address, copy: Environment) -> Iterator[ReplicaStore]:
    """Return the store, empty."""
    store = ReplicaStore(
        as_store(KyotoStore(Host(PoolOptions(master)))), copy, max_lag=1.0, outage=60, follow=lambda: None
    )
    store.clear()
    yield store
    store.close()


class TestFollowedStore(StoreContract, Entries, NoUses):
    @pytest.fixture
    def store(self, plain: ReplicaStore) -> ReplicaStore:
        return plain


class TestAwaitedFollowedStore(StoreContract):
    @pytest.fixture
    def store(self, plain: ReplicaStore, runner: asyncio.Runner) -> Awaited:
        return Awaited(as_store(plain), runner)
