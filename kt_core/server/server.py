"""The server: databases, listeners, connections, and what is done regularly.

`Server` lives in one event loop. `kt_core.server.command` runs it as a program; tests and other programs may run it
in a thread of theirs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from kt_core.server.connection import Connection
from kt_core.server.counters import NAMES
from kt_core.server.listener import Listener, tcp_socket, unix_socket
from kt_core.server.quick import lanes
from kt_core.server.report import PROTOCOL
from kt_core.server.scratch import Scratch
from kt_core.server.search import Search
from kt_core.server.served import ServedDatabase
from kt_core.server.specs import Spec
from kt_core.server.turn import Turn
from kt_core.server.vigil import Vigil
from kt_core.wire import http
from kt_core.wire.dates import format_date

T = TypeVar("T")

_NAME: Final = f"KyotoTycoon/{PROTOCOL}".encode()
_TICK: Final = 0.1  # seconds between the looks at what is regularly looked at
_FAREWELL: Final = 5.0  # seconds that connections are given to take what was sent to them


@dataclass(frozen=True)
class ServerOptions:
    """How a server behaves; times in seconds."""

    host: str | None = "127.0.0.1"
    """Where it listens; None for every interface."""
    port: int | None = 1978
    """0 for a free one, None for none at all."""
    sock: str | None = None
    """The path of a unix socket, which only this user may use."""
    timeout: float = 30.0
    """How long a request may stand still half sent, a reply not be taken, and a search run."""
    max_connections: int = 10_000
    max_reply: int = 1 << 30
    """The most bytes of records in one reply: a small request must not fetch more than there is memory for."""
    spin: float = 100e-6
    """How long it looks for the next request before it sleeps: to be woken takes as long."""
    command_directory: Path = Path()
    """Where the commands of `synchronize` are."""
    databases: Sequence[str] = (":",)
    """Their specifications."""


class Server:
    """A running server, once `start` has returned."""

    def __init__(self, options: ServerOptions, *, clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.clock = clock
        self.log = logging.getLogger("kt_core.server")
        self.logs_requests = self.log.isEnabledFor(logging.INFO)
        self.connections: set[Connection] = set()
        self.counters = [0] * len(NAMES)
        self.databases: list[ServedDatabase] = []
        self.host, self.port, self.sock = options.host, 0, options.sock
        self.started = clock()
        self.now = time.monotonic()
        """As of the last tick."""
        self.search = Search(options.timeout)
        self._names: dict[bytes, ServedDatabase] = {}
        self._scratch = Scratch()
        self._listeners: list[Listener] = []
        self._dated = (0, b"")
        self._requests_before = 0
        self._next_tidied = 0
        self._ticking: asyncio.TimerHandle | None = None
        self._ending = False
        self._parted = asyncio.Event()

    # -- starting and stopping -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the databases and listen; `Misconfigured` or OSError if that cannot be."""
        self.loop = asyncio.get_running_loop()
        self.turn = Turn(self.loop)
        self.vigil = Vigil(self.loop, self.options.spin)
        try:
            for number, text in enumerate(self.options.databases):
                self._open(Spec.parse(text), number)
            self.lanes = lanes(self.databases, self.turn, self.counters)
            self._listen()
        except BaseException:
            await self.stop()
            raise
        self._ticking = self.loop.call_later(_TICK, self._tick)

    def _open(self, spec: Spec, number: int) -> None:
        for name in spec.unknown:
            self.log.warning("database %s: there is no option %r; it changes nothing", spec.path, name)
        served = ServedDatabase.open(spec, number, self._scratch, self.clock)
        self.databases.append(served)
        self._names[served.name.encode()] = served

    def _listen(self) -> None:
        options = self.options
        if options.port is not None:
            bound = tcp_socket(options.host, options.port)
            self.port = bound.getsockname()[1]
            self._listeners.append(Listener(self.loop, bound, lambda: Connection(self)))
        if options.sock is not None:
            bound = unix_socket(options.sock)
            self._listeners.append(Listener(self.loop, bound, lambda: Connection(self)))

    async def stop(self) -> None:
        """Accept nothing more, finish what is under way, and close everything."""
        self._ending = True
        for listener in self._listeners:
            listener.close()
        if self._ticking is not None:
            self._ticking.cancel()
        for connection in list(self.connections):
            connection.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                while self.connections:
                    await self._parted.wait()
                    self._parted.clear()
        for connection in list(self.connections):
            connection.abort()
        await self.turn.drain()
        self._clean_up()

    def _clean_up(self) -> None:
        self.search.close()
        for served in self.databases:
            served.close()
        self._scratch.remove()

    # -- what connections need -------------------------------------------------------------------------------

    def find(self, name: int | bytes) -> ServedDatabase | None:
        """Return the database of a number or a name."""
        if isinstance(name, int):
            return self.databases[name] if 0 <= name < len(self.databases) else None
        return self._names.get(name)

    def count(self, counters: Sequence[int], *, missed: bool) -> None:
        """Count an operation."""
        for counter in counters:
            self.counters[counter] += 1
            if missed and NAMES[counter] + "_misses" in NAMES:
                self.counters[counter + 1] += 1

    def encode(self, response: http.Response) -> bytes:
        """Return the bytes of a response."""
        second = int(self.clock())
        if second != self._dated[0]:
            self._dated = (second, format_date(second))
        return http.encode_response(response, _NAME, self._dated[1])

    def welcome(self, connection: Connection, transport: asyncio.Transport) -> None:
        """Take a new connection in, or turn it away where there are too many."""
        if len(self.connections) >= self.options.max_connections:
            self.log.warning("more than %d connections: one is turned away", self.options.max_connections)
            transport.abort()
            return
        self.connections.add(connection)
        peer = transport.get_extra_info("peername")
        connection.peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
        if self._ending:
            connection.finish()

    def part(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self.connections.discard(connection)
        self._parted.set()

    async def in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run work that takes long without holding up the event loop."""
        return await self.loop.run_in_executor(None, work, *arguments)

    async def run_command(self, served: ServedDatabase, command: bytes) -> bool:
        """Run a command of the command directory on a database's path; tell whether it succeeded."""
        name = os.fsdecode(command)
        if "/" in name or "\0" in name:
            return False
        stamp = f"{int(self.clock() * 1e9):020d}"
        arguments = [str(self.options.command_directory / name), served.spec.path, stamp]
        done = await self.in_thread(lambda: _run(arguments))
        return done

    # -- regularly ---------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._ticking = self.loop.call_later(_TICK, self._tick)
        self.now = time.monotonic()
        oldest = self.now - self.options.timeout
        for connection in list(self.connections):
            if connection.heard and connection.is_stuck(oldest):
                self.log.info("%s: nothing has moved for %g s", connection.peer, self.options.timeout)
                connection.abort()
        requests = sum(self.counters)
        if requests == self._requests_before and self.databases:
            self._next_tidied = (self._next_tidied + 1) % len(self.databases)
            self.databases[self._next_tidied].tidy()
        self._requests_before = requests


def _run(arguments: list[str]) -> bool:
    try:
        return subprocess.run(arguments, check=False).returncode == 0
    except OSError:
        return False
