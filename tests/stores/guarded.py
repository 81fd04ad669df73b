"""Servers in memory that can be taken down, for stores made of several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

from kt_cache.stores import AsyncStore, Entry
from kt_cache.stores.hosts import Breaker
from kt_cache.stores.wrapper import Member, Wrapper
from kt_core.errors import ConnectionFailed
from tests.stores.twinned import Twinned


class Guarded(Wrapper):
    """A store in memory behind a breaker; it notes the calls that come through, and fails while it is down."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.breaker = Breaker(name, rest=1, attempts=2, dead=60, clock=clock)
        self.records = Twinned(clock)
        self.is_down = False
        self.calls: list[tuple[Any, ...]] = []
        self.closed = 0
        self.member = Member(name, cast(AsyncStore, self), self.breaker)

    def _use(self, method: str, *args: Any) -> None:
        self.calls.append((method, *args))
        if self.is_down:
            raise ConnectionFailed("down")

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        with self.breaker:
            self._use(method, *args)
            return getattr(self.records, method)(*args, **kwargs)

    async def _acall(self, method: str, *args: Any, **kwargs: Any) -> Any:
        with self.breaker:
            self._use(method, *args)
            return await getattr(self.records, f"a{method}")(*args, **kwargs)

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        with self.breaker:
            self._use("iter_keys", prefix)
            yield from self.records.iter_keys(prefix)

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        with self.breaker:
            self._use("iter_entries", prefix)
            yield from self.records.iter_entries(prefix)

    async def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        with self.breaker:
            self._use("iter_keys", prefix)
            async for key in self.records.aiter_keys(prefix):
                yield key

    def close(self) -> None:
        self.closed += 1
