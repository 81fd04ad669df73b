"""What whole servers make of whatever a client, or the master that they follow, sends: bytes in, and no fault.

The servers run in an event loop of the fuzzer, and their connections have no sockets. The first byte of an input says
in pieces of which size the rest is fed, the second which of the servers has it; each begins with an empty database.
What is answered must not depend on the pieces: most of what comes whole takes another way through the server.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import re
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar

from kt_core.server import Server, ServerOptions, queues
from kt_core.server.channel import Channel
from kt_core.server.connection import Connection
from kt_core.server.memcached import COMMANDS, Memcached, MemcachedConnection, MemcachedOptions
from kt_core.server.service import Service
from kt_core.server.tyrant.connection import TyrantConnection
from kt_core.server.tyrant.server import TyrantOptions, TyrantServer
from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_binary import encode_request

T = TypeVar("T")

_NOW: Final = 1_700_000_000.0
_PATIENCE: Final = 1.0  # seconds; whoever waits for more is left alone
_PIECES: Final = 500  # of an input, at most
_HERE: Final = "127.0.0.1"
_DATABASES: Final = ("*", "+", *(f"x.{kind}#durability=process" for kind in ("tct", "tcb", "tcf")))
# What empties the databases.
_CLEAR: Final = b"POST /rpc/clear?DB=0 HTTP/1.1\r\n\r\nPOST /rpc/clear?DB=1 HTTP/1.1\r\n\r\n"
_VANISH: Final = encode_request(tt.Vanish())
# Commands that reach beyond a server: to copy it, to restore it from somewhere, to follow somebody.
_BEYOND: Final = re.compile(rb"\xc8[\x73\x74\x78]")
# What tells of the process, the machine, the time, or what was there before.
_VARYING: Final = re.compile(rb"report|stat|options|\xc8\x88|\xc8\x81|uid|vacuum|regex|similar|wait", re.IGNORECASE)


class Faults(logging.Handler):
    """Keeps what a server tells of faults of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.found.append(record.exc_info[1])

    def take(self, _: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """Keep what an event loop tells of."""
        self.found.append(context.get("exception") or AssertionError(context["message"]))

    def check(self) -> None:
        """Raise the first of them, and forget all."""
        found, self.found = self.found, []
        if found:
            raise found[0]


class Wire(asyncio.Transport):
    """A connection's way to a client that takes whatever is sent."""

    def __init__(self, connection: Channel) -> None:
        super().__init__({"peername": ("fuzz", 1)})
        self.sent = bytearray()
        self.closed = asyncio.Event()
        self._connection = connection
        connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closed.is_set():
            self.sent += data

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)

    abort = close


