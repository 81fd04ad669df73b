"""A server of Tokyo Tyrant's protocol in a thread of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kt_core.server.tyrant.server import TyrantOptions, TyrantServer
from tests.server.running import running_service
from tests.server.tyrant.asking import Asker


@contextmanager
def serving(database: str = "*", **options: Any) -> Iterator[TyrantServer]:
    """Run a server on a free port; it is stopped at the end, gracefully."""
    options = {"port": 0, "timeout": 10.0, **options}
    server = TyrantServer(TyrantOptions(database=database, **options))
    with running_service(server):
        yield server


def connect(server: TyrantServer) -> Asker:
    """Connect to a server by TCP."""
    return Asker(("127.0.0.1", server.port))
