"""A store whose reads are shared out between copies of its server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import chain
from random import Random
from typing import Any

from kt_cache.stores.base import AsyncStore, Entry
from kt_cache.stores.hosts import is_outage
from kt_cache.stores.wrapper import Member, Wrapper

_READS = {"get", "get_with_ttl", "get_many", "exists", "ttl", "ttl_many", "keys"}
_SURE = {"get", "get_with_ttl"}  # of which the next is the primary's after a lost comparison
_MOST_DOUBTS = 1000


class ReplicatedStore(Wrapper):
    """A store whose reads go to a random replica that answers, or else to the primary; all else is the primary's.

    A replica follows with a delay. So whoever has lost a `compare_and_set`, or got no answer to it, reads that key
    from the primary next: with what the replica still has, a repetition could go on losing.
    """

    def __init__(self, primary: AsyncStore, replicas: Sequence[Member], *, random: Random | None = None) -> None:
        self._primary = primary
        self._replicas = replicas
        self._random = random or Random()  # noqa: S311 - no secret
        self._doubts: set[bytes] = set()

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        args = _repeatable(method, args)
        for replica in self._choose(method, args):
            try:
                return getattr(replica, method)(*args, **kwargs)
            except Exception as error:
                if not is_outage(error):
                    raise
        self._doubt(method, args)
        return self._note(method, args, getattr(self._primary, method)(*args, **kwargs))

    async def _acall(self, method: str, *args: Any, **kwargs: Any) -> Any:
        args = _repeatable(method, args)
        for replica in self._choose(method, args):
            try:
                return await getattr(replica, f"a{method}")(*args, **kwargs)
            except Exception as error:
                if not is_outage(error):
                    raise
        self._doubt(method, args)
        return self._note(method, args, await getattr(self._primary, f"a{method}")(*args, **kwargs))

    def _choose(self, method: str, args: tuple[Any, ...]) -> list[AsyncStore]:
        """Return the replicas to be asked, one after the other until one answers."""
        if method not in _READS or (method in _SURE and args[0] in self._doubts):
            return []
        alive = [member.store for member in self._replicas if not member.breaker.is_dead]
        self._random.shuffle(alive)
        return alive

    def _doubt(self, method: str, args: tuple[Any, ...]) -> None:
        if method == "compare_and_set":
            if len(self._doubts) >= _MOST_DOUBTS:
                self._doubts.clear()
            self._doubts.add(args[0])

    def _note(self, method: str, args: tuple[Any, ...], answer: Any) -> Any:
        if method in _SURE or (method == "compare_and_set" and answer):
            self._doubts.discard(args[0])
        return answer

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the keys with the prefix; from another store only if the first one gives none."""
        return self._iterate("iter_keys", prefix)

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """Yield what is known of the records with the prefix; from another store only if the first one gives none."""
        return self._iterate("iter_entries", prefix)

    def _iterate(self, method: str, prefix: bytes) -> Iterator[Any]:
        for replica in self._choose("keys", ()):
            found = getattr(replica, method)(prefix)
            try:
                first = next(found, None)
            except Exception as error:
                if not is_outage(error):
                    raise
            else:
                return found if first is None else chain([first], found)
        return getattr(self._primary, method)(prefix)  # type: ignore[no-any-return]

    async def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        for store in [*self._choose("keys", ()), self._primary]:
            begun = False
            try:
                async for key in store.aiter_keys(prefix):
                    begun = True
                    yield key
                return
            except Exception as error:
                if begun or store is self._primary or not is_outage(error):
                    raise

    def close(self) -> None:
        """Close all stores."""
        for store in (self._primary, *(member.store for member in self._replicas)):
            store.close()


def _repeatable(method: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments that several stores can be given, one after the other."""
    return (list(args[0]),) if method in ("get_many", "ttl_many") else args