class Played:
    """A service in an event loop of its own, as one client after another has it.

    `connections` make the server's end of a new connection, of each kind that there is; `empty` is what a client of the
    first kind sends to have the databases emptied.
    """

    def __init__(self, service: Service, connections: Sequence[Callable[[], Channel]], empty: bytes) -> None:
        self.loop = asyncio.new_event_loop()
        self.faults = Faults()
        self.loop.set_exception_handler(self.faults.take)
        self.service = service
        self.loop.run_until_complete(service.start())
        self.endings: list[Callable[[], None]] = []
        """What else ends with it."""
        self._connections = connections
        self._empty = empty

    def stop(self) -> None:
        """Stop the service."""
        for end in self.endings:
            end()
        self.loop.run_until_complete(self.service.stop())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def clear(self) -> None:
        """Empty the databases."""
        self.run(self._converse(0, [self._empty]))

    def play(self, kind: int, pieces: Sequence[bytes]) -> bytes | None:
        """Return all that a client is answered; None if it does not come to its end."""
        self.clear()
        return self.run(self._converse(kind, pieces))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the event loop; what the service then tells of faults of its own is raised."""
        log = logging.getLogger("kt_core.server")
        log.addHandler(self.faults)
        try:
            result = self.loop.run_until_complete(work)
        finally:
            log.removeHandler(self.faults)
        self.faults.check()
        return result

    async def _converse(self, kind: int, pieces: Sequence[bytes]) -> bytes | None:
        connection = self._connections[kind % len(self._connections)]()
        wire = Wire(connection)
        for piece in pieces:
            if wire.is_closing():
                break
            connection.data_received(piece)
            await asyncio.sleep(0)
        connection.finish()
        try:
            async with asyncio.timeout(_PATIENCE):
                await wire.closed.wait()
        except TimeoutError:
            connection.abort()
            return None
        finally:
            await asyncio.sleep(0)
        return bytes(wire.sent)


def _serve(played: Callable[[int], Played], data: bytes) -> None:
    """Have a client send an input to one of the servers, at once and in pieces."""
    size, kind, rest = data[0] + 1 if data else 1, data[1] if len(data) > 1 else 0, data[2:]
    size = max(size, len(rest) // _PIECES)
    if _BEYOND.search(rest):
        return
    server = played(kind)
    whole = server.play(kind, [rest] if rest else [])
    pieces = server.play(kind, [rest[start : start + size] for start in range(0, len(rest), size)])
    if whole is not None and pieces is not None and not _VARYING.search(rest):
        assert whole == pieces, (whole, pieces)


_running: list[Played] = []


def _run(service: Service, connections: Sequence[Callable[[], Channel]], empty: bytes) -> Played:
    if not _running:
        atexit.register(stop)
    played = Played(service, connections, empty)
    _running.append(played)
    return played


def stop() -> None:
    """Stop all servers; they are started anew when they are wanted."""
    for start in (_kyoto, _tyrant, _kyoto_slave, _tyrant_slave, _directory):
        start.cache_clear()
    while _running:
        _running.pop().stop()


@cache
def _directory() -> Path:
    """Return a place for files, and for commands: there are none."""
    temporary = tempfile.TemporaryDirectory(prefix="kt-fuzz-")
    atexit.register(temporary.cleanup)
    return Path(temporary.name)


@cache
def _kyoto() -> Played:
    options = ServerOptions(databases=("%", "*"), port=None, timeout=1.0, command_directory=_directory())
    server = Server(options, clock=lambda: _NOW)

    def memcached(options: MemcachedOptions) -> Channel:
        return MemcachedConnection(Memcached(server, options, queues.COMMANDS if options.queue else COMMANDS))

    kinds = (MemcachedOptions(), MemcachedOptions(flags=True), MemcachedOptions(queue=True, queue_timeout=0.01))
    return _run(server, [partial(Connection, server), *(partial(memcached, kind) for kind in kinds)], _CLEAR)


@cache
def _tyrant(name: str) -> Played:
    path = str(_directory() / name) if "." in name else name
    options = TyrantOptions(database=path, port=None, timeout=1.0, command_directory=_directory())
    server = TyrantServer(options, clock=lambda: _NOW)
    return _run(server, [partial(TyrantConnection, server)], _VANISH)


class Master:
    """Whom servers follow: tells each the same, and no more."""

    def __init__(self) -> None:
        self.said = b""
        self.told = asyncio.Event()
        """Whether somebody has heard it and gone."""

    async def listen(self) -> asyncio.Server:
        """Listen on a free port."""
        return await asyncio.start_server(self._tell, _HERE, 0)

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # it may have hung up
            await reader.read(1)
            writer.write(self.said)
            writer.write_eof()
            await reader.read()
        writer.close()
        self.told.set()


class Following:
    """A server that follows a master, as `follow` has it."""

    def __init__(self, played: Played, follow: Callable[[str, int], object]) -> None:
        self.played = played
        self._follow = follow
        self._master = Master()
        self._listening = played.loop.run_until_complete(self._master.listen())
        self._port = self._listening.sockets[0].getsockname()[1]
        played.endings.append(self._listening.close)

    async def hear(self, data: bytes) -> None:
        """Follow a master that says this, and then no more."""
        self._master.said = data
        self._master.told.clear()
        self._follow(_HERE, self._port)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._master.told.wait()
        self._follow("", 0)
        await asyncio.sleep(0)


@cache
def _kyoto_slave() -> Following:
    options = ServerOptions(databases=("%", "*"), port=None, sid=1, time_path=_directory() / "kt.rts")
    server = Server(options, clock=lambda: _NOW)
    played = _run(server, [partial(Connection, server)], _CLEAR)
    assert server.slave is not None
    return Following(played, partial(server.slave.follow, ts=0))


@cache
def _tyrant_slave() -> Following:
    path = str(_directory() / "slave.tct#durability=process")
    options = TyrantOptions(database=path, port=None, sid=1, time_path=_directory() / "tt.rts")
    server = TyrantServer(options, clock=lambda: _NOW)
    played = _run(server, [partial(TyrantConnection, server)], _VANISH)
    return Following(played, partial(server.follow, since=1, checks=False))


def _follow(slave: Callable[[], Following], data: bytes) -> None:
    """Have a server follow a master that says what an input does."""
    following = slave()
    following.played.clear()
    following.played.run(following.hear(data))


SERVERS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "kyoto_servers": partial(_serve, lambda kind: _kyoto()),
    "tyrant_servers": partial(_serve, lambda kind: _tyrant(_DATABASES[kind % len(_DATABASES)])),
    "kyoto_masters": partial(_follow, _kyoto_slave),
    "tyrant_masters": partial(_follow, _tyrant_slave),
}
