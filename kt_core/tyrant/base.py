"""What the waiting and the awaited client have in common: how they are made, and the operations they make."""

from __future__ import annotations

from kt_core.client import MAX_CONNECTIONS, Client
from kt_core.serializers import KT_BINARY, Serializer
from kt_core.transport import Address
from kt_core.tyrant.calls import Calls


class TyrantClient(Client):
    """Options, and the operations that they make."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 1978,
        serializer: str | Serializer = KT_BINARY,
        decode_keys: bool = True,
        timeout: float | None = None,
        *,
        path: str | None = None,
        connect_timeout: float | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._calls = Calls(serializer, decode_keys)
        self._use(Address(host, port, path), timeout, connect_timeout, max_connections)
