"""A Store made of an AsyncStore's awaited methods, so that the contract tests those."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from kt_cache.stores import AsyncStore, Entry


class Awaited:
    """Runs each method's awaited twin to its end, all in one event loop."""

    def __init__(self, store: AsyncStore, runner: asyncio.Runner) -> None:
        self._store = store
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        twin = getattr(self._store, f"a{name}")

        def method(*args: Any, **kwargs: Any) -> Any:
            return self._runner.run(twin(*args, **kwargs))

        return method

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield what the awaited iterator yields; one that is left is closed in the loop."""
        keys = self._store.aiter_keys(prefix)
        try:
            while True:
                yield self._runner.run(anext(keys))
        except StopAsyncIteration:
            pass
        finally:
            self._runner.run(keys.aclose())

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """As the store: there is no awaited one."""
        return self._store.iter_entries(prefix)

    def close(self) -> None:
        """As the store: nothing to await."""
        self._store.close()
