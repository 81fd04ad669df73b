"""A store that goes on without its server: whatever cannot be asked has an answer that does no harm.

The answer is of the method's own type and says that nothing was found and nothing was done: so whoever reads
computes anew, `add` gives nobody a lock, and a count that cannot be kept is none. Errors of the caller's making
are raised as ever.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from kt_cache.stores.base import AsyncStore, Entry, Stats
from kt_cache.stores.hosts import is_outage
from kt_cache.stores.wrapper import Wrapper

# What each method answers, given its arguments, while its server is out of order.
NEUTRAL: dict[str, Callable[..., Any]] = {
    "get": lambda key: None,
    "get_with_ttl": lambda key: None,
    "get_many": lambda keys: {},
    "set": lambda key, value, timeout: False,
    "set_many": lambda items, timeout: list(items),
    "add": lambda key, value, timeout: False,
    "replace": lambda key, value, timeout: False,
    "delete": lambda key: False,
    "delete_many": lambda keys: 0,
    "pop": lambda key: None,
    "touch": lambda key, timeout: False,
    "touch_many": lambda keys, timeout: [],
    "incr": lambda key, delta, **made: None,
    "incr_many": lambda deltas, **made: {},
    "compare_and_set": lambda key, old, new, timeout=None: False,
    "exists": lambda key: False,
    "ttl": lambda key: None,
    "ttl_many": lambda keys: {},
    "expire_at": lambda key, when: False,
    "persist": lambda key: False,
    "keys": lambda prefix=b"": [],
    "iter_keys": lambda prefix=b"": iter(()),
    "iter_entries": lambda prefix=b"": iter(()),
    "clear": lambda: None,
    "clear_prefix": lambda prefix: 0,
    "cull": lambda limit, divisor: None,
    "vacuum": lambda: None,
    "stats": lambda: Stats("none", "out of order", 0, 0, 0, 0, 0, None, None, 0),
    "ping": lambda: False,
    "close": lambda: None,
}


class TolerantStore(Wrapper):
    """A store whose server may fail: to its users it is then as good as empty, and keeps nothing."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return getattr(self._store, method)(*args, **kwargs)
        except Exception as error:
            if not is_outage(error):
                raise
            return NEUTRAL[method](*args, **kwargs)

    async def _acall(self, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return await getattr(self._store, f"a{method}")(*args, **kwargs)
        except Exception as error:
            if not is_outage(error):
                raise
            return NEUTRAL[method](*args, **kwargs)

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the keys with the prefix, as far as the server gives them."""
        return self._iterate("iter_keys", prefix)

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """Yield what is known of the records with the prefix, as far as the server gives them."""
        return self._iterate("iter_entries", prefix)

    def _iterate(self, method: str, prefix: bytes) -> Iterator[Any]:
        try:
            yield from getattr(self._store, method)(prefix)
        except Exception as error:
            if not is_outage(error):
                raise
            yield from NEUTRAL[method](prefix)

    async def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        try:
            async for key in self._store.aiter_keys(prefix):
                yield key
        except Exception as error:
            if not is_outage(error):
                raise

    def close(self) -> None:
        """Close the store."""
        self._store.close()
