"""Count, and keep the last values, across processes: `add` and `incr` give every caller its own number."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.core.cache import cache


def count(key: str) -> int:
    """Count one up, from 1 on; no two calls of any process get the same number."""
    while not cache.add(key, 1, timeout=None):
        with suppress(ValueError):  # evicted or cleared since add() saw it: begin again
            return cache.incr(key)
    return 1


class Ring:
    """The last values that any number of processes appended, each in the slot of its number.

    No writer has to read first, so none undoes another's work; a value that was evicted leaves a gap in the
    numbers.
    """

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._known: dict[int, Any] = {}
        self._last = 0

    def append(self, value: Any) -> None:
        number = count(f"{self._name}:last")
        cache.set(f"{self._name}:{number % self._size}", (number, value), timeout=None)

    def read(self) -> dict[int, Any]:
        """Return the values by their numbers, oldest first.

        Asks the cache only for those that this process has not seen: a chart of the cache's hits should not
        be made of its own.
        """
        last = cache.get(f"{self._name}:last", 0)
        known = self._known if last >= self._last else {}  # else the cache was cleared
        wanted = range(max(1, last - self._size + 1), last + 1)
        new = [f"{self._name}:{number % self._size}" for number in wanted if number not in known]
        known = known | dict(cache.get_many(new).values())
        self._known = {number: known[number] for number in wanted if number in known}
        self._last = last
        return self._known
