"""The Tokyo Tyrant store: the database of one server, waited for or awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from kt_cache.stores.base import Entry, Keep, Stats, Value
from kt_cache.stores.hosts import Host
from kt_cache.stores.leases import Step, Steps
from kt_cache.stores.tyrant_operations import Operations
from kt_core.errors import KTError
from kt_core.wire.exchange import Op

T = TypeVar("T")


class TyrantStore:
    """A store over a server's database; `kt_cache.stores.tyrant_operations` says what each operation does.

    `timeout` is what an exchange with the server may take, in seconds. `stats` counts every single read that the
    server has answered, whoever asked; those of `get_many` are not among them. `clock` gives seconds since the epoch
    and should agree with those of the other clients.
    """

    def __init__(self, host: Host, timeout: float = 1.0, *, clock: Callable[[], float] = time.time) -> None:
        self._host = host
        self._operations = Operations(str(host.address), timeout, clock)

    def get(self, key: bytes) -> Value | None:
        return self._run(self._operations.get(key))

    def get_with_ttl(self, key: bytes) -> tuple[Value, float] | None:
        return self._run(self._operations.get_with_ttl(key))

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Value]:
        return self._run(self._operations.get_many(keys))

    def set(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return self._do(self._operations.set(key, value, timeout))

    def set_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]:
        return self._do(self._operations.set_many(items, timeout))

    def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return self._do(self._operations.add(key, value, timeout))

    def replace(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return self._do(self._operations.replace(key, value, timeout))

    def delete(self, key: bytes) -> bool:
        return self._do(self._operations.delete(key))

    def delete_many(self, keys: Iterable[bytes]) -> int:
        return self._do(self._operations.delete_many(keys))

    def pop(self, key: bytes) -> Value | None:
        return self._do(self._operations.pop(key))

    def touch(self, key: bytes, timeout: float | None) -> bool:
        return self._do(self._operations.touch(key, timeout))

    def touch_many(self, keys: Iterable[bytes], timeout: float | None) -> list[bytes]:
        return self._do(self._operations.touch_many(keys, timeout))

    def incr(self, key: bytes, delta: int, *, initial: int | None = None, timeout: float | None = None) -> int | None:
        return self._do(self._operations.incr(key, delta, initial, timeout))

    def incr_many(
        self, deltas: Mapping[bytes, int], *, initial: int | None = None, timeout: float | None = None
    ) -> dict[bytes, int | KTError]:
        return self._do(self._operations.incr_many(deltas, initial, timeout))

    def compare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None = None
    ) -> bool:
        return self._do(self._operations.compare_and_set(key, old, new, timeout))

    def exists(self, key: bytes) -> bool:
        return self._run(self._operations.exists(key))

    def ttl(self, key: bytes) -> float | None:
        return self._run(self._operations.ttl(key))

    def ttl_many(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        return self._do(self._operations.ttl_many(keys))

    def expire_at(self, key: bytes, when: float) -> bool:
        return self._do(self._operations.expire_at(key, when))

    def persist(self, key: bytes) -> bool:
        return self.touch(key, None)

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        return self._do(self._operations.keys(prefix))

    def clear(self) -> None:
        self._do(self._operations.clear())

    def clear_prefix(self, prefix: bytes) -> int:
        return self._do(self._operations.clear_prefix(prefix))

    def cull(self, limit: int, divisor: int) -> None:
        self._do(self._operations.cull(limit, divisor))

    def vacuum(self) -> None:
        self._do(self._operations.vacuum())

    def stats(self) -> Stats:
        return self._do(self._operations.stats())

    def ping(self) -> bool:
        return self._run(self._operations.ping())

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the keys with the prefix; a server whose keys have no order sends them all at once."""
        return (entry.key for entry in self.iter_entries(prefix))

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """Yield what is known of the records with the prefix; where keys have an order, the values are sent, too."""
        self._meet()
        found: list[Entry] = []
        walk = self._operations.walk(prefix, found)
        reply = None
        while True:
            try:
                step = walk.send(reply)
            except StopIteration:
                yield from found
                return
            yield from found
            found.clear()
            reply = self._take(step)

    def _run(self, op: Op[T]) -> T:
        self._meet()
        return self._host.run(op)

    def _do(self, steps: Steps[T]) -> T:
        self._meet()
        reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply = self._take(step)

    def _meet(self) -> None:
        if self._operations.is_ordered is None:
            self._host.drive(self._operations.introduce())

    def _take(self, step: Step) -> Any:
        if isinstance(step, Op):
            return self._host.run(step)
        if isinstance(step, float):
            return time.sleep(step)
        return self._host.drive(step)

    def close(self) -> None:
        """Close the idle connections."""
        self._host.close()

    # -- awaited -----------------------------------------------------------------------------------------

    async def aget(self, key: bytes) -> Value | None:
        return await self._arun(self._operations.get(key))

    async def aget_with_ttl(self, key: bytes) -> tuple[Value, float] | None:
        return await self._arun(self._operations.get_with_ttl(key))

    async def aget_many(self, keys: Iterable[bytes]) -> dict[bytes, Value]:
        return await self._arun(self._operations.get_many(keys))

    async def aset(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return await self._ado(self._operations.set(key, value, timeout))

    async def aset_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]:
        return await self._ado(self._operations.set_many(items, timeout))

    async def aadd(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return await self._ado(self._operations.add(key, value, timeout))

    async def areplace(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return await self._ado(self._operations.replace(key, value, timeout))

    async def adelete(self, key: bytes) -> bool:
        return await self._ado(self._operations.delete(key))

    async def adelete_many(self, keys: Iterable[bytes]) -> int:
        return await self._ado(self._operations.delete_many(keys))

    async def apop(self, key: bytes) -> Value | None:
        return await self._ado(self._operations.pop(key))

    async def atouch(self, key: bytes, timeout: float | None) -> bool:
        return await self._ado(self._operations.touch(key, timeout))

    async def atouch_many(self, keys: Iterable[bytes], timeout: float | None) -> list[bytes]:
        return await self._ado(self._operations.touch_many(keys, timeout))

    async def aincr(
        self, key: bytes, delta: int, *, initial: int | None = None, timeout: float | None = None
    ) -> int | None:
        return await self._ado(self._operations.incr(key, delta, initial, timeout))

    async def aincr_many(
        self, deltas: Mapping[bytes, int], *, initial: int | None = None, timeout: float | None = None
    ) -> dict[bytes, int | KTError]:
        return await self._ado(self._operations.incr_many(deltas, initial, timeout))

    async def acompare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None = None
    ) -> bool:
        return await self._ado(self._operations.compare_and_set(key, old, new, timeout))

    async def aexists(self, key: bytes) -> bool:
        return await self._arun(self._operations.exists(key))

    async def attl(self, key: bytes) -> float | None:
        return await self._arun(self._operations.ttl(key))

    async def attl_many(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        return await self._ado(self._operations.ttl_many(keys))

    async def aexpire_at(self, key: bytes, when: float) -> bool:
        return await self._ado(self._operations.expire_at(key, when))

    async def apersist(self, key: bytes) -> bool:
        return await self.atouch(key, None)

    async def akeys(self, prefix: bytes = b"") -> list[bytes]:
        return await self._ado(self._operations.keys(prefix))

    async def aclear(self) -> None:
        await self._ado(self._operations.clear())

    async def aclear_prefix(self, prefix: bytes) -> int:
        return await self._ado(self._operations.clear_prefix(prefix))

    async def acull(self, limit: int, divisor: int) -> None:
        await self._ado(self._operations.cull(limit, divisor))

    async def avacuum(self) -> None:
        await self._ado(self._operations.vacuum())

    async def astats(self) -> Stats:
        return await self._ado(self._operations.stats())

    async def aping(self) -> bool:
        return await self._arun(self._operations.ping())

    async def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        await self._ameet()
        found: list[Entry] = []
        walk = self._operations.walk(prefix, found)
        reply = None
        while True:
            try:
                step = walk.send(reply)
            except StopIteration:
                step = None
            for entry in found:
                yield entry.key
            found.clear()
            if step is None:
                return
            reply = await self._atake(step)

    async def _arun(self, op: Op[T]) -> T:
        await self._ameet()
        return await self._host.arun(op)

    async def _ado(self, steps: Steps[T]) -> T:
        await self._ameet()
        reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply = await self._atake(step)

    async def _ameet(self) -> None:
        if self._operations.is_ordered is None:
            await self._host.adrive(self._operations.introduce())

    async def _atake(self, step: Step) -> Any:
        if isinstance(step, Op):
            return await self._host.arun(step)
        if isinstance(step, float):
            return await asyncio.sleep(step)
        return await self._host.adrive(step)
