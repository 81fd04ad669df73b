"""Backends whose synchronous methods run the asynchronous ones, so that a synchronous suite tests those."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from asgiref.sync import async_to_sync
from django.core.cache.backends.locmem import LocMemCache

from kt_cache.django import KTCache

METHODS = (
    "get",
    "set",
    "add",
    "touch",
    "delete",
    "clear",
    "has_key",
    "incr",
    "decr",
    "get_many",
    "set_many",
    "delete_many",
    "get_or_set",
    "incr_version",
    "decr_version",
)

# A coroutine may end in a synchronous method of the same object, as those of Django's BaseCache do: from
# there on the methods are the backend's own. asgiref carries the context along from thread to thread.
_in_coroutine: ContextVar[bool] = ContextVar("_in_coroutine", default=False)


class AsyncDriven:
    """Mixin that sends every synchronous method of the backend after it through its coroutine."""

    def __contains__(self, key: str) -> bool:
        return self.has_key(key)


def _driven(name: str) -> Any:
    def method(self: AsyncDriven, *args: Any, **kwargs: Any) -> Any:
        if _in_coroutine.get():
            return getattr(super(AsyncDriven, self), name)(*args, **kwargs)
        token = _in_coroutine.set(True)
        try:
            return async_to_sync(getattr(self, f"a{name}"))(*args, **kwargs)
        finally:
            _in_coroutine.reset(token)

    return method


for _name in METHODS:
    setattr(AsyncDriven, _name, _driven(_name))


class AsyncTwin(AsyncDriven, KTCache):
    """Our backend by way of its coroutines."""


class ForgetfulTwin(AsyncDriven, LocMemCache):
    """A backend of which a coroutine alone is wrong: a suite that accepts it does not test coroutines."""

    async def aget(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return default
