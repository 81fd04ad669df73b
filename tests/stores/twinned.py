"""A store in memory that can be awaited, for what is made of stores and for what runs on one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from kt_cache.stores.memory import MemoryStore
from kt_cache.stores.wrapper import METHODS


class Twinned(MemoryStore):
    """The reference store, each method with its awaited twin."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name[0] != "a" or name[1:] not in METHODS:
            raise AttributeError(name)
        method = getattr(self, name[1:])

        async def twin(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return method(*args, **kwargs)

        return twin

    async def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        """Yield the keys with the prefix."""
        for key in self.keys(prefix):
            await asyncio.sleep(0)
            yield key
