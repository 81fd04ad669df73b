"""Aerospike servers for tests, as a plugin of pytest: ours always, and a real one where AEROSPIKE_HOST names it.

The variable is `host:port` or `host:port/namespace`. Without the client's package there is no server to test against.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from tests.aerospike.calling import Key, names
from tests.aerospike.server import Cluster, Settings

_REAL = os.environ.get("AEROSPIKE_HOST")

AEROSPIKE_KINDS = ["test server", *(["real"] if _REAL else [])] if find_spec("aerospike") else []

EXPIRING = {"test": Settings(), "unexpiring": Settings(nsup_period=0), "brief": Settings(default_ttl=30)}
"""The namespaces of our server: as it comes, one that refuses expiries, and one whose records expire by default."""


@dataclass(frozen=True)
class Place:
    """Where a server is, and which namespace tests may use."""

    hosts: tuple[tuple[str, int], ...]
    namespace: str = "test"

    def url(self, name: str) -> str:
        """Return the address of a store in a set."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"aerospike://{hosts}/{self.namespace}/{name}"


@contextmanager
def serving(kind: str) -> Iterator[Place]:
    """Run a server of ours, or give the place of the one that runs anyway."""
    if kind == "real":
        address, _, namespace = (_REAL or "").partition("/")
        host, _, port = address.rpartition(":")
        yield Place(((host, int(port)),), namespace or "test")
        return
    with Cluster(namespaces=EXPIRING) as cluster:
        yield Place(tuple(cluster.hosts))


@pytest.fixture(scope="session")
def start_aerospike() -> Iterator[Callable[[str], Place]]:
    """Return a function that gives the place of a running server of a kind, the same for all tests."""
    with ExitStack() as servers:

        @cache
        def start(kind: str) -> Place:
            return servers.enter_context(serving(kind))

        yield start


@pytest.fixture(scope="session", params=AEROSPIKE_KINDS)
def aerospike_place(request: pytest.FixtureRequest, start_aerospike: Callable[[str], Place]) -> Place:
    """Return the place of a running server, one of each kind."""
    return start_aerospike(request.param)


@pytest.fixture(scope="session")
def native(aerospike_place: Place) -> Any:
    """Return the native client of a running server, which ends with the process."""
    return import_module("aerospike").client({"hosts": list(aerospike_place.hosts)})


@pytest.fixture
def record_keys(aerospike_place: Place) -> list[Key]:
    """Return the keys of records that have never been."""
    return [(aerospike_place.namespace, "server", next(names)) for _ in range(1001)]


@pytest.fixture
def record_key(aerospike_place: Place) -> Key:
    """Return the key of a record that has never been."""
    return aerospike_place.namespace, "server", next(names)


@pytest.fixture(params=AEROSPIKE_KINDS[:1])
def cluster() -> Iterator[Cluster]:
    """Return a node of one's own, to do harm to."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(params=AEROSPIKE_KINDS[:1])
def two_nodes() -> Iterator[Cluster]:
    """Return two nodes of one's own."""
    with Cluster(nodes=2) as cluster:
        yield cluster


def pytest_report_header() -> str:
    return f"Aerospike servers: {', '.join(AEROSPIKE_KINDS)}"
