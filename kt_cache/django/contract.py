"""Django's cache contract over a store.

Every method makes the key, makes bytes of the value, and calls the store once. Its asynchronous twin does the same
and awaits the store: it is as atomic, and takes no thread where the store needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypedDict, Unpack, overload

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from kt_cache.changes import check_conditions, exchange, increment, move
from kt_cache.django.base import Base, encode
from kt_cache.flows import Flow, call
from kt_cache.reading import Found, Problem, complain_once
from kt_cache.stores import Value
from kt_cache.terms import Terms, check_tags, tag_versions
from kt_cache.values import Unreadable
from kt_core.errors import CounterOverflow, InvalidInput, NotACounter


class Storing(TypedDict, total=False):
    """How a value is stored, as `Contract.set` says."""

    nx: bool
    xx: bool
    tags: Iterable[str]


class Making(TypedDict, total=False):
    """How a number is made where there is none, as `Contract.incr` says."""

    initial: int | None
    timeout: Any
    ignore_key_check: bool


class Contract(Base):
    """What every Django cache can do; `kt_cache.django.cache.KTCache` is the whole."""

    # -- one record --------------------------------------------------------------------------------------

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the value, or the default."""
        made = self._key(key, version)
        stored = self._store.get(made)
        if stored is None:
            return default
        try:
            return self._loads(stored, made)
        except Unreadable as error:
            return _fresh(self._drive(self._values.settle([Problem(made, stored, error)])).get(made), default)

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        made = self._key(key, version)
        stored = await self._store.aget(made)
        if stored is None:
            return default
        try:
            return self._loads(stored, made)
        except Unreadable as error:
            found = await self._adrive(self._values.settle([Problem(made, stored, error)]))
            return _fresh(found.get(made), default)

    @overload  # type: ignore[override]  # Django's returns nothing
    def set(self, key: Any, value: Any, timeout: Any = ..., version: Any = ..., **how: Unpack[Storing]) -> bool: ...
    @overload
    def set(
        self, key: Any, value: Any, timeout: Any = ..., version: Any = ..., *, get: bool, **how: Unpack[Storing]
    ) -> Any: ...
    def set(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        nx: bool = False,
        xx: bool = False,
        get: bool = False,
        tags: Iterable[str] = (),
    ) -> Any:
        """Store a value, whatever was there; tell whether there was room for it.

        With `nx` only where there is none, with `xx` only where there is one; False if it was not stored. With `get`
        the value that was there is returned, or None. A value with `tags` is gone when any of them is deleted: whoever
        reads it finds nothing (`add`, `has_key` and `ttl` go by the record, which is there until then).
        """
        if nx or xx or get or tags:
            return self._drive(self._set(self._key(key, version), value, timeout, version, nx, xx, get, tags))
        made = self._key(key, version)
        stored = self._dumps(value, made)
        if self._limited:
            self._store.cull(self._max_entries, self._cull_frequency)
        return self._store.set(made, stored, self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout)

    @overload  # type: ignore[override]
    async def aset(
        self, key: Any, value: Any, timeout: Any = ..., version: Any = ..., **how: Unpack[Storing]
    ) -> bool: ...
    @overload
    async def aset(
        self, key: Any, value: Any, timeout: Any = ..., version: Any = ..., *, get: bool, **how: Unpack[Storing]
    ) -> Any: ...
    async def aset(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        nx: bool = False,
        xx: bool = False,
        get: bool = False,
        tags: Iterable[str] = (),
    ) -> Any:
        made = self._key(key, version)
        if nx or xx or get or tags:
            return await self._adrive(self._set(made, value, timeout, version, nx, xx, get, tags))
        stored = await encode(partial(self._dumps, value, made))
        if self._limited:
            await self._store.acull(self._max_entries, self._cull_frequency)
        return await self._store.aset(made, stored, self.get_backend_timeout(timeout))

    def _set(
        self,
        made: bytes,
        value: Any,
        timeout: Any,
        version: int | None,
        nx: bool,
        xx: bool,
        get: bool,
        tags: Iterable[str],
    ) -> Flow[Any]:
        check_conditions(nx, xx)
        seconds = self.get_backend_timeout(timeout)
        terms = (yield from self._terms(tags, version, seconds)) if tags else None
        if self._limited:
            yield call("cull", self._max_entries, self._cull_frequency)
        if get:
            found = yield from exchange(self._values, made, value, seconds, terms, nx=nx, xx=xx)
            return _fresh(found, None)
        method = "add" if nx else "replace" if xx else "set"
        stored = yield from self._values.stored_form(value, made, terms)
        return (yield call(method, made, stored, seconds))

    def _terms(self, tags: Iterable[str], version: int | None, timeout: float | None, stale: float = 0) -> Flow[Terms]:
        return self._values.terms((yield from tag_versions(self._tags(tags, version))), timeout, stale)

    def _tags(self, tags: Iterable[str], version: int | None) -> list[bytes]:
        """Return what the store knows tags by, each once."""
        if isinstance(tags, str):
            raise InvalidInput(f"tags are a list of names: write [{tags!r}]")
        return check_tags(self._key(tag, version) for tag in tags)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store a value where there is none; tell whether there was none."""
        made = self._key(key, version)
        stored = self._dumps(value, made)
        if self._limited:
            self._store.cull(self._max_entries, self._cull_frequency)
        return self._store.add(made, stored, self.get_backend_timeout(timeout))

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made = self._key(key, version)
        stored = await encode(partial(self._dumps, value, made))
        if self._limited:
            await self._store.acull(self._max_entries, self._cull_frequency)
        return await self._store.aadd(made, stored, self.get_backend_timeout(timeout))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give a record another timeout; tell whether there was one."""
        return self._store.touch(
            self._key(key, version), self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        )

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return await self._store.atouch(self._key(key, version), self.get_backend_timeout(timeout))

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Delete a record; tell whether there was one."""
        return self._store.delete(self._key(key, version))

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        return await self._store.adelete(self._key(key, version))

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Tell whether there is a record."""
        return self._store.exists(self._key(key, version))

    async def ahas_key(self, key: Any, version: int | None = None) -> bool:
        return await self._store.aexists(self._key(key, version))

    def incr(
        self,
        key: Any,
        delta: int = 1,
        version: int | None = None,
        *,
        initial: int | None = None,
        timeout: Any = DEFAULT_TIMEOUT,
        ignore_key_check: bool = False,
    ) -> Any:
        """Add to a number, which keeps its timeout, and return the sum; ValueError if there is none.

        With `initial` one is made where there is none, `initial` plus `delta`, with the timeout. `ignore_key_check`,
        as elsewhere, makes one that begins at 0 and never expires.
        """
        made = self._key(key, version)
        if isinstance(delta, int) and initial is None and not ignore_key_check:
            try:
                return _found(key, self._store.incr(made, delta))
            except (NotACounter, CounterOverflow):
                pass
        return _found(key, self._drive(self._incr(made, delta, initial, timeout, ignore_key_check)))

    async def aincr(
        self,
        key: Any,
        delta: int = 1,
        version: int | None = None,
        *,
        initial: int | None = None,
        timeout: Any = DEFAULT_TIMEOUT,
        ignore_key_check: bool = False,
    ) -> Any:
        made = self._key(key, version)
        if isinstance(delta, int) and initial is None and not ignore_key_check:
            try:
                return _found(key, await self._store.aincr(made, delta))
            except (NotACounter, CounterOverflow):
                pass
        return _found(key, await self._adrive(self._incr(made, delta, initial, timeout, ignore_key_check)))

    def _incr(
        self, made: bytes, delta: Any, initial: int | None, timeout: Any, ignore_key_check: bool
    ) -> Flow[Any | None]:
        if ignore_key_check and initial is None:
            initial, timeout = 0, None
        seconds = self.get_backend_timeout(timeout)
        if isinstance(delta, int) and isinstance(initial, int):
            try:
                total = yield call("incr", made, delta, initial=initial, timeout=seconds)
            except (NotACounter, CounterOverflow):
                pass
            else:
                return initial + delta if total is None else total  # None in an outage, when all begins anew
        return (yield from increment(self._values, made, delta, initial, seconds))

    def decr(self, key: Any, delta: int = 1, version: int | None = None, **making: Unpack[Making]) -> Any:
        """Subtract from a number; all else as `incr`."""
        return self.incr(key, -delta, version, **making)

    async def adecr(self, key: Any, delta: int = 1, version: int | None = None, **making: Unpack[Making]) -> Any:
        return await self.aincr(key, -delta, version, **making)

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Store a value under another version, with the time it has left, and return that version."""
        version = self.version if version is None else version
        self._drive(self._move(key, version, version + delta))
        return version + delta

    async def aincr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        version = self.version if version is None else version
        await self._adrive(self._move(key, version, version + delta))
        return version + delta

    def _move(self, key: Any, version: int, target: int) -> Flow[None]:
        try:
            moved = yield from move(self._key(key, version), self._key(key, target), self._rekey)
        except Unreadable as error:
            complain_once(str(error))
            moved = False
        _found(key, moved or None)

    async def adecr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await self.aincr_version(key, -delta, version)

    # -- many records ------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """Return the values of those keys that have one."""
        made = self._keys(keys, version)
        found = self._store.get_many(made.values())
        values, problems = self._values.read(made, found)
        return values if not problems else _all_fresh(made, values, self._drive(self._values.settle(problems)))

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        made = self._keys(keys, version)
        found = await self._store.aget_many(made.values())
        values, problems = self._values.read(made, found)
        if not problems:
            return values
        return _all_fresh(made, values, await self._adrive(self._values.settle(problems)))

    def set_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
    ) -> list[Any]:
        """Store many values, all with the same tags; return the keys that could not be stored."""
        keys = self._keys(data, version)
        if tags:
            failed = self._drive(self._set_many(data, keys, timeout, version, tags))
        else:
            dumps = self._dumps
            rows = {keys[key]: dumps(value, keys[key]) for key, value in data.items()}
            if self._limited:
                self._store.cull(self._max_entries, self._cull_frequency)
            failed = self._store.set_many(rows, self.get_backend_timeout(timeout))
        return [key for key in data if keys[key] in failed] if failed else []

    async def aset_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
    ) -> list[Any]:
        keys = self._keys(data, version)
        if tags:
            failed = await self._adrive(self._set_many(data, keys, timeout, version, tags))
        else:
            rows = {keys[key]: await encode(partial(self._dumps, value, keys[key])) for key, value in data.items()}
            if self._limited:
                await self._store.acull(self._max_entries, self._cull_frequency)
            failed = await self._store.aset_many(rows, self.get_backend_timeout(timeout))
        return [key for key in data if keys[key] in failed] if failed else []

    def _set_many(
        self,
        data: Mapping[Any, Any],
        keys: Mapping[Any, bytes],
        timeout: Any,
        version: int | None,
        tags: Iterable[str],
    ) -> Flow[list[bytes]]:
        seconds = self.get_backend_timeout(timeout)
        terms = yield from self._terms(tags, version, seconds)
        rows: dict[bytes, Value] = {}
        for key, value in data.items():
            rows[keys[key]] = yield from self._values.stored_form(value, keys[key], terms)
        if self._limited:
            yield call("cull", self._max_entries, self._cull_frequency)
        return (yield call("set_many", rows, seconds))  # type: ignore[no-any-return]

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """Delete many records."""
        self._store.delete_many(self._keys(keys, version).values())

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        await self._store.adelete_many(self._keys(keys, version).values())

    def clear(self) -> None:
        """Delete every record of the database, those of other prefixes and versions among them."""
        self._store.clear()

    async def aclear(self) -> None:
        await self._store.aclear()

    def close(self, **kwargs: Any) -> None:
        """Nothing to do at the end of a request: database and connections stay open for the next one."""

    async def aclose(self, **kwargs: Any) -> None:
        """As `close`."""


def _found(key: Any, result: Any) -> Any:
    if result is None:
        raise ValueError(f"Key '{key}' not found")
    return result


def _fresh(found: Found | None, default: Any) -> Any:
    return found.value if found is not None and found.is_fresh else default


def _all_fresh(made: Mapping[Any, bytes], values: dict[Any, Any], settled: Mapping[bytes, Found]) -> dict[Any, Any]:
    """Return all values that are fresh, in the order of their keys."""
    fresh = {stored: found.value for stored, found in settled.items() if found.is_fresh}
    return {
        key: values[key] if key in values else fresh[stored]
        for key, stored in made.items()
        if key in values or stored in fresh
    }
