"""A store that reads from the copy on this machine, and writes to the master.

A value is read from the copy if three things hold, each looked up in memory:

* the copy is whole, or has the record: `EPOCH` is odd, before the read and after it;
* it has all that the master had acknowledged `max_lag` seconds ago (`REACHED`);
* it has what this process has written under the key: that was before `REACHED`, too.

Else the master is asked. If that is out of order, the copy goes on answering for `outage` seconds after `REACHED`,
but never with what this process knows to be out of date. Everything that is no read is the master's.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from kt_cache.stores.base import AsyncStore, Entry, Stats, Value
from kt_cache.stores.forms import to_value
from kt_cache.stores.hosts import is_outage
from kt_cache.stores.replica.words import EPOCH, REACHED, WANTED, is_whole
from kt_cache.stores.replica.written import Written
from kt_cache.stores.wrapper import Wrapper
from kt_core.database import NEVER, Database, Environment

_COUNTER_SIZE: Final = 8
_NANOSECONDS: Final = 10**9


class _Unknown(Exception):
    """The copy cannot tell."""


class ReplicaStore(Wrapper):
    """A store over a master's, and a copy that a follower keeps in an environment.

    `max_lag` and `outage` are seconds. `follow` is called where the copy is too old, and sees to it that somebody
    follows the master. `clock` gives nanoseconds, and is the follower's.
    """

    def __init__(
        self,
        master: AsyncStore,
        environment: Environment,
        *,
        max_lag: float,
        outage: float,
        follow: Callable[[], None],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._master = master
        self._environment = environment
        self._database = Database(environment)
        self._find = self._database.find
        self._max_lag = int(max_lag * _NANOSECONDS)
        self._outage = int(outage * _NANOSECONDS)
        self._follow = follow
        self._clock = clock
        self._written = Written(clock)

    @property
    def lag(self) -> float:
        """Seconds by which the copy may be behind the master; infinity while there is none."""
        words = self._environment.words
        return (self._clock() - words[REACHED]) / _NANOSECONDS if words[EPOCH] & 1 else math.inf

    # -- the hot path ------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Value | None:
        """Return the value, or None."""
        words, written = self._environment.words, self._written
        epoch, reached = words[EPOCH], words[REACHED]
        if epoch & 1 and self._clock() - reached < self._max_lag and written.times.get(key, written.every) < reached:
            found = self._find(key)
            if words[EPOCH] == epoch:
                if found is not None:
                    value = found[0]
                    return value if len(value) != _COUNTER_SIZE else int.from_bytes(value, "big", signed=True)
                if is_whole(words):
                    return None
        return self._ask("get", key)  # type: ignore[no-any-return]

    async def aget(self, key: bytes) -> Value | None:
        try:
            return self._look("get", key, self._max_lag)  # type: ignore[no-any-return]
        except _Unknown:
            return await self._aask("get", key)  # type: ignore[no-any-return]

    # -- everything else ---------------------------------------------------------------------------------

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if method in READS:
            (asked,) = _repeatable(args)
            try:
                return self._look(method, asked, self._max_lag)
            except _Unknown:
                return self._ask(method, asked)
        if method not in WRITES:
            return getattr(self._master, method)(*args, **kwargs)
        args = _repeatable(args)
        try:
            return getattr(self._master, method)(*args, **kwargs)
        finally:
            self._note(method, args)

    async def _acall(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if method in READS:
            (asked,) = _repeatable(args)
            try:
                return self._look(method, asked, self._max_lag)
            except _Unknown:
                return await self._aask(method, asked)
        if method not in WRITES:
            return await getattr(self._master, f"a{method}")(*args, **kwargs)
        args = _repeatable(args)
        try:
            return await getattr(self._master, f"a{method}")(*args, **kwargs)
        finally:
            self._note(method, args)

    def _ask(self, method: str, asked: Any) -> Any:
        """Ask the master, or if that is out of order the copy for what it may still tell."""
        self._tend()
        try:
            return getattr(self._master, method)(asked)
        except Exception as error:
            if not is_outage(error):
                raise
            try:
                return self._look(method, asked, self._outage)
            except _Unknown:
                raise error from None

    async def _aask(self, method: str, asked: Any) -> Any:
        self._tend()
        try:
            return await getattr(self._master, f"a{method}")(asked)
        except Exception as error:
            if not is_outage(error):
                raise
            try:
                return self._look(method, asked, self._outage)
            except _Unknown:
                raise error from None

    def _tend(self) -> None:
        """See to it that the copy may be read again soon."""
        words = self._environment.words
        words[WANTED] = 1
        if not words[EPOCH] & 1 or self._clock() - words[REACHED] >= self._max_lag:
            self._follow()

    def _note(self, method: str, args: tuple[Any, ...]) -> None:
        """Note what was written, or may have been if that failed, and ask for a marker behind it."""
        words = self._environment.words
        self._written.note(WRITES[method](args), words[REACHED])
        words[WANTED] = 1

    def _look(self, method: str, asked: Any, oldest: int) -> Any:
        """Read the copy, if it is no older than so many nanoseconds."""
        words, written = self._environment.words, self._written
        epoch, reached = words[EPOCH], words[REACHED]
        if not epoch & 1 or self._clock() - reached >= oldest:
            raise _Unknown
        times, every = written.times, written.every
        if any(times.get(key, every) >= reached for key in ([asked] if isinstance(asked, bytes) else asked)):
            raise _Unknown
        answer, complete = READS[method](self._database, asked)
        if words[EPOCH] != epoch or not (complete or is_whole(words)):
            raise _Unknown
        return answer

    def stats(self) -> Stats:
        """Return the figures of the master, and how far the copy may be behind it."""
        return self._with_lag(self._master.stats())

    async def astats(self) -> Stats:
        return self._with_lag(await self._master.astats())

    def _with_lag(self, stats: Stats) -> Stats:
        lag = self.lag
        return replace(stats, lag=lag if lag < math.inf else None)

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the keys with the prefix, as the master has them."""
        return self._master.iter_keys(prefix)

    def iter_entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """Yield what is known of the records with the prefix, as the master has them."""
        return self._master.iter_entries(prefix)

    def aiter_keys(self, prefix: bytes = b"") -> AsyncIterator[bytes]:
        return self._master.aiter_keys(prefix)

    def close(self) -> None:
        """Close the master's connections; the copy belongs to the process, and other threads use it."""
        self._master.close()


