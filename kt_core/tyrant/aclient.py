"""The client of a Tokyo Tyrant server whose answers are awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from kt_core.calls import Key, merged
from kt_core.client import AwaitedClient
from kt_core.tyrant import operations as ops
from kt_core.tyrant.base import TyrantClient
from kt_core.tyrant.script import Form, Lua
from kt_core.tyrant.search import Expression, Search
from kt_core.tyrant.status import Status

T = TypeVar("T")


class AsyncTokyoTyrant(TyrantClient, AwaitedClient):
    """A `TokyoTyrant` whose methods are awaited, to be shared by the tasks of any number of event loops.

    The methods are those of `TokyoTyrant`, where they are described. ``await client.size`` and ``await client["key"]``
    read, ``async for key in client`` iterates; the rest of a mapping's forms cannot be awaited. Each event loop has
    connections of its own, which are closed when it is.
    """

    # -- records -----------------------------------------------------------------------------------------

    async def get(self, key: Key) -> Any:
        return await self._pool.run(self._calls.get(key))

    async def get_bytes(self, key: Key) -> bytes | None:
        return await self._pool.run(self._calls.get_bytes(key))

    async def get_int(self, key: Key) -> int | None:
        return await self._pool.run(self._calls.get_int(key))

    async def get_double(self, key: Key) -> float | None:
        return await self._pool.run(self._calls.get_double(key))

    async def get_bulk(self, keys: Iterable[Key], *, decode_values: bool = True) -> dict[Any, Any]:
        return await self._pool.run(self._calls.get_bulk(keys, decode_values))

    async def get_part(self, key: Key, start: int | None = None, end: int | None = None) -> Any:
        return await self._pool.run(self._calls.get_part(key, start, end))

    async def set(self, key: Key, value: Any, *, no_reply: bool = False) -> bool | None:
        return await self._pool.run(self._calls.set(key, value, no_reply))

    async def set_bytes(self, key: Key, value: bytes, *, no_reply: bool = False) -> bool | None:
        return await self._pool.run(self._calls.set_bytes(key, value, no_reply))

    async def set_bulk(
        self, __data: Mapping[Key, Any] | None = None, *, no_reply: bool = False, **kwargs: Any
    ) -> bool | None:
        return await self._pool.drive(self._calls.set_bulk(merged(__data, kwargs), no_reply))

    update = set_bulk

    async def setdup(self, key: Key, value: Any) -> bool:
        return await self._pool.run(self._calls.set_duplicate(key, value, last=True))

    async def setdupback(self, key: Key, value: Any) -> bool:
        return await self._pool.run(self._calls.set_duplicate(key, value, last=False))

    async def remove(self, key: Key) -> int:
        return await self._pool.run(self._calls.remove(key))

    async def remove_bulk(self, keys: Iterable[Key]) -> bool:
        return await self._pool.run(self._calls.remove_bulk(keys))

    async def add(self, key: Key, value: Any) -> bool:
        return await self._pool.run(self._calls.add(key, value))

    async def append(self, key: Key, value: Any) -> bool:
        return await self._pool.run(self._calls.append(key, value))

    async def addshl(self, key: Key, value: Any, width: int) -> bool:
        return await self._pool.run(self._calls.addshl(key, value, width))

    async def seize(self, key: Key) -> Any:
        return await self._pool.run(self._calls.seize(key))

    pop = seize

    async def incr(self, key: Key, n: int = 1) -> int:
        return await self._pool.drive(self._calls.incr(key, n))

    async def incr_double(self, key: Key, n: float = 1.0) -> float:
        return await self._pool.run(self._calls.incr_double(key, n))

    async def exists(self, key: Key) -> bool:
        return await self._pool.run(self._calls.exists(key))

    async def length(self, key: Key) -> int | None:
        return await self._pool.run(self._calls.length(key))

    # -- many records ------------------------------------------------------------------------------------

    async def get_range(self, start: Key | None, stop: Key | None = None, max_keys: int | None = 0) -> dict[Any, Any]:
        return await self._pool.drive(self._calls.get_range(start, stop, max_keys))

    async def get_rangelist(
        self, start: Key | None, stop: Key | None = None, max_keys: int | None = 0
    ) -> list[tuple[Any, Any]]:
        return await self._pool.drive(self._calls.get_rangelist(start, stop, max_keys))

    async def match_prefix(self, prefix: Key, max_keys: int | None = 1024) -> list[Any]:
        return await self._pool.run(self._calls.match_prefix(prefix, max_keys))

    async def match_regex(self, regex: Key, max_keys: int | None = 1024) -> dict[Any, Any]:
        return await self._pool.run(self._calls.match_regex(regex, max_keys))

    async def match_regexlist(self, regex: Key, max_keys: int | None = 1024) -> list[tuple[Any, Any]]:
        return await self._pool.run(self._calls.match_regexlist(regex, max_keys))

    async def keys(self) -> list[Any]:
        return await self._pool.drive(self._calls.keys())

    keys_fast = keys

    async def items(self, start_key: Key | None = None) -> list[tuple[Any, Any]]:
        return [item async for item in self.iter_items(start_key)]

    items_fast = items

    async def iter_from(self, start_key: Key) -> list[tuple[Any, Any]]:
        return await self.items(start_key)

    async def iter_keys(self) -> AsyncIterator[Any]:
        for key in await self.keys():
            yield key

    async def iter_items(self, start_key: Key | None = None) -> AsyncIterator[tuple[Any, Any]]:
        scan = await self._pool.drive(self._calls.scan(start_key))
        while records := await self._pool.drive(scan.next()):
            for item in self._calls.items(records):
                yield item

    # -- the database and its server ---------------------------------------------------------------------

    async def count(self) -> int:
        return await self._pool.run(ops.rnum())

    @property
    def size(self) -> Awaitable[int]:
        return self._pool.run(ops.size())

    @property
    def error(self) -> Awaitable[tuple[int, str] | None]:
        return self._pool.run(self._calls.error())

    async def status(self) -> Status:
        return await self._pool.run(self._calls.status())

    async def clear(self) -> bool:
        return await self._pool.run(ops.vanish())

    async def synchronize(self) -> bool:
        return await self._pool.run(ops.sync())

    sync = synchronize

    async def optimize(self, options: str = "") -> bool:
        return await self._pool.run(self._calls.optimize(options))

    async def clear_cache(self) -> bool:
        return await self._pool.run(self._calls.clear_cache())

    async def defragment(self, nsteps: int | None = None) -> bool:
        return await self._pool.run(self._calls.defragment(nsteps))

    async def copy(self, path: str) -> bool:
        return await self._pool.run(self._calls.copy(path))

    async def restore(self, path: str, timestamp: int | datetime, options: int = 0) -> bool:
        return await self._pool.run(self._calls.restore(path, timestamp, options))

    async def set_master(
        self, host: str | None, port: int = 1978, timestamp: int | datetime = 0, options: int = 0
    ) -> bool:
        return await self._pool.run(self._calls.set_master(host, port, timestamp, options))

    async def misc(
        self,
        cmd: str,
        keys: Iterable[Any] | None = None,
        data: Mapping[Any, Any] | None = None,
        *,
        update_log: bool = True,
        decode_values: bool = False,
    ) -> list[Any] | None:
        return await self._pool.run(self._calls.misc(cmd, keys, data, update_log, decode_values))

    async def script(
        self,
        name: str,
        key: Key | None = None,
        value: Any = None,
        lock_records: bool = False,
        lock_all: bool = False,
        encode_value: bool = True,
        decode_value: bool = False,
        as_list: bool = False,
        as_dict: bool = False,
        as_int: bool = False,
    ) -> Any:
        form = Form(lock_records, lock_all, encode_value, decode_value, as_list, as_dict, as_int)
        return await self._pool.run(self._calls.script(name, key, value, form))

    @property
    def lua(self) -> Lua:
        return Lua(self.script)

    # -- tables ------------------------------------------------------------------------------------------

    async def set_index(self, name: str, index_type: int, check_exists: bool = False) -> bool:
        return await self._pool.run(self._calls.set_index(name, index_type, check_exists))

    async def optimize_index(self, name: str) -> bool:
        return await self._pool.run(self._calls.optimize_index(name))

    async def delete_index(self, name: str) -> bool:
        return await self._pool.run(self._calls.delete_index(name))

    async def search(self, expressions: Iterable[Expression], cmd: str | None = None) -> Any:
        return await self._pool.run(self._calls.search(expressions, cmd))

    async def find(self, search: Search[T]) -> T:
        return await self._pool.run(self._calls.find(search))

    async def genuid(self) -> int:
        return await self._pool.run(self._calls.genuid())

    def __getitem__(self, key: Key | slice) -> Awaitable[Any]:
        if isinstance(key, slice):
            return self._pool.drive(self._calls.slice(key))
        return self.get(key)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.iter_keys()
