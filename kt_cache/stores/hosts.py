"""A server as a store sees it: the connections to it, and how long it is left alone after it has failed."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from types import TracebackType
from typing import TypeVar

from kt_core.aio import AsyncConnection, async_pool_for
from kt_core.errors import ConnectionFailed, KTError, ProtocolError, ServerError, Timeout
from kt_core.pool import PoolOptions, pool_for
from kt_core.transport import Connection
from kt_core.wire.exchange import Flow, Op

logger = logging.getLogger("kt_cache.stores")

T = TypeVar("T")


def is_outage(error: BaseException) -> bool:
    """Tell whether an error means that a server is out of order, and not that it was asked something wrong."""
    if isinstance(error, ServerError):
        return error.status >= 500
    return isinstance(error, ConnectionFailed | Timeout | ProtocolError)


class Breaker:
    """Surrounds every use of a server, and refuses it with `ConnectionFailed` while the server is left alone.

    After a failure that is for `rest` seconds; then one call tries again, and meanwhile the others are refused as
    before. After `attempts` such tries the server is dead for `dead` seconds: whoever has other servers uses those.
    An outage is logged when it begins and when it is over.
    """

    def __init__(
        self,
        name: str,
        *,
        rest: float,
        attempts: float = math.inf,
        dead: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._rest = rest
        self._attempts = attempts
        self._dead = dead
        self._clock = clock
        self._tries = 0  # since the last success: the first that failed, and those let through after it
        self._since = 0.0  # when the last of them began, or failed
        self._outages: dict[str, object] = {}  # at most one; what changes it is atomic, so that one thread logs

    @property
    def is_dead(self) -> bool:
        """Whether the server is to be left out."""
        return self._tries > self._attempts and self._clock() - self._since < self._dead

    def __enter__(self) -> None:
        if self._tries:
            now = self._clock()
            if now - self._since < self._rest:
                raise ConnectionFailed(f"{self._name} has failed and is left alone for {self._rest} s")
            # Counted now and not when they fail: many calls that were under way together fail together, too.
            self._tries += 1
            self._since = now

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and is_outage(error):
            self._tries = self._tries or 1
            self._since = self._clock()
            outage = object()
            if self._outages.setdefault(self._name, outage) is outage:
                logger.error("%s is out of order: %s", self._name, error, extra={"kt_location": self._name})
        elif self._tries and (error is None or isinstance(error, KTError)):
            self._tries = 0
            if self._outages.pop(self._name, None):
                logger.warning("%s is in order again", self._name, extra={"kt_location": self._name})


class Host:
    """One server and the connections to it, which all stores of this process share."""

    def __init__(self, options: PoolOptions, watch: AbstractContextManager[None] | None = None) -> None:
        self.address = options.address
        self._options = options
        self._pool = pool_for(options)
        self._watch = watch or nullcontext()

    def run(self, op: Op[T]) -> T:
        """Run one exchange."""
        with self._watch:
            return self._pool.run(op)

    def drive(self, flow: Flow[T]) -> T:
        """Run a flow's exchanges, all on one connection."""
        with self._watch:
            return self._pool.drive(flow)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection for the length of a block."""
        with self._watch, self._pool.connection() as connection:
            yield connection

    @asynccontextmanager
    async def aconnection(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection to be awaited for the length of a block."""
        with self._watch:
            async with async_pool_for(self._options).connection() as connection:
                yield connection

    async def arun(self, op: Op[T]) -> T:
        """Await one exchange."""
        with self._watch:
            return await async_pool_for(self._options).run(op)

    async def adrive(self, flow: Flow[T]) -> T:
        """Await a flow's exchanges, all on one connection."""
        with self._watch:
            return await async_pool_for(self._options).drive(flow)

    def close(self) -> None:
        """Close the idle connections; whoever needs one makes it anew."""
        self._pool.close()