def _repeatable(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments that can be looked at twice."""
    if not args or isinstance(args[0], bytes | Mapping | list) or not isinstance(args[0], Iterable):
        return args
    return (list(args[0]), *args[1:])


# -- what a copy can answer: the answer, and whether it found all that was asked for ----------------------------


def _get(database: Database, key: bytes) -> tuple[Value | None, bool]:
    found = database.find(key)
    return (None, False) if found is None else (to_value(found[0]), True)


def _get_with_ttl(database: Database, key: bytes) -> tuple[tuple[Value, float] | None, bool]:
    found = database.find(key)
    return (None, False) if found is None else ((to_value(found[0]), _left(database, found[1])), True)


def _get_many(database: Database, keys: Collection[bytes]) -> tuple[dict[bytes, Value], bool]:
    found = database.get_bulk(keys)
    return {key: to_value(value) for key, value in found.items()}, len(found) == len(set(keys))


def _exists(database: Database, key: bytes) -> tuple[bool, bool]:
    found = database.check(key) is not None
    return found, found


def _ttl(database: Database, key: bytes) -> tuple[float | None, bool]:
    found = database.check(key)
    return (None, False) if found is None else (_left(database, found[1]), True)


def _ttl_many(database: Database, keys: Collection[bytes]) -> tuple[dict[bytes, float], bool]:
    every = {key: _ttl(database, key)[0] for key in keys}
    found = {key: left for key, left in every.items() if left is not None}
    return found, len(found) == len(every)


def _left(database: Database, expiry: int) -> float:
    """Return whole seconds, as the master tells them: 1 in the last two of them."""
    if expiry == NEVER:
        return math.inf
    return float(max(math.ceil(expiry / 1000 - database.environment.clock()) - 1, 1))


READS: Final[dict[str, Callable[[Database, Any], tuple[Any, bool]]]] = {
    "get": _get,
    "get_with_ttl": _get_with_ttl,
    "get_many": _get_many,
    "exists": _exists,
    "ttl": _ttl,
    "ttl_many": _ttl_many,
}


def _one(args: tuple[Any, ...]) -> Iterable[bytes] | None:
    return (args[0],)


def _many(args: tuple[Any, ...]) -> Iterable[bytes] | None:
    keys: Iterable[bytes] = args[0]
    return keys


def _every(args: tuple[Any, ...]) -> Iterable[bytes] | None:
    return None


# The methods that change something, and which of their arguments says what; the others are the master's own affair.
WRITES: Final[dict[str, Callable[[tuple[Any, ...]], Iterable[bytes] | None]]] = {
    **dict.fromkeys(("set", "add", "replace", "delete", "pop", "touch", "incr", "compare_and_set"), _one),
    **dict.fromkeys(("expire_at", "persist"), _one),
    **dict.fromkeys(("set_many", "delete_many", "touch_many", "incr_many"), _many),
    **dict.fromkeys(("clear", "clear_prefix", "cull"), _every),
}
