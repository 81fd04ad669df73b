"""What the waiting and the awaited client have in common: how they are made, and what they are set to."""

from __future__ import annotations

from typing import Self

from kt_core.client import MAX_CONNECTIONS, Client
from kt_core.kyoto.calls import Calls
from kt_core.serializers import KT_BINARY, Serializer
from kt_core.transport import Address


class KyotoClient(Client):
    """Options, and the operations that they make."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 1978,
        serializer: str | Serializer = KT_BINARY,
        decode_keys: bool = True,
        timeout: float | None = None,
        default_db: int = 0,
        *,
        path: str | None = None,
        connect_timeout: float | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._calls = Calls(serializer, decode_keys, default_db)
        self._use(Address(host, port, path), timeout, connect_timeout, max_connections)

    def set_database(self, db: int) -> Self:
        """Make another database the default one, for whoever uses the client; return it."""
        self._calls.set_database(db)
        return self
