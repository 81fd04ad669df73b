"""What the tests of the facade ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from kt_core import aerospike
from tests.fix_aerospike import Place

SET = "facade"

_numbers = count()


@pytest.fixture
def connect(aerospike_place: Place) -> Iterator[Callable[..., Any]]:
    """Return a function that gives a connected client with a config of its own."""
    clients = []

    def connect(**config: Any) -> Any:
        client = aerospike.client({"hosts": list(aerospike_place.hosts), "thread_pool_size": 2, **config}).connect()
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., Any]) -> Any:
    """Return a connected client."""
    return connect()


@pytest.fixture
def key(aerospike_place: Place, native: Any) -> Iterator[tuple[str, str, str]]:
    """Return a key that nobody else has."""
    key = (aerospike_place.namespace, SET, f"key-{next(_numbers)}")
    yield key
    if native.exists(key)[1] is not None:
        native.remove(key)


@pytest.fixture
def registered() -> Iterator[None]:
    """Take back the serializers that a test registers."""
    yield
    aerospike.unset_serializers()
