"""A store whose server is out of order, for what is made of stores and for what runs on one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from kt_cache.stores import Entry
from kt_cache.stores.wrapper import METHODS


class Failing:
    """A store whose every method fails in the same way; its iterators do so after the first key."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def method(*args: Any, **kwargs: Any) -> Any:
            raise self._error

        async def twin(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            raise self._error

        return twin if name[0] == "a" and name[1:] in METHODS else method

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        yield b"first"
        raise self._error

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        yield Entry(b"first", 1, 1.0, None)
        raise self._error

    async def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        yield b"first"
        raise self._error

    def close(self) -> None:
        """Closing never fails."""
