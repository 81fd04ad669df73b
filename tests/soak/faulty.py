"""Stores with a deliberate fault: the proof that the soak would find it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kt_cache.stores import AsyncStore, Value

_SELDOM: Final = 1000


class Forgetting:
    """A store that drops one of a thousand writes that it acknowledges."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def set(self, key: bytes, value: Value, timeout: float | None) -> bool:
        return self._drops() or self._store.set(key, value, timeout)

    def set_many(self, items: Mapping[bytes, Value], timeout: float | None) -> list[bytes]:
        return self._store.set_many({key: value for key, value in items.items() if not self._drops()}, timeout)

    def _drops(self) -> bool:
        self._writes += 1
        return self._writes % _SELDOM == 0


class Confusing:
    """A store that answers one of a thousand reads with what it read before, whatever the key."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._reads = 0
        self._before: Value | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get(self, key: bytes) -> Value | None:
        self._reads += 1
        value = self._store.get(key)
        if self._reads % _SELDOM == 0 and self._before is not None:
            return self._before
        if isinstance(value, bytes):
            self._before = value
        return value


FAULTY: Final[dict[str, Callable[[Any], Any]]] = {"": lambda store: store, "forgets": Forgetting, "confuses": Confusing}
