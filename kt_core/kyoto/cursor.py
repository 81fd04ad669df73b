"""Cursors: positions in a database, each with a connection of its own as long as it is used.

A server keeps a cursor for one connection, so that one which still has a cursor is never given to anybody else.
Source: the Kyoto Tycoon protocol reference, section 6.3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

from kt_core.aio import AsyncConnection, AsyncPool
from kt_core.calls import Key
from kt_core.errors import KTError
from kt_core.kyoto import operations as ops
from kt_core.kyoto.calls import Calls
from kt_core.kyoto.expiry import ExpireTime
from kt_core.pool import BasePool, Pool
from kt_core.transport import BaseConnection, Connection
from kt_core.wire.exchange import Op

T = TypeVar("T")
C = TypeVar("C", bound=BaseConnection)
P = TypeVar("P", bound=BasePool[Any])

# A scan's first batches are small, since the server answers every call of a batch even behind the last record.
_FIRST_BATCH: Final = 8

# No two cursors share a number: one left behind by an accident would go on in its own database.
_numbers = count(1)


class _Base(Generic[P, C]):
    """A cursor's number, and its connection while it has one."""

    def __init__(self, pool: P, calls: Calls, db: int | None) -> None:
        self._connection: C | None = None
        self._pool = pool
        self._calls = calls
        self._db = calls.index(db)
        self._number = next(_numbers)
        self._valid = False

    def __del__(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._pool.take_back(self._connection)

    def is_valid(self) -> bool:
        """Tell whether the cursor stood on a record when it was last used."""
        return self._valid


class Cursor(_Base[Pool, Connection]):
    """A position in a database; close it, or write ``with client.cursor() as cursor``.

    Without order, as in hash databases, `jump` takes a key that is there, and moves backwards are a `ServerError`.
    Iterating gives the items from the current record on, or all of them, each in a round trip of its own;
    `KyotoTycoon.iter_items` is faster.
    """

    def jump(self, key: Key | None = None) -> bool:
        """Stand on the first record, or the first from a key on; tell whether there is one."""
        return self._move(self._calls.jump(self._number, key, self._db))

    def jump_back(self, key: Key | None = None) -> bool:
        """Stand on the last record, or the last up to a key; tell whether there is one."""
        return self._move(self._calls.jump_back(self._number, key, self._db))

    def step(self) -> bool:
        """Go to the next record; tell whether there is one."""
        return self._move(ops.cursor_step(self._number))

    def step_back(self) -> bool:
        """Go to the record before; tell whether there is one."""
        return self._move(ops.cursor_step_back(self._number))

    def get(self, step: bool = False) -> tuple[Any, Any] | None:
        """Return key and value, None behind the last record; with `step` go to the next one then."""
        return self._read(self._calls.current(self._number, step))

    def key(self, step: bool = False) -> Any:
        """Return the key, as `get` does."""
        return self._read(self._calls.current_key(self._number, step))

    def value(self, step: bool = False) -> Any:
        """Return the value, as `get` does."""
        return self._read(self._calls.current_value(self._number, step))

    def set_value(self, value: Any, step: bool = False, expire_time: ExpireTime = None) -> bool:
        """Store another value under the key; tell whether there is a record."""
        return self._move(self._calls.set_current(self._number, value, step, expire_time))

    def remove(self) -> bool:
        """Remove the record and stand on the next one; tell whether there was one."""
        return self._move(ops.cursor_remove(self._number))

    def seize(self) -> tuple[Any, Any] | None:
        """Remove the record, return its key and value, and stand on the next one."""
        return self._read(self._calls.seize_current(self._number))

    def scan(self, batch: Callable[[int, int], Op[list[T]]], key: Key | None = None) -> Iterator[T]:
        """Yield what a database holds from its first record on, or as `jump` finds one; many in one round trip."""
        size = _FIRST_BATCH
        self.jump(key)
        while True:
            found = self._run(batch(self._number, size))
            yield from found
            if len(found) < size:
                return
            size = min(2 * size, ops.SCAN_BATCH)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if not self._valid:
            self.jump()
        while (item := self.get(step=True)) is not None:
            yield item

    def close(self) -> None:
        """Give the connection back; used again, the cursor begins anew."""
        connection, self._connection = self._connection, None
        self._valid = False
        if connection is None:
            return
        try:
            if connection.usable:
                connection.run(ops.cursor_delete(self._number))
        except KTError:
            connection.close()
        finally:
            self._pool.take_back(connection)

    def __enter__(self) -> Cursor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _move(self, op: Op[bool]) -> bool:
        self._valid = False
        self._valid = self._run(op)
        return self._valid

    def _read(self, op: Op[T | None]) -> T | None:
        found = self._run(op)
        self._valid = found is not None
        return found

    def _run(self, op: Op[T]) -> T:
        if self._connection is None:
            self._connection = self._pool.lend()
        return self._connection.run(op)


class AsyncCursor(_Base[AsyncPool, AsyncConnection]):
    """A `Cursor` whose methods are awaited: ``async with client.cursor() as cursor``."""

    async def jump(self, key: Key | None = None) -> bool:
        return await self._move(self._calls.jump(self._number, key, self._db))

    async def jump_back(self, key: Key | None = None) -> bool:
        return await self._move(self._calls.jump_back(self._number, key, self._db))

    async def step(self) -> bool:
        return await self._move(ops.cursor_step(self._number))

    async def step_back(self) -> bool:
        return await self._move(ops.cursor_step_back(self._number))

    async def get(self, step: bool = False) -> tuple[Any, Any] | None:
        return await self._read(self._calls.current(self._number, step))

    async def key(self, step: bool = False) -> Any:
        return await self._read(self._calls.current_key(self._number, step))

    async def value(self, step: bool = False) -> Any:
        return await self._read(self._calls.current_value(self._number, step))

    async def set_value(self, value: Any, step: bool = False, expire_time: ExpireTime = None) -> bool:
        return await self._move(self._calls.set_current(self._number, value, step, expire_time))

    async def remove(self) -> bool:
        return await self._move(ops.cursor_remove(self._number))

    async def seize(self) -> tuple[Any, Any] | None:
        return await self._read(self._calls.seize_current(self._number))

    async def scan(self, batch: Callable[[int, int], Op[list[T]]], key: Key | None = None) -> AsyncIterator[T]:
        size = _FIRST_BATCH
        await self.jump(key)
        while True:
            found = await self._run(batch(self._number, size))
            for item in found:
                yield item
            if len(found) < size:
                return
            size = min(2 * size, ops.SCAN_BATCH)

    async def __aiter__(self) -> AsyncIterator[tuple[Any, Any]]:
        if not self._valid:
            await self.jump()
        while (item := await self.get(step=True)) is not None:
            yield item

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        self._valid = False
        if connection is None:
            return
        try:
            if connection.usable:
                await connection.run(ops.cursor_delete(self._number))
        except KTError:
            connection.close()
        finally:
            self._pool.take_back(connection)

    async def __aenter__(self) -> AsyncCursor:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _move(self, op: Op[bool]) -> bool:
        self._valid = False
        self._valid = await self._run(op)
        return self._valid

    async def _read(self, op: Op[T | None]) -> T | None:
        found = await self._run(op)
        self._valid = found is not None
        return found

    async def _run(self, op: Op[T]) -> T:
        if self._connection is None:
            self._connection = await self._pool.lend()
        return await self._connection.run(op)
