"""Stores made of stores: all methods of the contract go down one path, so that none can be forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from typing import Any, NamedTuple

from kt_cache.stores.base import AsyncStore, Entry, Store
from kt_cache.stores.hosts import Breaker

# The methods that have an awaited twin which is awaited itself.
METHODS = tuple(
    name for name in vars(Store) if not name.startswith("_") and name not in ("iter_keys", "iter_entries", "close")
)


class Member(NamedTuple):
    """One of several stores: its server's name, and what tells whether that is alive."""

    name: str
    store: AsyncStore
    breaker: Breaker


class Wrapper:
    """A store of which every method is `_call`, and every awaited twin `_acall`, with the method's name."""

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def _acall(self, method: str, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        raise NotImplementedError

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        raise NotImplementedError

    def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def _waiting(name: str) -> Callable[..., Any]:
    @wraps(getattr(Store, name))
    def method(self: Wrapper, *args: Any, **kwargs: Any) -> Any:
        return self._call(name, *args, **kwargs)

    return method


def _awaited(name: str) -> Callable[..., Any]:
    @wraps(getattr(AsyncStore, f"a{name}"))
    async def method(self: Wrapper, *args: Any, **kwargs: Any) -> Any:
        return await self._acall(name, *args, **kwargs)

    return method


for _name in METHODS:
    setattr(Wrapper, _name, _waiting(_name))
    setattr(Wrapper, f"a{_name}", _awaited(_name))
