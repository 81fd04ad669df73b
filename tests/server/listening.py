"""A server of the test's own: it listens, and what it says to whom is up to the test."""

from __future__ import annotations

import socket
from typing import Self

from tests.server.exchange import Wire

_PATIENCE = 20  # seconds


class Accepted(Wire):
    """A connection that was accepted."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(_PATIENCE)


class Listening:
    """A listening socket."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(_PATIENCE)
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def accept(self) -> Accepted:
        """Wait for the next connection."""
        return Accepted(self._socket.accept()[0])
