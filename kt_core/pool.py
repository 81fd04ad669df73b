"""A pool of connections to one server: shared by all threads of a process, capped, and empty again after a fork.

What a pool of an event loop does alike is in `BasePool`; `kt_core.aio` has the rest of it.
"""

from __future__ import annotations

import atexit
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kt_core.errors import Misconfigured, Timeout
from kt_core.transport import Address, BaseConnection, Connection
from kt_core.wire.exchange import Flow, Op

T = TypeVar("T")
C = TypeVar("C", bound=BaseConnection)


@dataclass(frozen=True)
class PoolOptions:
    """What a pool does; times in seconds, None for any time."""

    address: Address
    timeout: float | None = 5.0
    """What a whole exchange may take, and the wait for a connection before it."""
    connect_timeout: float | None = None
    """What connecting may take; None for the same as `timeout`."""
    max_connections: int = 64
    max_idle: float = 300.0
    """A connection that was idle for longer is closed."""
    check_after: float = 1.0
    """A connection that was idle for longer is looked at before it is used."""

    def __post_init__(self) -> None:
        if self.max_connections < 1:
            raise Misconfigured(f"max_connections={self.max_connections}: write 1 or more")
        for name in ("timeout", "connect_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise Misconfigured(f"{name}={seconds}: write more than 0 seconds, or None for any time")


class Turn(Generic[C]):
    """A caller who waits for a place: `event` is set when one has been given to it."""

    def __init__(self, event: Any) -> None:
        self.event = event
        self.place: C | None = None


class BasePool(Generic[C]):
    """The places of a pool: each is free, or holds an idle connection, or is lent."""

    def __init__(self, options: PoolOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.options = options
        self._clock = clock
        self._check_after = options.check_after
        self.forget()
        _pools.add(self)

    def forget(self) -> None:
        """Begin empty, as in a forked child: the parent goes on with the connections."""
        # Free places are at the left end. Connections are taken from and returned to the right one, so that those
        # that nobody needs grow old where the free places end.
        self._places: deque[C | None] = deque([None] * self.options.max_connections)
        self._turns: deque[Turn[C]] = deque()
        self._lock = threading.RLock()  # of one thread twice: collecting a generator may return its connection
        self._next_reaping = -math.inf

    def take_back(self, connection: C) -> None:
        """Keep a lent connection for the next caller, if it is still usable."""
        if connection.usable:
            connection.idle_since = self._clock()
            connection.rested = True
            self._put(connection)
        elif not connection.inherited:  # else its place was in the parent
            self._put(None)

    def close(self) -> None:
        """Close all idle connections; those that are lent come back later, and are kept then."""
        self._close_idle(math.inf)

    def __len__(self) -> int:
        return sum(place is not None for place in self._places.copy())

    def _put(self, place: C | None) -> None:
        if place is None:
            self._places.appendleft(None)
        else:
            self._places.append(place)
        if self._turns:
            self._serve()

    def _serve(self) -> None:
        """Give places to those who wait, in their order."""
        with self._lock:
            while self._turns:
                try:
                    place = self._places.pop()
                except IndexError:
                    return
                turn = self._turns.popleft()
                turn.place = place
                turn.event.set()

    def _give_up(self, turn: Turn[C]) -> None:
        """Wait no longer."""
        with self._lock:
            if turn.event.is_set():
                self._put(turn.place)
            else:
                self._turns.remove(turn)

    def _all_busy(self) -> Timeout:
        options = self.options
        return Timeout(
            f"all {options.max_connections} connections to {options.address} were busy for {options.timeout} s: "
            "raise max_connections"
        )

    def _pick(self, place: C | None) -> C | None:
        """Return the connection at a place if it may be used; close what has been idle for too long, there and else."""
        now = self._clock()
        if now >= self._next_reaping:
            self._close_idle(now - self.options.max_idle)
            oldest = min([place.idle_since for place in self._places.copy() if place is not None], default=now)
            self._next_reaping = oldest + self.options.max_idle
        if place is None:
            return None
        idle = now - place.idle_since
        if idle <= self._check_after or (idle <= self.options.max_idle and place.is_sound()):
            return place
        place.close()
        return None

    def _close_idle(self, before: float) -> None:
        for place in self._places.copy():
            if place is not None and place.idle_since < before:
                try:
                    self._places.remove(place)
                except ValueError:  # another thread has taken it
                    continue
                place.close()
                self._put(None)


class Pool(BasePool[Connection]):
    """Connections to one server; every method may be called from any thread."""

    def run(self, op: Op[T]) -> T:
        """Run one exchange on some connection."""
        connection = self.lend()
        try:
            reply = connection.exchange(op)
        finally:
            self.take_back(connection)
        return op.finish(reply)

    def drive(self, flow: Flow[T]) -> T:
        """Run all exchanges of a flow on one connection."""
        with self.connection() as connection:
            return connection.drive(flow)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection for the length of a block."""
        connection = self.lend()
        try:
            yield connection
        finally:
            self.take_back(connection)

    def lend(self) -> Connection:
        """Give away a connection until `take_back`; `Timeout` if all are lent for too long."""
        try:
            place = self._places.pop()
        except IndexError:
            place = self._wait()
        return self._pick(place) or self._connect()

    def _wait(self) -> Connection | None:
        turn: Turn[Connection] = Turn(threading.Event())
        self._turns.append(turn)
        self._serve()  # a place may have come back in between
        try:
            if turn.event.wait(self.options.timeout):
                return turn.place
            raise self._all_busy()
        except BaseException:
            self._give_up(turn)
            raise

    def _connect(self) -> Connection:
        options = self.options
        try:
            return Connection(options.address, options.timeout, connect_timeout=options.connect_timeout)
        except BaseException:
            self._put(None)
            raise


_pools: weakref.WeakSet[BasePool[Any]] = weakref.WeakSet()
_shared: dict[PoolOptions, Pool] = {}


def pool_for(options: PoolOptions) -> Pool:
    """Return this process's pool for these options, always the same one."""
    try:
        return _shared[options]
    except KeyError:
        return _shared.setdefault(options, Pool(options))


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


@atexit.register
def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


os.register_at_fork(after_in_child=_forget_all)
