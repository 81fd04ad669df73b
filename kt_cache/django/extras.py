"""What caches can do beyond Django's contract, by the names that users of other backends know.

Each operation has an awaited twin with an ``a`` before its name. Times in seconds, but those with ``p`` before their
name in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from kt_cache import changes
from kt_cache.django.contract import Contract
from kt_cache.flows import Flow, call
from kt_cache.once import Once, Policy
from kt_cache.reading import Found
from kt_cache.stores import KEEP, Keep, Stats, Value
from kt_cache.terms import Terms, delete_tags
from kt_core.errors import KTError

if TYPE_CHECKING:
    from kt_cache.limits import RateLimiter
    from kt_cache.locks import AsyncLock, Lock

_Keys = Iterable[Any]
_MISSING = object()


class Extras(Contract):
    """Django's contract, and more."""

    # -- time to live ------------------------------------------------------------------------------------

    def ttl(self, key: Any, version: int | None = None) -> int | None:
        """Return the seconds a value has left, 1 at least: None if it never expires, 0 if there is none."""
        return _whole(self._store.ttl(self._key(key, version)))

    async def attl(self, key: Any, version: int | None = None) -> int | None:
        return _whole(await self._store.attl(self._key(key, version)))

    def pttl(self, key: Any, version: int | None = None) -> int | None:
        """As `ttl`, in milliseconds."""
        return _whole(self._store.ttl(self._key(key, version)), 1000)

    async def apttl(self, key: Any, version: int | None = None) -> int | None:
        return _whole(await self._store.attl(self._key(key, version)), 1000)

    def ttl_many(self, keys: _Keys, version: int | None = None) -> dict[Any, int | None]:
        """Return the seconds that those of the values have left that there are, None for what never expires."""
        made = self._keys(keys, version)
        return _whole_of(made, self._store.ttl_many(made.values()))

    async def attl_many(self, keys: _Keys, version: int | None = None) -> dict[Any, int | None]:
        made = self._keys(keys, version)
        return _whole_of(made, await self._store.attl_many(made.values()))

    def touch_many(self, keys: _Keys, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[Any]:
        """Give many values another timeout; return the keys of those that there were."""
        made = self._keys(keys, version)
        touched = set(self._store.touch_many(made.values(), self.get_backend_timeout(timeout)))
        return [key for key, stored in made.items() if stored in touched]

    async def atouch_many(self, keys: _Keys, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[Any]:
        made = self._keys(keys, version)
        touched = set(await self._store.atouch_many(made.values(), self.get_backend_timeout(timeout)))
        return [key for key, stored in made.items() if stored in touched]

    def persist(self, key: Any, version: int | None = None) -> bool:
        """Let a value never expire; tell whether there was one."""
        return self._store.persist(self._key(key, version))

    async def apersist(self, key: Any, version: int | None = None) -> bool:
        return await self._store.apersist(self._key(key, version))

    def expire(self, key: Any, timeout: Any, version: int | None = None) -> bool:
        """Give a value another timeout; tell whether there was one. The same as `touch`."""
        return self.touch(key, timeout, version)

    async def aexpire(self, key: Any, timeout: Any, version: int | None = None) -> bool:
        return await self.atouch(key, timeout, version)

    def pexpire(self, key: Any, timeout: float, version: int | None = None) -> bool:
        """As `expire`, in milliseconds."""
        return self.touch(key, timeout / 1000, version)

    async def apexpire(self, key: Any, timeout: float, version: int | None = None) -> bool:
        return await self.atouch(key, timeout / 1000, version)

    def expire_at(self, key: Any, when: datetime | float, version: int | None = None) -> bool:
        """Let a value expire at a time, a datetime or seconds since the epoch; tell whether there was one."""
        return self._store.expire_at(self._key(key, version), _moment(when))

    async def aexpire_at(self, key: Any, when: datetime | float, version: int | None = None) -> bool:
        return await self._store.aexpire_at(self._key(key, version), _moment(when))

    def pexpire_at(self, key: Any, when: datetime | float, version: int | None = None) -> bool:
        """As `expire_at`, in milliseconds since the epoch."""
        return self._store.expire_at(self._key(key, version), _moment(when, 1000))

    async def apexpire_at(self, key: Any, when: datetime | float, version: int | None = None) -> bool:
        return await self._store.aexpire_at(self._key(key, version), _moment(when, 1000))

    # -- by what is there --------------------------------------------------------------------------------

    def pop(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Delete a value and return it, or the default."""
        return self._drive(self._pop(self._key(key, version), default))

    async def apop(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return await self._adrive(self._pop(self._key(key, version), default))

    def _pop(self, made: bytes, default: Any) -> Flow[Any]:
        stored: Value | None = yield call("pop", made)
        if stored is None:
            return default
        found = yield from self._values.open(made, stored)
        return found.value if found is not None and found.is_fresh else default

    def compare_and_set(self, key: Any, old: Any, new: Any, timeout: Any = KEEP, version: int | None = None) -> bool:
        """Put a value in the place of one that equals `old`, and tell whether that was there; its timeout stays."""
        return self._drive(self._compare(self._key(key, version), old, new, timeout))

    async def acompare_and_set(
        self, key: Any, old: Any, new: Any, timeout: Any = KEEP, version: int | None = None
    ) -> bool:
        return await self._adrive(self._compare(self._key(key, version), old, new, timeout))

    def _compare(self, made: bytes, old: Any, new: Any, timeout: Any) -> Flow[bool]:
        seconds = timeout if isinstance(timeout, Keep) else self.get_backend_timeout(timeout)
        return changes.compare_and_set(self._values, made, old, new, seconds)

    def incr_many(
        self,
        deltas: Mapping[Any, int] | _Keys,
        delta: int = 1,
        version: int | None = None,
        *,
        initial: int | None = None,
        timeout: Any = DEFAULT_TIMEOUT,
    ) -> dict[Any, Any]:
        """Add to many numbers, each by its own delta or all by the same; return the sums, without what there is not.

        With `initial` those are made, too, with the timeout. Numbers that are there keep theirs.
        """
        return self._drive(self._incr_many(deltas, delta, version, initial, timeout))

    async def aincr_many(
        self,
        deltas: Mapping[Any, int] | _Keys,
        delta: int = 1,
        version: int | None = None,
        *,
        initial: int | None = None,
        timeout: Any = DEFAULT_TIMEOUT,
    ) -> dict[Any, Any]:
        return await self._adrive(self._incr_many(deltas, delta, version, initial, timeout))

    def _incr_many(
        self, deltas: Mapping[Any, int] | _Keys, delta: int, version: int | None, initial: int | None, timeout: Any
    ) -> Flow[dict[Any, Any]]:
        given = deltas if isinstance(deltas, Mapping) else dict.fromkeys(deltas, delta)
        made = self._keys(given, version)
        wanted = {made[key]: each for key, each in given.items()}
        seconds = self.get_backend_timeout(timeout)
        sums: dict[bytes, int | KTError] = yield call("incr_many", wanted, initial=initial, timeout=seconds)
        results: dict[Any, Any] = {}
        for key, stored in made.items():
            total: Any = sums.get(stored)
            if isinstance(total, KTError):
                total = yield from changes.increment(self._values, stored, given[key], initial, seconds)
            elif total is None and initial is not None:
                total = initial + given[key]  # in an outage, when all begins anew
            if total is not None:
                results[key] = total
        return results

    # -- computed once -----------------------------------------------------------------------------------

    def get_or_set(
        self,
        key: Any,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
        wait: float = 5.0,
        stale: float = 0.0,
        early: float = 0.0,
    ) -> Any:
        """Return the value, or store the default and return that; a callable one is called.

        However many processes ask at once, one calls it. The others wait for it, up to `wait` seconds before they call
        it themselves; 0 lets each call it. With `stale`, an old value is given to them for so many seconds after its
        timeout, and to everybody if the call fails (`get` and `get_many` do not see it then; `add`, `has_key` and `ttl`
        do). With `early`, about the seconds that the call takes, it is called by one of those who ask shortly before
        the value is over.
        """
        if not callable(default) and not tags:
            return super().get_or_set(key, default, timeout, version)
        found = _MISSING if early else self.get(key, _MISSING, version)
        if found is not _MISSING:
            return found
        return self._drive(self._once(key, default, timeout, version, tags, Policy(wait, stale, early)))

    async def aget_or_set(
        self,
        key: Any,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
        wait: float = 5.0,
        stale: float = 0.0,
        early: float = 0.0,
    ) -> Any:
        """As `get_or_set`; what the default returns is awaited if it can be."""
        if not callable(default) and not tags:
            return await super().aget_or_set(key, default, timeout, version)
        found = _MISSING if early else await self.aget(key, _MISSING, version)
        if found is not _MISSING:
            return found
        return await self._adrive(self._once(key, default, timeout, version, tags, Policy(wait, stale, early)))

    def _once(
        self, key: Any, default: Any, timeout: Any, version: int | None, tags: Iterable[str], policy: Policy
    ) -> Flow[Any]:
        made = self._key(key, version)
        seconds = self.get_backend_timeout(timeout)
        # A tag that is deleted while the value is computed makes that one miss, too.
        terms = (yield from self._terms(tags, version, None)) if tags else Terms()

        def store(value: Any, found: Found | None) -> Flow[Any]:
            own = self._values.terms(terms.tags, seconds, policy.stale)
            lifetime = seconds + policy.stale if seconds is not None and seconds > 0 else seconds
            stored = yield from self._values.stored_form(value, made, own)
            if self._limited:
                yield call("cull", self._max_entries, self._cull_frequency)
            if found is not None:
                yield call("set", made, stored, lifetime)
            elif not (yield call("add", made, stored, lifetime)):
                theirs = yield from self._values.look(made)
                return theirs.value if theirs is not None and theirs.is_fresh else value
            return value

        compute = default if callable(default) else lambda: default
        return (yield from Once(made, self._values, policy, compute, store, self.clock).run())

    def delete_tag(self, tag: str, version: int | None = None) -> None:
        """Delete all values that have a tag, at once and however many they are."""
        self.delete_tags([tag], version)

    async def adelete_tag(self, tag: str, version: int | None = None) -> None:
        await self.adelete_tags([tag], version)

    def delete_tags(self, tags: Iterable[str], version: int | None = None) -> None:
        """Delete all values that have any of the tags."""
        self._drive(delete_tags(self._tags(tags, version)))

    async def adelete_tags(self, tags: Iterable[str], version: int | None = None) -> None:
        await self._adrive(delete_tags(self._tags(tags, version)))

    # -- between processes -------------------------------------------------------------------------------
    # Imported when they are asked for: most sites have none of these.

    def lock(
        self,
        key: Any,
        version: int | None = None,
        timeout: float | None = 60.0,
        sleep: float = 0.01,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        thread_local: bool = True,
    ) -> Lock:
        """Return a lock that all processes share; see `kt_cache.locks`. ``with cache.lock("name") as lock: ...``"""
        from kt_cache.locks import Lock, LockOptions

        options = LockOptions(timeout, sleep, blocking, blocking_timeout, thread_local)
        return Lock(self._store, self._key(key, version), options, clock=self.clock)

    def alock(
        self,
        key: Any,
        version: int | None = None,
        timeout: float | None = 60.0,
        sleep: float = 0.01,
        blocking: bool = True,
        blocking_timeout: float | None = None,
    ) -> AsyncLock:
        """Return a lock to be awaited. ``async with cache.alock("name") as lock: ...``"""
        from kt_cache.locks import AsyncLock, LockOptions

        options = LockOptions(timeout, sleep, blocking, blocking_timeout, thread_local=False)
        return AsyncLock(self._store, self._key(key, version), options, clock=self.clock)

    def rate_limiter(self, name: str, limit: int, period: float, version: int | None = None) -> RateLimiter:
        """Return what allows `limit` uses in `period`: ``if cache.rate_limiter("login", 5, 60).hit(user): ...``"""
        from kt_cache.limits import RateLimiter

        return RateLimiter(self._store, self._key(name, version), limit, period, clock=self.clock)

    # -- about it ----------------------------------------------------------------------------------------

    def stats(self) -> Stats:
        """Return entries, sizes and hits of the store, over all processes that share it."""
        return self._store.stats()

    async def astats(self) -> Stats:
        return await self._store.astats()

    def ping(self) -> bool:
        """Tell whether the store answers."""
        return self._store.ping()

    async def aping(self) -> bool:
        return await self._store.aping()


def _whole(seconds: float | None, scale: int = 1) -> int | None:
    """Return a time left in whole units: 0 for no record, None for ever."""
    if seconds is None:
        return 0
    # To the nearest, as a store may keep a millisecond more than it was given.
    return None if seconds == math.inf else max(round(seconds * scale), 1)


def _whole_of(made: Mapping[Any, bytes], left: Mapping[bytes, float]) -> dict[Any, int | None]:
    return {key: _whole(left[stored]) for key, stored in made.items() if stored in left}


def _moment(when: datetime | float, scale: int = 1) -> float:
    return when.timestamp() if isinstance(when, datetime) else when / scale
