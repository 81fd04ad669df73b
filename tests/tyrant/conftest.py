"""The clients that are tested: each way of calling one, on each server found and each kind of database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kt_core.transport import Address
from kt_core.tyrant import AsyncTokyoTyrant, TokyoTyrant
from tests.fix_servers import TYRANT_KINDS
from tests.kyoto.awaited import Awaited
from tests.tyrant.databases import EVERY, PLAIN, Database

Connect = Callable[..., Any]
Start = Callable[[str, str], Address]


@pytest.fixture(params=TYRANT_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return a kind of server."""
    return str(request.param)


@pytest.fixture(params=["waiting", "awaited"])
def connect_to(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Connect:
    """Return a function that makes a client, of the way that is tested, for an address."""

    def connect(address: Address, **options: Any) -> Any:
        options = {"host": address.host, "port": address.port, "path": address.path, "timeout": 10, **options}
        return TokyoTyrant(**options) if request.param == "waiting" else Awaited(AsyncTokyoTyrant(**options), runner)

    return connect


@pytest.fixture
def open_database(connect_to: Connect, start_tyrant: Start, kind: str) -> Connect:
    """Return a function that makes a client of a database, which is empty."""

    def open_it(database: Database, **options: Any) -> Any:
        address = start_tyrant(kind, database.name)
        with TokyoTyrant(address.host, address.port, timeout=10) as client:
            client.clear()
        return connect_to(address, **{"serializer": database.serializer, **options})

    return open_it


@pytest.fixture(params=EVERY, ids=lambda database: database.name)
def database(request: pytest.FixtureRequest) -> Database:
    """Return a kind of database."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def client(open_database: Connect, database: Database) -> Any:
    """Return a client of an empty database of each kind."""
    return open_database(database)


@pytest.fixture(params=PLAIN, ids=lambda database: database.name)
def connect(request: pytest.FixtureRequest, open_database: Connect) -> Connect:
    """Return a function that makes a client of a database that takes any keys and values."""
    return lambda **options: open_database(request.param, **options)


@pytest.fixture
def plain(connect: Connect) -> Any:
    """Return a client of an empty database that takes any keys and values."""
    return connect()
