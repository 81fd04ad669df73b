"""What the waiting and the awaited client have in common: how they are made, and what they are set to."""

from __future__ import annotations

from typing import Final, Self

from kt_core.kyoto.calls import Calls
from kt_core.kyoto.serializers import KT_BINARY, Serializer
from kt_core.pool import PoolOptions
from kt_core.transport import Address

MAX_CONNECTIONS: Final = 64


class Client:
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
        self._options = PoolOptions(
            Address(host, port, path),
            timeout=timeout,
            connect_timeout=connect_timeout,
            max_connections=max_connections,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._options.address}>"

    def set_database(self, db: int) -> Self:
        """Make another database the default one, for whoever uses the client; return it."""
        self._calls.set_database(db)
        return self

    def checkin(self) -> None:
        """Do nothing: a connection is back in the pool when a method returns."""
