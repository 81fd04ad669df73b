"""Caches over every kind of store, on a clock that the test moves, called both ways."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from kt_cache.django import KTCache
from kt_cache.django.base import read_options
from kt_cache.options import EmbeddedOptions
from kt_core.database import Environment
from kt_core.transport import Address
from tests.aerospike.server import Cluster
from tests.clock import Clock
from tests.fix_aerospike import AEROSPIKE_KINDS, Place
from tests.fix_servers import KINDS, PATIENTLY, TYRANT_KINDS
from tests.stores.server_clock import ServerClock

AEROSPIKE = [f"Aerospike, {kind}" for kind in AEROSPIKE_KINDS[:1]]

SERVERS = [*KINDS, *TYRANT_KINDS[-1:], *AEROSPIKE]
"""The kinds of servers that caches and sessions are tested on; of Tokyo Tyrant's one, the original if it is there."""

MakeCache: TypeAlias = Callable[..., KTCache]
Call: TypeAlias = Callable[..., Any]
About: TypeAlias = Callable[[Any], Any]


class Embedded:
    """Makes caches in directories of their own."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self._directory = directory
        self._opened: set[Environment] = set()

    def make_cache(self, place: str = "place", kind: type[KTCache] = KTCache, **params: Any) -> KTCache:
        """Make a cache with a CACHES entry's parameters; those of one place share it."""
        params.setdefault("CLOCK", self.clock)
        location = f"embedded://{self._directory}/{place}"
        options = {"max_size": 4 << 20, **params.pop("OPTIONS", {})}
        store = read_options(location, {"OPTIONS": options}).store
        assert isinstance(store, EmbeddedOptions)
        # An environment is opened once in a process: the cache will find this one, and its clock.
        self._opened.add(Environment.open(self._directory / place, store.of_database, clock=self.clock))
        return kind(location, {"OPTIONS": options, **params})

    def about(self, seconds: Any) -> Any:
        """Return what equals seconds left, but for the milliseconds that a store may round up."""
        return pytest.approx(seconds, abs=0.005)

    def close(self) -> None:
        for environment in self._opened:
            environment.close()


class ClusterClock(Clock):
    """The real time, and what the test lets pass for the nodes of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __call__(self) -> float:
        return time.time()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._cluster.advance(seconds)


class Timed:
    """Makes caches on a server that lets records expire, at whole seconds."""

    def __init__(self, location: str, clock: Clock) -> None:
        self.clock = clock
        self._location = location
        self._caches = [KTCache(self._location, {})]
        self._caches[0].clear()

    def make_cache(self, kind: type[KTCache] = KTCache, **params: Any) -> KTCache:
        """Make a cache with a CACHES entry's parameters; they all share one database."""
        self._caches.append(kind(self._location, params))
        return self._caches[-1]

    def about(self, seconds: Any) -> Any:
        """Return what equals seconds left, but for the fraction that is rounded up and the second that has begun."""
        if isinstance(seconds, list):
            return [self.about(each) for each in seconds]
        return pytest.approx(seconds if seconds in (None, math.inf) else math.ceil(seconds), abs=1)

    def close(self) -> None:
        for cache in self._caches:
            cache._store.close()


class Tyrant:
    """Makes caches on a server that knows no time: their own clock is the one that counts."""

    def __init__(self, address: Address) -> None:
        self.clock = Clock()
        self._location = f"tt://{address}{PATIENTLY}"
        self._caches = [KTCache(self._location, {"CLOCK": self.clock})]
        self._caches[0].clear()

    def make_cache(self, kind: type[KTCache] = KTCache, **params: Any) -> KTCache:
        """Make a cache with a CACHES entry's parameters; they all share one database."""
        self._caches.append(kind(self._location, {"CLOCK": self.clock, **params}))
        return self._caches[-1]

    def about(self, seconds: Any) -> Any:
        """Return what equals seconds left, but for the millisecond that is rounded up."""
        return pytest.approx(seconds, abs=0.005)

    def close(self) -> None:
        for cache in self._caches:
            cache._store.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    """Return what makes caches in directories of their own."""
    embedded = Embedded(tmp_path)
    yield embedded
    embedded.close()


@pytest.fixture
def make_embedded_cache(embedded: Embedded) -> MakeCache:
    """Return a function that makes a cache in a directory, for what the other stores have not."""
    return embedded.make_cache


@pytest.fixture(scope="session")
def moved_cluster() -> Iterator[Cluster]:
    """Return a cluster whose clock these tests move."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def locate(
    request: pytest.FixtureRequest,
    start_kyoto: Callable[[str], Address],
    start_tyrant: Callable[[str, str], Address],
) -> Callable[[str], str]:
    """Return a function that gives the location of a running server of a kind."""

    def locate(kind: str) -> str:
        if kind in AEROSPIKE:
            return Place(tuple(request.getfixturevalue("moved_cluster").hosts)).url("adapters") + PATIENTLY
        scheme, server = ("tt", start_tyrant(kind, "*")) if kind in TYRANT_KINDS else ("kt", start_kyoto(kind))
        return f"{scheme}://{server}{PATIENTLY}"

    return locate


@pytest.fixture(params=["embedded", *SERVERS])
def backend(request: pytest.FixtureRequest) -> Iterator[Embedded | Timed | Tyrant]:
    """Return what makes caches, for each kind of store."""
    if request.param == "embedded":
        yield request.getfixturevalue("embedded")
    elif request.param in TYRANT_KINDS:
        tyrant = Tyrant(request.getfixturevalue("start_tyrant")(request.param, "*"))
        yield tyrant
        tyrant.close()
    else:
        timed = Timed(
            request.getfixturevalue("locate")(request.param), request.getfixturevalue("clock_of")(request.param)
        )
        yield timed
        timed.close()


@pytest.fixture
def clock_of(request: pytest.FixtureRequest) -> Callable[[str], Clock]:
    """Return a function that gives the clock of a running server of a kind, for the test to move."""

    def clock_of(kind: str) -> Clock:
        if kind in AEROSPIKE:
            return ClusterClock(request.getfixturevalue("moved_cluster"))
        return ServerClock(request.getfixturevalue("start_kyoto")(kind), 0)

    return clock_of


@pytest.fixture
def clock(backend: Embedded | Timed | Tyrant) -> Clock:
    """Return a clock that the test moves."""
    return backend.clock


@pytest.fixture
def make_cache(backend: Embedded | Timed | Tyrant) -> MakeCache:
    """Return a function that makes a cache with a CACHES entry's parameters; all those of a test share one store."""
    return backend.make_cache


@pytest.fixture
def about(backend: Embedded | Timed | Tyrant) -> About:
    """Return a function that gives what equals seconds left, as exactly as the store keeps them."""
    return backend.about


@pytest.fixture
def cache(make_cache: MakeCache) -> KTCache:
    """Return a cache as its users mostly have it."""
    return make_cache()


def waiting(cache: KTCache, method: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(cache, method)(*args, **kwargs)


def awaited(cache: KTCache, method: str, *args: Any, **kwargs: Any) -> Any:
    return asyncio.run(getattr(cache, f"a{method}")(*args, **kwargs))


@pytest.fixture(params=[waiting, awaited])
def call(request: pytest.FixtureRequest) -> Call:
    """Return a function that calls a cache's method, once as it is and once its awaited twin."""
    return request.param
