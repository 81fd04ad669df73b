"""Addresses, and a connection: the only place where blocking code touches a socket.

Any doubt about a connection closes it: after an error, a timeout or an interruption in mid-exchange the next
reply on it could be somebody else's. And what a process inherits by a fork is its parent's: every connection made
before is closed in the child.
"""

from __future__ import annotations

import _socket
import asyncio
import math
import os
import socket
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kt_core.errors import ConnectionFailed, KTError, Timeout
from kt_core.wire.exchange import NEED_DATA, Flow, Op

T = TypeVar("T")

CHUNK: Final = 1 << 16

SPIN: Final = 200e-6 if len(os.sched_getaffinity(0)) > 1 else 0.0
"""Seconds to poll for a reply: more than a server on this machine takes for a hundred records.

With one processor the server could not work on the reply meanwhile.
"""

_QUEUEING: Final = 0.001  # seconds between attempts to connect to a unix socket whose queue is full

_LONGEST_PAUSE: Final = 63
"""Exchanges without polling after it was in vain again and again: a slow server then costs 3 µs more, not 200."""


@dataclass(frozen=True)
class Address:
    """Where a server listens: host and port, or the path of a unix socket."""

    host: str = "127.0.0.1"
    port: int = 1978
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connect(self, timeout: float | None) -> socket.socket:
        """Return a connected, non-blocking socket; OSError as the system gives it."""
        if self.path is None:
            connected = _without_delay(socket.create_connection((self.host, self.port), timeout))
            connected.settimeout(0)
            return connected
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(0)
            waited = 0.0
            while True:
                if _connect_unix(connected, self.path):
                    return connected
                if timeout is not None and waited >= timeout:
                    raise TimeoutError
                time.sleep(_QUEUEING)
                waited += _QUEUEING
        except BaseException:
            connected.close()
            raise

    async def connect_async(self) -> socket.socket:
        """Return a connected, non-blocking socket; OSError as the system gives it."""
        if self.path is None:
            return _without_delay(await self._connect_tcp())
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(0)
            while True:
                if _connect_unix(connected, self.path):
                    return connected
                await asyncio.sleep(_QUEUEING)
        except BaseException:
            connected.close()
            raise

    async def _connect_tcp(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        try:  # a number needs no look-up, for which the loop would take a thread
            found = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            )
        except OSError:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        failure: OSError = OSError(f"{self.host} has no address")
        for family, _, _, _, address in found:
            connected = socket.socket(family, socket.SOCK_STREAM)
            try:
                connected.settimeout(0)
                await loop.sock_connect(connected, address)
            except OSError as error:
                connected.close()
                failure = error
            except BaseException:
                connected.close()
                raise
            else:
                return connected
        raise failure


def _connect_unix(connected: socket.socket, path: str) -> bool:
    """Tell whether the server has room for another connection; the kernel does not tell when it has."""
    try:
        connected.connect(path)
    except BlockingIOError:
        return False
    return True


def _without_delay(connected: socket.socket) -> socket.socket:
    # A request of two segments would wait 40 ms for the other side's delayed acknowledgement.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


class BaseConnection:
    """What a connection is, whether its exchanges are waited for or awaited.

    `timeout` is the seconds that a whole exchange may take, `connect_timeout` what connecting may (None for the
    same); a `timeout` of None is any time.
    """

    def __init__(self, address: Address, timeout: float | None, connect_timeout: float | None) -> None:
        self.address = address
        self.timeout = timeout
        self.connect_timeout = timeout if connect_timeout is None else connect_timeout
        self.idle_since = 0.0
        """When it came back to its pool, as that tells time."""
        self.rested = False
        """Whether it has come back to its pool since its last exchange; then the server may have hung up meanwhile."""
        self._answered = False
        self.inherited = False
        """Whether it was made by the process that this one was forked from."""
        self._socket: socket.socket | None = None
        _connections.add(self)

    @property
    def usable(self) -> bool:
        """Whether another exchange may begin."""
        return self._socket is not None

    def is_sound(self) -> bool:
        """Tell whether an idle connection's server has neither hung up nor sent anything out of turn; else close it."""
        if self._socket is None:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        self.close()
        return False

    def close(self) -> None:
        """Close the connection; again is harmless."""
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()

    def _closed(self) -> KTError:
        return ConnectionFailed(f"the connection to {self.address} is closed")

    def _unreachable(self, error: OSError) -> KTError:
        if isinstance(error, TimeoutError):
            return Timeout(f"{self.address} does not accept a connection within {self.connect_timeout} s")
        return ConnectionFailed(f"{self.address} cannot be reached: {error}")

    def _broken(self, error: OSError) -> KTError:
        if isinstance(error, TimeoutError):
            return Timeout(f"{self.address} did not answer within {self.timeout} s")
        return ConnectionFailed(f"the connection to {self.address} broke: {error}")

    def _ended(self) -> KTError:
        return ConnectionFailed(f"{self.address} closed the connection before its reply was whole")


