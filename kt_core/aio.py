"""Connection and pool for an event loop: `kt_core.transport` and `kt_core.pool`, awaited.

The same rules hold: whatever ends an exchange before its reply is whole, cancellation among it, closes the
connection. A pool belongs to the event loop it was made in.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from kt_core.errors import ConnectionFailed, KTError, Timeout
from kt_core.pool import PoolOptions
from kt_core.transport import CHUNK, Address
from kt_core.wire.exchange import Flow, NeedData, Op

T = TypeVar("T")


class AsyncConnection:
    """One connection to a server, for one task at a time; `AsyncConnection.open` makes it."""

    def __init__(self, address: Address, timeout: float | None, connected: socket.socket) -> None:
        self.address = address
        self.timeout = timeout
        self.answered = False
        self._socket: socket.socket | None = connected

    @classmethod
    async def open(
        cls, address: Address, timeout: float | None, *, connect_timeout: float | None = None
    ) -> AsyncConnection:
        """Connect; `timeout` is the seconds that a whole exchange may take, None for any time."""
        patience = connect_timeout or timeout
        try:
            async with asyncio.timeout(patience):
                return cls(address, timeout, await address.connect_async())
        except TimeoutError as error:
            raise Timeout(f"{address} does not accept a connection within {patience} s") from error
        except OSError as error:
            raise ConnectionFailed(f"{address} cannot be reached: {error}") from error

    @property
    def usable(self) -> bool:
        """Whether another exchange may begin."""
        return self._socket is not None

    def is_idle(self) -> bool:
        """Tell whether the server has neither closed the connection nor sent anything out of turn."""
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

    async def run(self, op: Op[T]) -> T:
        """Send a request and return the reply; any error, and cancellation, closes the connection."""
        connected = self._socket
        if connected is None:
            raise ConnectionFailed(f"the connection to {self.address} is closed")
        self.answered = False
        loop, decoder = asyncio.get_running_loop(), op.decoder
        try:
            async with asyncio.timeout(self.timeout):
                await loop.sock_sendall(connected, op.payload)
                while data := await loop.sock_recv(connected, CHUNK):
                    self.answered = True
                    reply = decoder.feed(data)
                    if not isinstance(reply, NeedData):
                        if decoder.closing or decoder.rest:
                            self.close()
                        return reply
        except KTError:
            self.close()
            raise
        except TimeoutError as error:
            self.close()
            raise Timeout(f"{self.address} did not answer within {self.timeout} s") from error
        except OSError as error:
            self.close()
            raise ConnectionFailed(f"the connection to {self.address} broke: {error}") from error
        except BaseException:
            self.close()
            raise
        self.close()
        raise ConnectionFailed(f"{self.address} closed the connection before its reply was whole")

    async def drive(self, flow: Flow[T]) -> T:
        """Run the exchanges of a flow on this connection and return its result."""
        reply: Any = None
        while True:
            try:
                op = flow.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply = await self.run(op)

    def close(self) -> None:
        """Close the connection; again is harmless."""
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()


class AsyncPool:
    """Connections to one server, shared by the tasks of one event loop."""

    def __init__(self, options: PoolOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.options = options
        self._clock = clock
        self._idle: deque[tuple[AsyncConnection, float]] = deque()
        self._places = asyncio.Semaphore(options.max_connections)

    async def run(self, op: Op[T]) -> T:
        """Run one exchange on some connection."""
        async with self.connection() as connection:
            used = connection.answered
            try:
                return await connection.run(op)
            except ConnectionFailed:
                if not (used and op.idempotent and not connection.answered):
                    raise
        async with self._place():
            fresh = await self._connect()
            try:
                return await fresh.run(op)
            finally:
                self._return(fresh)

    async def drive(self, flow: Flow[T]) -> T:
        """Run all exchanges of a flow on one connection."""
        async with self.connection() as connection:
            return await connection.drive(flow)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection; it returns to the pool if it is still usable."""
        async with self._place():
            connection = self._take() or await self._connect()
            try:
                yield connection
            finally:
                self._return(connection)

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop()[0].close()

    def __len__(self) -> int:
        return len(self._idle)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        options = self.options
        try:
            async with asyncio.timeout(options.timeout):
                await self._places.acquire()
        except TimeoutError as error:
            raise Timeout(
                f"all {options.max_connections} connections to {options.address} were busy for {options.timeout} s: "
                "raise max_connections"
            ) from error
        try:
            yield
        finally:
            self._places.release()

    def _take(self) -> AsyncConnection | None:
        now = self._clock()
        while self._idle:
            connection, since = self._idle.pop()
            if now - since > self.options.max_idle:
                connection.close()
            elif now - since <= self.options.check_after or connection.is_idle():
                return connection
        return None

    async def _connect(self) -> AsyncConnection:
        options = self.options
        return await AsyncConnection.open(options.address, options.timeout, connect_timeout=options.connect_timeout)

    def _return(self, connection: AsyncConnection) -> None:
        now = self._clock()
        if connection.usable:
            self._idle.append((connection, now))
        while self._idle and self._idle[0][1] < now - self.options.max_idle:
            self._idle.popleft()[0].close()
