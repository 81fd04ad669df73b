"""The clients that are tested: each way of calling one, on each server found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kt_core.kyoto import AsyncKyotoTycoon, KyotoTycoon
from kt_core.transport import Address
from tests.fix_servers import DATABASES
from tests.kyoto.awaited import Awaited

Connect = Callable[..., Any]


@pytest.fixture(params=["waiting", "awaited"])
def connect_to(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Connect:
    """Return a function that makes a client, of the way that is tested, for an address."""

    def connect(address: Address, **options: Any) -> Any:
        options = {"host": address.host, "port": address.port, "path": address.path, "timeout": 10, **options}
        return KyotoTycoon(**options) if request.param == "waiting" else Awaited(AsyncKyotoTycoon(**options), runner)

    return connect


@pytest.fixture
def connect(kyoto: Address, connect_to: Connect) -> Connect:
    """Return a function that makes a client for a server, whose databases are empty."""
    with KyotoTycoon(kyoto.host, kyoto.port, timeout=10) as client:
        for db in range(len(DATABASES)):
            client.clear(db)
    return lambda **options: connect_to(kyoto, **options)


@pytest.fixture
def client(connect: Connect) -> Any:
    """Return a client with the options that it has by itself."""
    return connect()