_connections: weakref.WeakSet[BaseConnection] = weakref.WeakSet()


def _disown() -> None:
    for connection in list(_connections):
        connection.inherited = True
        connection.close()  # this process's descriptor alone


os.register_at_fork(after_in_child=_disown)


class Connection(BaseConnection):
    """One connection to a server, for one caller at a time."""

    def __init__(
        self,
        address: Address,
        timeout: float | None,
        *,
        connect_timeout: float | None = None,
        spin: float = SPIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(address, timeout, connect_timeout)
        self._spin = spin
        self._clock = clock
        self._connect()

    def _connect(self) -> socket.socket:
        try:
            connected = self._socket = self.address.connect(self.connect_timeout)
        except OSError as error:
            raise self._unreachable(error) from error
        # Another class of sockets lets other greenlets run while it waits, from which polling would keep them.
        own = type(connected).recv is _socket.socket.recv
        self._pause: float = 0 if self._spin and own else math.inf
        self._next_pause = 0
        return connected

    def run(self, op: Op[T]) -> T:
        """Send a request and return what its reply means; an error other than of that closes the connection."""
        return op.finish(self.exchange(op))

    def exchange(self, op: Op[Any]) -> Any:
        """Send a request and return its reply as it came; any error closes the connection.

        An idempotent request is sent again on a new connection when a rested one breaks before the first byte of the
        reply.
        """
        connected = self._socket
        if connected is None:
            raise self._closed()
        rested, self.rested = self.rested, False
        try:
            return self._exchange(connected, op)
        except ConnectionFailed:
            if not rested or self._answered or not op.idempotent:
                raise
        return self._exchange(self._connect(), op)

    def _exchange(self, connected: socket.socket, op: Op[Any]) -> Any:
        payload, decoder, _, _ = op
        self._answered = False
        deadline = None if self.timeout is None else self._clock() + self.timeout
        try:
            try:
                sent = connected.send(payload)
            except BlockingIOError:
                sent = 0
            if sent < len(payload):
                connected.settimeout(self._left(deadline))
                connected.sendall(memoryview(payload)[sent:])
                connected.settimeout(0)
            if decoder is None:
                return None
            while data := self._receive(connected, deadline):
                self._answered = True
                reply = decoder.feed(data)
                if reply is not NEED_DATA:
                    if decoder.closing or decoder.rest:
                        self.close()
                    return reply
        except OSError as error:
            self.close()
            raise self._broken(error) from error
        except BaseException:
            self.close()
            raise
        self.close()
        raise self._ended()

    def _receive(self, connected: socket.socket, deadline: float | None) -> bytes:
        """Wait for some bytes: awake at first, since a reply may come sooner than the kernel wakes a sleeper."""
        if self._pause:
            self._pause -= 1
        else:
            data = self._poll(connected)
            if data is not None:
                return data
        connected.settimeout(self._left(deadline))
        data = connected.recv(CHUNK)
        connected.settimeout(0)
        return data

    def _poll(self, connected: socket.socket) -> bytes | None:
        """Return what comes soon; each time in a row that nothing does, do not poll again for twice as long."""
        recv, clock = connected.recv, self._clock
        end = clock() + self._spin
        while True:
            os.sched_yield()  # the server may need this very processor
            try:
                data = recv(CHUNK)
            except BlockingIOError:
                data = None
            if clock() >= end:  # because of the server, or of others who wanted the processor
                self._pause = self._next_pause
                self._next_pause = min(2 * self._next_pause + 1, _LONGEST_PAUSE)
                return data
            if data is not None:
                self._next_pause = 0
                return data

    def _left(self, deadline: float | None) -> float | None:
        if deadline is None:
            return None
        left = deadline - self._clock()
        if left <= 0:
            raise TimeoutError
        return left

    def drive(self, flow: Flow[T]) -> T:
        """Run the exchanges of a flow on this connection and return its result."""
        resume: Callable[[Any], Op[Any]] = flow.send
        result: Any = None
        while True:
            try:
                op = resume(result)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                resume, result = flow.send, self.run(op)
            except BaseException as error:
                resume, result = flow.throw, error
