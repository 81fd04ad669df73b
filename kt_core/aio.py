"""Connection and pool for an event loop: `kt_core.transport` and `kt_core.pool`, awaited.

The same rules hold: whatever ends an exchange before its reply is whole, cancellation among it, closes the
connection. A pool belongs to the event loop it was made in.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from kt_core.errors import ConnectionFailed
from kt_core.pool import BasePool, PoolOptions, Turn
from kt_core.transport import CHUNK, Address, BaseConnection
from kt_core.wire.exchange import NEED_DATA, Flow, Op

T = TypeVar("T")

_CENTURY: Final = 36525 * 86400.0


class AsyncConnection(BaseConnection):
    """One connection to a server, for one task at a time; `AsyncConnection.open` makes it."""

    @classmethod
    async def open(
        cls, address: Address, timeout: float | None, *, connect_timeout: float | None = None
    ) -> AsyncConnection:
        """Connect; the times as for a `Connection`."""
        connection = cls(address, timeout, connect_timeout)
        await connection._connect()
        return connection

    async def _connect(self) -> socket.socket:
        try:
            async with asyncio.timeout(self.connect_timeout):
                self._socket = connected = await self.address.connect_async()
        except OSError as error:
            raise self._unreachable(error) from error
        return connected

    async def run(self, op: Op[T]) -> T:
        """Send a request and return what its reply means, as `Connection.run` does."""
        return op.finish(await self.exchange(op))

    async def exchange(self, op: Op[Any]) -> Any:
        """Send a request and return its reply as it came, as `Connection.exchange` does."""
        connected = self._socket
        if connected is None:
            raise self._closed()
        rested, self.rested = self.rested, False
        try:
            return await self._exchange(connected, op)
        except ConnectionFailed:
            if not rested or self._answered or not op.idempotent:
                raise
        return await self._exchange(await self._connect(), op)

    async def _exchange(self, connected: socket.socket, op: Op[Any]) -> Any:
        loop = asyncio.get_running_loop()
        payload, decoder, _, _ = op
        self._answered = False
        try:
            async with asyncio.timeout(self.timeout):
                await loop.sock_sendall(connected, payload)
                if decoder is None:
                    return None
                while data := await loop.sock_recv(connected, CHUNK):
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

    async def drive(self, flow: Flow[T]) -> T:
        """Run the exchanges of a flow on this connection and return its result."""
        resume: Callable[[Any], Op[Any]] = flow.send
        result: Any = None
        while True:
            try:
                op = resume(result)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                resume, result = flow.send, await self.run(op)
            except BaseException as error:
                resume, result = flow.throw, error


class AsyncPool(BasePool[AsyncConnection]):
    """Connections to one server, shared by the tasks of one event loop."""

    async def run(self, op: Op[T]) -> T:
        """Run one exchange on some connection."""
        connection = await self.lend()
        try:
            reply = await connection.exchange(op)
        finally:
            self.take_back(connection)
        return op.finish(reply)

    async def drive(self, flow: Flow[T]) -> T:
        """Run all exchanges of a flow on one connection."""
        async with self.connection() as connection:
            return await connection.drive(flow)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for the length of a block."""
        connection = await self.lend()
        try:
            yield connection
        finally:
            self.take_back(connection)

    async def lend(self) -> AsyncConnection:
        """Give away a connection until `take_back`; `Timeout` if all are lent for too long."""
        try:
            place = self._places.pop()
        except IndexError:
            place = await self._wait()
        return self._pick(place) or await self._connect()

    async def _wait(self) -> AsyncConnection | None:
        turn: Turn[AsyncConnection] = Turn(asyncio.Event())
        self._turns.append(turn)
        try:
            async with asyncio.timeout(self.options.timeout):
                await turn.event.wait()
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, TimeoutError):
                raise self._all_busy() from None
            raise
        return turn.place

    async def _connect(self) -> AsyncConnection:
        options = self.options
        try:
            return await AsyncConnection.open(options.address, options.timeout, connect_timeout=options.connect_timeout)
        except BaseException:
            self._put(None)
            raise


_Pools = dict[PoolOptions, AsyncPool]
_pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pools] = weakref.WeakKeyDictionary()


def async_pool_for(options: PoolOptions) -> AsyncPool:
    """Return the running event loop's pool for these options; its connections are closed when the loop is."""
    loop = asyncio.get_running_loop()
    pools = _pools.get(loop)
    if pools is None:
        pools = _pools[loop] = {}
        _close_with(loop, pools)
    pool = pools.get(options)
    if pool is None:
        pool = pools[options] = AsyncPool(options)
    return pool


def _close_with(loop: asyncio.AbstractEventLoop, pools: _Pools) -> None:
    def never() -> None:
        """Be held by the loop alone, which lets go of all that it still has to do when it is closed."""

    weakref.finalize(never, _close_all, pools)
    loop.call_later(_CENTURY, never)


def _close_all(pools: _Pools) -> None:
    for pool in pools.values():
        pool.close()
