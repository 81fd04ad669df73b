"""The manager of a Kyoto Tycoon server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kt_core.embedded.manager import Manager
from kt_core.embedded.starting import Program, Settings
from kt_core.embedded.supervisor import RESTART_DELAYS
from kt_core.kyoto import KT_BINARY, KyotoTycoon
from kt_core.serializers import Serializer

_PROGRAM: Final = Program(
    bundled=("-m", "kt_core.server"),
    flags=("-le",),
    last_port=32767,
    bind_error="bind failed",
    client=KyotoTycoon,
    process_id=lambda client: client.report().process_id,
)


class EmbeddedServer(Manager[KyotoTycoon]):
    """Runs a Kyoto Tycoon server in a sub-process, and ends it at the latest with this process.

    `server` is the name or path of the program to run, or None for the bundled server, which also runs when a name
    is not found on PATH. `port` None or 0 takes a free one. `database` is one database, or several, as ktserver
    writes them; `server_args` are further arguments of the command line. `path` is a unix socket that the bundled
    server listens on and the client uses; it listens on no port then, unless `port` is given. `serializer` is the
    client's. `timeout` is the seconds within which a started server has to answer. Without `restart` a server that
    ends by itself is not started again. What the server writes is logged by ``kt_core.embedded``, with `quiet` at
    level DEBUG.

    ::

        with EmbeddedServer() as server:
            server.client.set("key", "value")
    """

    def __init__(
        self,
        server: str | None = "ktserver",
        host: str = "127.0.0.1",
        port: int | None = None,
        database: str | Sequence[str] = "*",
        server_args: Sequence[str] | None = None,
        *,
        path: str | None = None,
        serializer: str | Serializer = KT_BINARY,
        timeout: float = 30.0,
        restart: bool = True,
        quiet: bool = False,
    ) -> None:
        databases = (database,) if isinstance(database, str) else tuple(database)
        delays = RESTART_DELAYS if restart else ()
        settings = Settings(server, host, port, databases, tuple(server_args or ()), path, timeout, delays, quiet)
        super().__init__(_PROGRAM, settings, serializer)
