"""The manager of a Tokyo Tyrant server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kt_core.embedded.manager import Manager
from kt_core.embedded.starting import Program, Settings
from kt_core.embedded.supervisor import RESTART_DELAYS
from kt_core.serializers import KT_BINARY, Serializer
from kt_core.tyrant import TokyoTyrant

_PROGRAM: Final = Program(
    bundled=("-m", "kt_core.server", "--tyrant"),
    flags=("-le",),
    last_port=65535,
    bind_error="ttopenservsock failed",
    client=TokyoTyrant,
    process_id=lambda client: client.status().process_id,
    # Without one that it can open, the original server starts all the same, and then fails whatever it is asked.
    has_database=lambda client: client.status().type != "void",
)


class EmbeddedTokyoTyrantServer(Manager[TokyoTyrant]):
    """Runs a Tokyo Tyrant server in a sub-process, and ends it at the latest with this process.

    `server` is the name or path of the program to run, or None for the bundled server, which also runs when a name
    is not found on PATH. `port` None or 0 takes a free one. `database` is written as for ttserver; `server_args` are
    further arguments of the command line. `path` is a unix socket that the bundled server listens on and the client
    uses; it listens on no port then, unless `port` is given. `serializer` is the client's. `timeout` is the seconds
    within which a started server has to answer. Without `restart` a server that ends by itself is not started again.
    What the server writes is logged by ``kt_core.embedded``, with `quiet` at level DEBUG.

    There are builds of ttserver that listen on every interface, whatever `host` is.

    ::

        with EmbeddedTokyoTyrantServer() as server:
            server.client.set("key", "value")
    """

    def __init__(
        self,
        server: str | None = "ttserver",
        host: str = "127.0.0.1",
        port: int | None = None,
        database: str = "*",
        server_args: Sequence[str] | None = None,
        *,
        path: str | None = None,
        serializer: str | Serializer = KT_BINARY,
        timeout: float = 30.0,
        restart: bool = True,
        quiet: bool = False,
    ) -> None:
        delays = RESTART_DELAYS if restart else ()
        settings = Settings(server, host, port, (database,), tuple(server_args or ()), path, timeout, delays, quiet)
        super().__init__(_PROGRAM, settings, serializer)
