"""A store over several servers, each of which keeps the keys that fall to it.

By rendezvous hashing: a key belongs to the server that scores highest with it, so that a server more or less moves
the keys of that server alone. A dead server's keys belong to the next best until it is tried again; what it then
still has may be out of date. Without failover they stay where they are, and fail with their server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from hashlib import blake2b
from itertools import chain
from typing import Any, TypeAlias

from kt_cache.stores.base import AsyncStore, Entry, Stats
from kt_cache.stores.wrapper import Member, Wrapper
from kt_core.errors import KTError

# A hash that has begun with the name of a member, and the member.
_Ranked: TypeAlias = "tuple[blake2b, Member]"


class RoutedStore(Wrapper):
    """A store whose records are spread over several.

    What concerns many records is asked of all the stores concerned, one after the other or, awaited, at once; if any
    of them fails, the others have done their part before the error is raised.
    """

    def __init__(self, members: Sequence[Member], *, failover: bool = True) -> None:
        self._members = [(blake2b(member.name.encode() + b"\0", digest_size=8), member) for member in members]
        self._failover = failover

    def store_of(self, key: bytes) -> AsyncStore:
        """Return the store that a key belongs to."""
        return _best(self._alive(), key)

    def _alive(self) -> list[_Ranked]:
        """Return the members whose servers are not dead; all of them if all are, or without failover."""
        if not self._failover:
            return self._members
        return [ranked for ranked in self._members if not ranked[1].breaker.is_dead] or self._members

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if method not in _JOINS:
            return getattr(self.store_of(args[0]), method)(*args, **kwargs)
        answers: list[Any] = []
        for store, arguments in self._spread(method, args):
            try:
                answers.append(getattr(store, method)(*arguments, **kwargs))
            except KTError as error:
                answers.append(error)
        return _join(method, answers)

    async def _acall(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if method not in _JOINS:
            return await getattr(self.store_of(args[0]), f"a{method}")(*args, **kwargs)
        calls = [getattr(store, f"a{method}")(*arguments, **kwargs) for store, arguments in self._spread(method, args)]
        return _join(method, await asyncio.gather(*calls, return_exceptions=True))

    def _spread(self, method: str, args: tuple[Any, ...]) -> Iterable[tuple[AsyncStore, tuple[Any, ...]]]:
        """Return the stores to be asked, with the arguments for each."""
        stores = [member.store for _, member in self._members]
        if method == "cull":
            limit, divisor = args
            return [(store, (-(-limit // len(stores)), divisor)) for store in stores]
        if method not in _SPLIT:
            return [(store, args) for store in stores]
        records, *others = args
        alive = self._alive()
        parts: dict[AsyncStore, list[bytes]] = {}
        for key in records:
            parts.setdefault(_best(alive, key), []).append(key)
        if isinstance(records, Mapping):
            return [(store, ({key: records[key] for key in keys}, *others)) for store, keys in parts.items()]
        return [(store, (keys, *others)) for store, keys in parts.items()]

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the keys with the prefix, store by store."""
        return chain.from_iterable(member.store.iter_keys(prefix) for _, member in self._members)

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """Yield what is known of the records with the prefix, store by store."""
        return chain.from_iterable(member.store.iter_entries(prefix) for _, member in self._members)

    async def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        for _, member in self._members:
            async for key in member.store.aiter_keys(prefix):
                yield key

    def close(self) -> None:
        """Close all stores."""
        for _, member in self._members:
            member.store.close()


def _best(ranked: list[_Ranked], key: bytes) -> AsyncStore:
    best, highest = ranked[0][1], b""
    for named, member in ranked:
        hashed = named.copy()
        hashed.update(key)
        score = hashed.digest()
        if score > highest:
            best, highest = member, score
    return best.store


def _merge(parts: list[dict[bytes, Any]]) -> dict[bytes, Any]:
    return {key: value for part in parts for key, value in part.items()}


def _chain(parts: list[list[bytes]]) -> list[bytes]:
    return list(chain.from_iterable(parts))


def _total(all_stats: list[Stats]) -> Stats:
    """Return the figures of several stores as those of one; what one of them does not know is unknown."""
    figures: dict[str, Any] = {}
    for name in (field.name for field in fields(Stats)):
        each = [getattr(stats, name) for stats in all_stats]
        if isinstance(each[0], str):
            figures[name] = ", ".join(dict.fromkeys(each))
        else:
            figures[name] = None if None in each else sum(each)
    figures["lag"] = max((stats.lag for stats in all_stats if stats.lag is not None), default=None)
    if not all(stats.max_size for stats in all_stats):
        figures["max_size"] = 0
    return Stats(**figures)


# The methods whose first argument is split by key, and how the answers of all stores that were asked become one.
_SPLIT = {"get_many", "set_many", "delete_many", "touch_many", "incr_many", "ttl_many"}
_JOINS: dict[str, Callable[[list[Any]], Any]] = {
    "get_many": _merge,
    "set_many": _chain,
    "delete_many": sum,
    "touch_many": _chain,
    "incr_many": _merge,
    "ttl_many": _merge,
    "keys": _chain,
    "clear": lambda done: None,
    "clear_prefix": sum,
    "cull": lambda done: None,
    "vacuum": lambda done: None,
    "stats": _total,
    "ping": all,
}


def _join(method: str, answers: list[Any]) -> Any:
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return _JOINS[method](answers)
