"""What every server is made of: listeners, connections, the turn, and what is looked at regularly.

A service lives in one event loop. `kt_core.server.command` runs it as a program; tests and other programs may run it
in a thread of theirs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import time
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from kt_core.server.channel import Channel
from kt_core.server.listener import Listener, tcp_socket, unix_socket
from kt_core.server.scratch import Scratch
from kt_core.server.served import ServedDatabase
from kt_core.server.turn import Turn
from kt_core.server.vigil import Vigil

T = TypeVar("T")

_TICK: Final = 0.1  # seconds between the looks at what is regularly looked at
_FAREWELL: Final = 5.0  # seconds that connections are given to take what was sent to them


@dataclass(frozen=True)
class ServiceOptions:
    """How any server behaves; times in seconds."""

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
    """Where the commands are that clients may have run."""


class Service:
    """A running server, once `start` has returned."""

    def __init__(self, options: ServiceOptions, counters: Sequence[str], *, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.log = logging.getLogger("kt_core.server")
        self.logs_requests = self.log.isEnabledFor(logging.INFO)
        self.connections: set[Channel] = set()
        self.counters = [0] * len(counters)
        self.databases: list[ServedDatabase] = []
        self.host, self.port, self.sock = options.host, 0, options.sock
        self.started = clock()
        self.now = time.monotonic()
        """As of the last tick."""
        self._service_options = options
        self._scratch = Scratch()
        self._listeners: list[Listener] = []
        self._requests_before = 0
        self._next_tidied = 0
        self._ticking: asyncio.TimerHandle | None = None
        self._repeating: list[asyncio.Task[None]] = []
        self._ending = False
        self._parted = asyncio.Event()

    @property
    def is_ending(self) -> bool:
        """Whether it has been told to end."""
        return self._ending

    @property
    def has_started(self) -> bool:
        """Whether it has listened."""
        return self._ticking is not None

    # -- what servers differ in ------------------------------------------------------------------------------

    @abstractmethod
    def _prepare(self) -> None:
        """Open the databases, before anything is listened to; `Misconfigured` or OSError if that cannot be."""

    @abstractmethod
    def _connection(self) -> Channel:
        """Return the server's end of a new connection."""

    def reload(self) -> None:
        """Read anew what can be read anew while the server runs."""

    async def _part_ways(self) -> None:
        """End what goes on beside the connections, after the last of them."""

    def _clean_up(self) -> None:
        """Let go of everything, after the last connection."""
        for served in self.databases:
            served.close()
        self._scratch.remove()

    # -- starting and stopping -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the databases and listen; `Misconfigured` or OSError if that cannot be."""
        self.loop = asyncio.get_running_loop()
        self.turn = Turn(self.loop)
        self.vigil = Vigil(self.loop, self._service_options.spin)
        try:
            self._prepare()
            self._listen()
        except BaseException:
            await self.stop()
            raise
        self._ticking = self.loop.call_later(_TICK, self._tick)

    def _listen(self) -> None:
        options = self._service_options
        if options.port is not None:
            self.port = self._listen_at(options.host, options.port, self._connection)
        if options.sock is not None:
            bound = unix_socket(options.sock)
            self._listeners.append(Listener(self.loop, bound, self._connection))

    def _listen_at(self, host: str | None, port: int, connection: Callable[[], Channel]) -> int:
        """Listen for connections of a kind; return the port."""
        bound = tcp_socket(host, port)
        self._listeners.append(Listener(self.loop, bound, connection))
        found: int = bound.getsockname()[1]
        return found

    def whereabouts(self) -> dict[str, object]:
        """Return where it listens, by names that do not change."""
        return {"host": self.host, "port": self.port, "sock": self.sock}

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
        for task in self._repeating:
            task.cancel()
        await self._part_ways()
        await self.turn.drain()
        self._clean_up()

    # -- what connections need -------------------------------------------------------------------------------

    def welcome(self, connection: Channel, transport: asyncio.Transport) -> None:
        """Take a new connection in, or turn it away where there are too many."""
        if len(self.connections) >= self._service_options.max_connections:
            self.log.warning("more than %d connections: one is turned away", self._service_options.max_connections)
            transport.abort()
            return
        self.connections.add(connection)
        peer = transport.get_extra_info("peername")
        connection.peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
        self.log.info("connected: expr=%s", connection.peer)
        if self._ending:
            connection.finish()

    def part(self, connection: Channel) -> None:
        """Forget a connection that is closed."""
        if connection in self.connections:
            self.log.info("disconnecting: expr=%s", connection.peer)
            self.connections.remove(connection)
        self._parted.set()

    async def in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run work that takes long without holding up the event loop."""
        return await self.loop.run_in_executor(None, work, *arguments)

    def repeat(self, work: Callable[[], Coroutine[Any, Any, object]], seconds: float) -> None:
        """Have work done again and again, so many seconds after its last end, until the server ends."""

        async def go_on() -> None:
            while True:
                await asyncio.sleep(seconds)
                try:
                    await work()
                except Exception:  # the next time may be a better one
                    self.log.exception("what is done regularly failed")

        self._repeating.append(self.loop.create_task(go_on()))

    async def run_command(self, command: bytes, *arguments: str) -> bool:
        """Run a command of the command directory; tell whether it succeeded."""
        name = os.fsdecode(command)
        if "/" in name or "\0" in name:
            return False
        line = [str(self._service_options.command_directory / name), *arguments]
        return await self.in_thread(lambda: _run(line))

    # -- regularly ---------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._ticking = self.loop.call_later(_TICK, self._tick)
        self.now = time.monotonic()
        oldest = self.now - self._service_options.timeout
        for connection in list(self.connections):
            if connection.heard and connection.is_stuck(oldest):
                self.log.info("%s: nothing has moved for %g s", connection.peer, self._service_options.timeout)
                connection.abort()
        requests = sum(self.counters)
        if requests == self._requests_before and self.databases:
            self._next_tidied = (self._next_tidied + 1) % len(self.databases)
            self.databases[self._next_tidied].tidy()
        self._requests_before = requests


def _run(line: list[str]) -> bool:
    try:
        return subprocess.run(line, check=False).returncode == 0  # noqa: S603 - of the command directory alone
    except OSError:
        return False
