"""A pool of connections to one server: shared by all threads of a process, capped, and empty again after a fork.

A connection that was idle for a while is looked at before it is used again. A request that is safe to repeat is
sent once more, on a new connection, when a used one breaks before the first byte of its reply.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from kt_core.errors import ConnectionFailed, Timeout
from kt_core.transport import Address, Connection
from kt_core.wire.exchange import Flow, Op

T = TypeVar("T")


@dataclass(frozen=True)
class PoolOptions:
    """What a pool does; times in seconds, None for any time."""

    address: Address
    timeout: float | None = 5.0
    """What a whole exchange may take."""
    connect_timeout: float | None = None
    """What connecting may take; None for the same as `timeout`."""
    max_connections: int = 64
    max_idle: float = 300.0
    """A connection that was idle for longer is closed."""
    check_after: float = 1.0
    """A connection that was idle for longer is looked at before it is used."""


class Pool:
    """Connections to one server; every method may be called from any thread."""

    def __init__(self, options: PoolOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.options = options
        self._clock = clock
        self._begin_empty()
        _pools.add(self)

    def _begin_empty(self) -> None:
        # Taken from and returned to the right end, so that the connections not needed grow old at the left one.
        self._idle: deque[tuple[Connection, float]] = deque()
        self._places = threading.BoundedSemaphore(self.options.max_connections)

    def run(self, op: Op[T]) -> T:
        """Run one exchange on some connection."""
        with self.connection() as connection:
            used = connection.answered
            try:
                return connection.run(op)
            except ConnectionFailed:
                if not (used and op.idempotent and not connection.answered):
                    raise
        with self._place():
            fresh = self._connect()
            try:
                return fresh.run(op)
            finally:
                self._return(fresh)

    def drive(self, flow: Flow[T]) -> T:
        """Run all exchanges of a flow on one connection."""
        with self.connection() as connection:
            return connection.drive(flow)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection; it returns to the pool if it is still usable."""
        with self._place():
            connection = self._take() or self._connect()
            try:
                yield connection
            finally:
                self._return(connection)

    def close(self) -> None:
        """Close all idle connections; those that are lent are closed when they return to be reaped."""
        while self._idle:
            self._idle.pop()[0].close()

    def forget(self) -> None:
        """Begin empty in a forked child: the parent goes on with the connections."""
        inherited = self._idle
        self._begin_empty()
        for connection, _ in inherited:
            connection.close()  # this process's descriptor alone

    def __len__(self) -> int:
        return len(self._idle)

    @contextmanager
    def _place(self) -> Iterator[None]:
        places = self._places
        if not places.acquire(timeout=self.options.timeout):
            raise Timeout(
                f"all {self.options.max_connections} connections to {self.options.address} were busy for "
                f"{self.options.timeout} s: raise max_connections"
            )
        try:
            yield
        finally:
            places.release()

    def _take(self) -> Connection | None:
        now = self._clock()
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if now - since > self.options.max_idle:
                connection.close()
            elif now - since <= self.options.check_after or connection.is_idle():
                return connection
        return None

    def _connect(self) -> Connection:
        options = self.options
        return Connection(options.address, options.timeout, connect_timeout=options.connect_timeout)

    def _return(self, connection: Connection) -> None:
        if connection.usable:
            self._idle.append((connection, self._clock()))
            self._reap()

    def _reap(self) -> None:
        oldest = self._clock() - self.options.max_idle
        while self._idle and self._idle[0][1] < oldest:
            self._idle.popleft()[0].close()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


os.register_at_fork(after_in_child=_forget_all)
