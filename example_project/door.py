"""The server beside the site: it lets others into the database that the workers open in-process."""

from __future__ import annotations

import os
from pathlib import Path

from kt_core import EmbeddedServer

LOCATION, SOCKET, PORT = "KT_CACHE_LOCATION", "KT_CACHE_SOCKET", "KT_CACHE_PORT"
"""Where the site's settings look for the way to the cache: environment variables."""


def _databases() -> list[str]:
    location = os.environ[LOCATION]
    return [location, f"{location}-measured#max_size=16m"]


def open_door(socket: Path) -> EmbeddedServer:
    """Start the server on a unix socket and a free TCP port of this machine, and tell the settings of both."""
    server = EmbeddedServer(None, port=0, path=str(socket), database=_databases())
    server.run()
    os.environ[SOCKET], os.environ[PORT] = str(socket), str(server.port)
    return server
