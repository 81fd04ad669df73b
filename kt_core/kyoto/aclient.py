"""The client of a Kyoto Tycoon server whose answers are awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from typing import Any

from kt_core.calls import Key, merged
from kt_core.client import AwaitedClient
from kt_core.kyoto.base import KyotoClient
from kt_core.kyoto.calls import Details, Origin, Record, key_and_db
from kt_core.kyoto.cursor import AsyncCursor
from kt_core.kyoto.expiry import ExpireTime
from kt_core.kyoto.lua import Lua
from kt_core.kyoto.status import Report, Status


class AsyncKyotoTycoon(KyotoClient, AwaitedClient):
    """A `KyotoTycoon` whose methods are awaited, to be shared by the tasks of any number of event loops.

    The methods are those of `KyotoTycoon`, where they are described. ``await client.size`` and ``await client["key"]``
    read, ``async for key in client`` iterates; the rest of a mapping's forms cannot be awaited. Each event loop has
    connections of its own, which are closed when it is.
    """

    # -- records -----------------------------------------------------------------------------------------

    async def get(self, key: Key, db: int | None = None) -> Any:
        return await self._pool.run(self._calls.get(key, db))

    async def get_bytes(self, key: Key, db: int | None = None) -> bytes | None:
        return await self._pool.run(self._calls.get_bytes(key, db))

    async def get_int(self, key: Key, db: int | None = None) -> int | None:
        return await self._pool.run(self._calls.get_int(key, db))

    async def get_double(self, key: Key, db: int | None = None) -> float | None:
        return await self._pool.run(self._calls.get_double(key, db))

    async def get_record(self, key: Key, db: int | None = None) -> Record | None:
        return await self._pool.run(self._calls.get_record(key, db))

    async def get_bulk(self, keys: Iterable[Key], db: int | None = None) -> dict[Any, Any]:
        return await self._pool.run(self._calls.get_bulk(keys, db))

    async def get_bulk_details(self, db_key_list: Iterable[tuple[int, Key]]) -> list[Details]:
        return await self._pool.run(self._calls.get_bulk_details(db_key_list))

    async def set(
        self, key: Key, value: Any, db: int | None = None, expire_time: ExpireTime = None, *, no_reply: bool = False
    ) -> int:
        return await self._pool.run(self._calls.set(key, value, db, expire_time, no_reply))

    async def set_bytes(
        self, key: Key, value: bytes, db: int | None = None, expire_time: ExpireTime = None, *, no_reply: bool = False
    ) -> int:
        return await self._pool.run(self._calls.set_bytes(key, value, db, expire_time, no_reply))

    async def set_bulk(
        self,
        __data: Mapping[Key, Any] | None = None,
        db: int | None = None,
        expire_time: ExpireTime = None,
        *,
        no_reply: bool = False,
        **kwargs: Any,
    ) -> int:
        return await self._pool.run(self._calls.set_bulk(merged(__data, kwargs), db, expire_time, no_reply))

    async def set_bulk_details(
        self, data: Iterable[tuple[int, Key, Any, ExpireTime]], *, no_reply: bool = False
    ) -> int:
        return await self._pool.run(self._calls.set_bulk_details(data, no_reply))

    update = set_bulk

    async def remove(self, key: Key, db: int | None = None, *, no_reply: bool = False) -> int:
        return await self._pool.run(self._calls.remove(key, db, no_reply))

    async def remove_bulk(self, keys: Iterable[Key], db: int | None = None, *, no_reply: bool = False) -> int:
        return await self._pool.run(self._calls.remove_bulk(keys, db, no_reply))

    async def remove_bulk_details(self, db_key_list: Iterable[tuple[int, Key]], *, no_reply: bool = False) -> int:
        return await self._pool.run(self._calls.remove_bulk_details(db_key_list, no_reply))

    async def add(self, key: Key, value: Any, db: int | None = None, expire_time: ExpireTime = None) -> bool:
        return await self._pool.run(self._calls.add(key, value, db, expire_time))

    async def replace(self, key: Key, value: Any, db: int | None = None, expire_time: ExpireTime = None) -> bool:
        return await self._pool.run(self._calls.replace(key, value, db, expire_time))

    async def append(self, key: Key, value: Any, db: int | None = None, expire_time: ExpireTime = None) -> bool:
        return await self._pool.run(self._calls.append(key, value, db, expire_time))

    async def seize(self, key: Key, db: int | None = None) -> Any:
        return await self._pool.run(self._calls.seize(key, db))

    pop = seize

    async def cas(
        self, key: Key, old_val: Any, new_val: Any, db: int | None = None, expire_time: ExpireTime = None
    ) -> bool:
        return await self._pool.run(self._calls.cas(key, old_val, new_val, db, expire_time))

    async def touch(self, key: Key, expire_time: ExpireTime = None, db: int | None = None) -> bool:
        return await self._pool.drive(self._calls.touch(key, expire_time, db))

    async def incr(
        self, key: Key, n: int = 1, orig: Origin = None, db: int | None = None, expire_time: ExpireTime = None
    ) -> int | None:
        return await self._pool.run(self._calls.incr(key, n, orig, db, expire_time))

    async def incr_double(
        self, key: Key, n: float = 1.0, orig: Origin = None, db: int | None = None, expire_time: ExpireTime = None
    ) -> float | None:
        return await self._pool.run(self._calls.incr_double(key, n, orig, db, expire_time))

    increment, increment_double = incr, incr_double

    async def exists(self, key: Key, db: int | None = None) -> bool:
        return await self._pool.run(self._calls.exists(key, db))

    async def length(self, key: Key, db: int | None = None) -> int | None:
        return await self._pool.run(self._calls.length(key, db))

    async def expire_time(self, key: Key, db: int | None = None) -> int | None:
        return await self._pool.run(self._calls.expire_time(key, db))

    # -- databases ---------------------------------------------------------------------------------------

    async def match_prefix(self, prefix: Key, max_keys: int | None = None, db: int | None = None) -> list[Any]:
        return await self._pool.run(self._calls.match_prefix(prefix, max_keys, db))

    async def match_regex(self, regex: Key, max_keys: int | None = None, db: int | None = None) -> list[Any]:
        return await self._pool.run(self._calls.match_regex(regex, max_keys, db))

    async def match_similar(
        self, origin: Key, distance: int | None = None, max_keys: int | None = None, db: int | None = None
    ) -> list[Any]:
        return await self._pool.run(self._calls.match_similar(origin, distance, max_keys, db))

    async def keys(self, db: int | None = None) -> list[Any]:
        return [key async for key in self.iter_keys(db)]

    async def keys_nonlazy(self, db: int | None = None) -> list[Any]:
        return await self.match_prefix(b"", db=db)

    async def iter_keys(self, db: int | None = None) -> AsyncIterator[Any]:
        async with self.cursor(db) as cursor:
            async for found in cursor.scan(self._calls.next_keys):
                yield found

    async def iter_values(self, db: int | None = None) -> AsyncIterator[Any]:
        async with self.cursor(db) as cursor:
            async for found in cursor.scan(self._calls.next_values):
                yield found

    async def iter_items(self, db: int | None = None) -> AsyncIterator[tuple[Any, Any]]:
        async with self.cursor(db) as cursor:
            async for found in cursor.scan(self._calls.next_items):
                yield found

    values, items = iter_values, iter_items

    def cursor(self, db: int | None = None) -> AsyncCursor:
        return AsyncCursor(self._pool, self._calls, db)

    async def count(self, db: int | None = None) -> int:
        return (await self.status(db)).count

    @property
    async def size(self) -> int:
        return (await self.status()).size

    @property
    async def path(self) -> str:
        return (await self.status()).path

    async def status(self, db: int | None = None) -> Status:
        return await self._pool.run(self._calls.status(db))

    async def report(self) -> Report:
        return await self._pool.run(self._calls.report())

    async def clear(self, db: int | None = None) -> bool:
        return await self._pool.run(self._calls.clear(db))

    async def synchronize(self, hard: bool = False, command: str | None = None, db: int | None = None) -> bool:
        return await self._pool.run(self._calls.synchronize(hard, command, db))

    async def vacuum(self, step: int = 0, db: int | None = None) -> bool:
        return await self._pool.run(self._calls.vacuum(step, db))

    async def script(
        self,
        name: str,
        __data: Mapping[Key, Any] | None = None,
        encode_values: bool = True,
        *,
        no_reply: bool = False,
        **kwargs: Any,
    ) -> dict[Any, Any]:
        return await self._pool.run(self._calls.script(name, merged(__data, kwargs), encode_values, no_reply))

    @property
    def lua(self) -> Lua:
        return Lua(self.script)

    def __getitem__(self, key_or_keydb: Key | tuple[Key, int | None]) -> Awaitable[Any]:
        return self.get(*key_and_db(key_or_keydb))

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.iter_keys()
