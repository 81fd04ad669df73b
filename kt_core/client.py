"""What every client is, whatever it talks to: where its server is, and the connections that it uses.

A client's class is one of its protocol, which says what the options are, and one of these two, which runs the
operations or awaits them.
"""

from __future__ import annotations

import asyncio
import weakref
from functools import cached_property
from types import TracebackType
from typing import Final, Self

from kt_core.aio import AsyncPool, async_pool_for
from kt_core.pool import Pool, PoolOptions, pool_for
from kt_core.transport import Address

MAX_CONNECTIONS: Final = 64


class Client:
    """A client whose server is at the address of its options."""

    _options: PoolOptions

    def _use(
        self, address: Address, timeout: float | None, connect_timeout: float | None, max_connections: int
    ) -> None:
        self._options = PoolOptions(
            address, timeout=timeout, connect_timeout=connect_timeout, max_connections=max_connections
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._options.address}>"

    def checkin(self) -> None:
        """Do nothing: a connection is back in the pool when a method returns."""


class WaitingClient(Client):
    """A client that waits for its answers; the threads of a process share its connections."""

    @cached_property
    def _pool(self) -> Pool:
        return pool_for(self._options)

    def close(self) -> None:
        """Close the connections that are not in use; the client can be used again."""
        self._pool.close()

    close_all = close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AwaitedClient(Client):
    """A client whose answers are awaited; each event loop has connections of its own, which are closed when it is."""

    _last: tuple[weakref.ref[asyncio.AbstractEventLoop], AsyncPool] | None = None

    @property
    def _pool(self) -> AsyncPool:
        loop, last = asyncio.get_running_loop(), self._last
        if last is not None and last[0]() is loop:
            return last[1]
        pool = async_pool_for(self._options)
        self._last = weakref.ref(loop), pool
        return pool

    async def close(self) -> None:
        """Close the connections of the running event loop that are not in use; the client can be used again."""
        self._pool.close()

    close_all = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
