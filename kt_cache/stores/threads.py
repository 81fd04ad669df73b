"""Stores whose client can only be waited for: each awaited call takes a thread, and the event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any

from kt_cache.stores.base import AsyncStore
from kt_cache.stores.wrapper import METHODS


class InThreads:
    """Gives every method its awaited twin: one hop to a thread for the whole of it, however many records."""


def _awaited(name: str) -> Callable[..., Any]:
    @wraps(getattr(AsyncStore, f"a{name}"))
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(getattr(self, name), *args, **kwargs)

    return method


for _name in METHODS:
    setattr(InThreads, f"a{_name}", _awaited(_name))
