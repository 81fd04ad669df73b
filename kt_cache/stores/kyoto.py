"""The Kyoto Tycoon store: one logical database of one server, waited for or awaited."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from kt_cache.stores.base import Entry, Keep, Stats, Value
from kt_cache.stores.exchanges import Exchanges
from kt_cache.stores.hosts import Host
from kt_core.errors import KTError
from kt_core.wire.exchange import Flow

T = TypeVar("T")


class KyotoStore:
    """A store over a logical database; `kt_cache.stores.exchanges` says what each operation does.

    Times are whole seconds. `stats` counts the reads of the whole server, those of its other databases among them.
    `clock` gives seconds since the epoch and should agree with the server's.
    """

    def __init__(self, host: Host, database: int = 0, *, clock: Callable[[], float] = time.time) -> None:
        self._host = host
        self._location = f"{host.address}/{database}"
        self._exchanges = Exchanges(database, clock)

    def get(self, key: bytes) -> Value | None:
        return self._host.run(self._exchanges.get(key))

    def get_with_ttl(self, key: bytes) -> tuple[Value, float] | None:
        return self._host.run(self._exchanges.get_with_ttl(key))

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Value]:
        return self._host.run(self._exchanges.get_many(keys))

    def set(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return self._host.run(self._exchanges.set(key, value, timeout))

    def set_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]:
        return self._host.run(self._exchanges.set_many(items, timeout))

    def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return self._host.run(self._exchanges.add(key, value, timeout))

    def replace(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return self._host.run(self._exchanges.replace(key, value, timeout))

    def delete(self, key: bytes) -> bool:
        return self._host.run(self._exchanges.delete(key))

    def delete_many(self, keys: Iterable[bytes]) -> int:
        return self._host.run(self._exchanges.delete_many(keys))

    def pop(self, key: bytes) -> Value | None:
        return self._host.run(self._exchanges.pop(key))

    def touch(self, key: bytes, timeout: float | None) -> bool:
        return self._host.drive(self._exchanges.touch(key, timeout))

    def touch_many(self, keys: Iterable[bytes], timeout: float | None) -> list[bytes]:
        return self._host.drive(self._exchanges.touch_many(keys, timeout))

    def incr(self, key: bytes, delta: int, *, initial: int | None = None, timeout: float | None = None) -> int | None:
        return self._host.drive(self._exchanges.incr(key, delta, initial, timeout))

    def incr_many(
        self, deltas: Mapping[bytes, int], *, initial: int | None = None, timeout: float | None = None
    ) -> dict[bytes, int | KTError]:
        return self._host.drive(self._exchanges.incr_many(deltas, initial, timeout))

    def compare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None = None
    ) -> bool:
        return self._host.drive(self._exchanges.compare_and_set(key, old, new, timeout))

    def exists(self, key: bytes) -> bool:
        return self._host.run(self._exchanges.exists(key))

    def ttl(self, key: bytes) -> float | None:
        return self._host.run(self._exchanges.ttl(key))

    def ttl_many(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        return self._host.drive(self._exchanges.ttl_many(keys))

    def expire_at(self, key: bytes, when: float) -> bool:
        return self._host.drive(self._exchanges.expire_at(key, when))

    def persist(self, key: bytes) -> bool:
        return self.touch(key, None)

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        return self._host.drive(self._exchanges.keys(prefix))

    def clear(self) -> None:
        self._host.run(self._exchanges.clear())

    def clear_prefix(self, prefix: bytes) -> int:
        return self._host.drive(self._exchanges.clear_prefix(prefix))

    def cull(self, limit: int, divisor: int) -> None:
        self._host.drive(self._exchanges.cull(limit, divisor))

    def vacuum(self) -> None:
        self._host.run(self._exchanges.vacuum())

    def stats(self) -> Stats:
        return self._host.drive(self._exchanges.stats(self._location))

    def ping(self) -> bool:
        return self._host.run(self._exchanges.ping())

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the keys with the prefix; until the end, one connection is this iterator's."""
        found: list[bytes] = []
        return self._iterate(self._exchanges.walk(prefix, found), found)

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """Yield what is known of the records with the prefix; until the end, one connection is this iterator's."""
        found: list[Entry] = []
        return self._iterate(self._exchanges.walk_entries(prefix, found), found)

    def _iterate(self, walk: Flow[None], found: list[T]) -> Iterator[T]:
        with self._host.connection() as connection:
            reply = None
            try:
                while True:
                    reply = connection.run(walk.send(reply))
                    yield from found
                    found.clear()
            except StopIteration:
                pass
            except BaseException:
                connection.close()  # and with it the cursor
                raise

    def close(self) -> None:
        """Close the idle connections."""
        self._host.close()

    # -- awaited -----------------------------------------------------------------------------------------

    async def aget(self, key: bytes) -> Value | None:
        return await self._host.arun(self._exchanges.get(key))

    async def aget_with_ttl(self, key: bytes) -> tuple[Value, float] | None:
        return await self._host.arun(self._exchanges.get_with_ttl(key))

    async def aget_many(self, keys: Iterable[bytes]) -> dict[bytes, Value]:
        return await self._host.arun(self._exchanges.get_many(keys))

    async def aset(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return await self._host.arun(self._exchanges.set(key, value, timeout))

    async def aset_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]:
        return await self._host.arun(self._exchanges.set_many(items, timeout))

    async def aadd(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return await self._host.arun(self._exchanges.add(key, value, timeout))

    async def areplace(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return await self._host.arun(self._exchanges.replace(key, value, timeout))

    async def adelete(self, key: bytes) -> bool:
        return await self._host.arun(self._exchanges.delete(key))

    async def adelete_many(self, keys: Iterable[bytes]) -> int:
        return await self._host.arun(self._exchanges.delete_many(keys))

    async def apop(self, key: bytes) -> Value | None:
        return await self._host.arun(self._exchanges.pop(key))

    async def atouch(self, key: bytes, timeout: float | None) -> bool:
        return await self._host.adrive(self._exchanges.touch(key, timeout))

    async def atouch_many(self, keys: Iterable[bytes], timeout: float | None) -> list[bytes]:
        return await self._host.adrive(self._exchanges.touch_many(keys, timeout))

    async def aincr(
        self, key: bytes, delta: int, *, initial: int | None = None, timeout: float | None = None
    ) -> int | None:
        return await self._host.adrive(self._exchanges.incr(key, delta, initial, timeout))

    async def aincr_many(
        self, deltas: Mapping[bytes, int], *, initial: int | None = None, timeout: float | None = None
    ) -> dict[bytes, int | KTError]:
        return await self._host.adrive(self._exchanges.incr_many(deltas, initial, timeout))

    async def acompare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None = None
    ) -> bool:
        return await self._host.adrive(self._exchanges.compare_and_set(key, old, new, timeout))

    async def aexists(self, key: bytes) -> bool:
        return await self._host.arun(self._exchanges.exists(key))

    async def attl(self, key: bytes) -> float | None:
        return await self._host.arun(self._exchanges.ttl(key))

    async def attl_many(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        return await self._host.adrive(self._exchanges.ttl_many(keys))

    async def aexpire_at(self, key: bytes, when: float) -> bool:
        return await self._host.adrive(self._exchanges.expire_at(key, when))

    async def apersist(self, key: bytes) -> bool:
        return await self.atouch(key, None)

    async def akeys(self, prefix: bytes = b"") -> list[bytes]:
        return await self._host.adrive(self._exchanges.keys(prefix))

    async def aclear(self) -> None:
        await self._host.arun(self._exchanges.clear())

    async def aclear_prefix(self, prefix: bytes) -> int:
        return await self._host.adrive(self._exchanges.clear_prefix(prefix))

    async def acull(self, limit: int, divisor: int) -> None:
        await self._host.adrive(self._exchanges.cull(limit, divisor))

    async def avacuum(self) -> None:
        await self._host.arun(self._exchanges.vacuum())

    async def astats(self) -> Stats:
        return await self._host.adrive(self._exchanges.stats(self._location))

    async def aping(self) -> bool:
        return await self._host.arun(self._exchanges.ping())

    async def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        found: list[bytes] = []
        walk = self._exchanges.walk(prefix, found)
        async with self._host.aconnection() as connection:
            reply = None
            try:
                while True:
                    reply = await connection.run(walk.send(reply))
                    for key in found:
                        yield key
                    found.clear()
            except StopIteration:
                pass
            except BaseException:
                connection.close()
                raise
