"""`KTCache`: Django's cache contract over a store.

Every method makes the key, makes bytes of the value, and calls the store once. Its asynchronous twin does the same
and awaits the store: it is as atomic, and takes no thread where the store needs none.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, default_key_func
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation

from kt_cache.flows import Flow, adrive, drive, increment, move
from kt_cache.options import Options
from kt_cache.stores import Stats, Value, open_store
from kt_cache.values import Unreadable
from kt_core.errors import CounterOverflow, Misconfigured, NotACounter

logger = logging.getLogger("kt_cache")

# What Django's own check, a loop over all characters, has nothing to say about.
_unremarkable = re.compile(r"[^\x00-\x20\x7f]{0,250}").fullmatch
_remarkable = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]").search

_complaints: set[str] = set()


class KTCache(BaseCache):
    """A cache shared by all processes of the machine, or of several, as ``BACKEND`` of a Django ``CACHES`` entry.

    ``LOCATION``: as `kt_cache.locations` says, or empty for an embedded database of the project's own.
    ``OPTIONS``: those of `kt_cache.options`, besides Django's ``MAX_ENTRIES`` and ``CULL_FREQUENCY``, which are
    honoured when given; without them the store's own size alone bounds the cache. Mistakes in either are
    `ImproperlyConfigured`.
    """

    def __init__(self, location: str | Sequence[str], params: dict[str, Any]) -> None:
        super().__init__(params)
        options = {name: value for name, value in params.get("OPTIONS", {}).items() if name not in _DJANGO_OPTIONS}
        # As Django looks for them: in capitals among the options, in small letters beside them.
        self._limited = bool(
            set(_DJANGO_OPTIONS) & set(params.get("OPTIONS", {})) or {"max_entries", "cull_frequency"} & set(params)
        )
        # What a subclass makes of keys is its own business.
        self._plain_keys = all(
            getattr(type(self), name) is getattr(BaseCache, name) for name in ("make_key", "validate_key")
        )
        try:
            self._options = Options.parse(location, options, default_name=_project_name())
            codec = self._options.codec(_signing_keys)
            self._store = open_store(self._options)
        except Misconfigured as error:
            raise ImproperlyConfigured(f"CACHES entry with LOCATION {location!r}: {error}") from error
        self._dumps = codec.dumps
        self._loads = codec.loads

    # -- keys, timeouts, values --------------------------------------------------------------------------

    def _key(self, key: Any, version: int | None) -> bytes:
        if self._plain_keys and self.key_func is default_key_func:
            made = f"{self.key_prefix}:{self.version if version is None else version}:{key}"
            if not _unremarkable(made):
                self.validate_key(made)
        else:
            made = self.make_and_validate_key(key, version)
        try:
            return made.encode()
        except UnicodeEncodeError:
            return made.encode("utf-8", "surrogatepass")

    def _keys(self, keys: Iterable[Any], version: int | None) -> dict[Any, bytes]:
        """Return all keys with what the store knows them by; for the default key function all at once."""
        if self._plain_keys and self.key_func is default_key_func:
            head = f"{self.key_prefix}:{self.version if version is None else version}:"
            made = {key: f"{head}{key}" for key in keys}
            texts = made.values()
            if made and max(map(len, texts)) <= 250 and not _remarkable("".join(texts)):
                return {key: text.encode() for key, text in made.items()}
            keys = made
        return {key: self._key(key, version) for key in keys}

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> float | None:
        """Return the seconds a record is to live: None for never, zero and less for not at all."""
        seconds: float | None = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return seconds

    def _read(self, stored: Value | None, default: Any) -> Any:
        if stored is None:
            return default
        try:
            return self._loads(stored)
        except Unreadable as error:
            _complain_once(str(error))
            return default

    async def _adumps(self, value: Any) -> Value:
        try:
            return self._dumps(value)
        except SynchronousOnlyOperation:
            # A lazy queryset is evaluated by being pickled, which Django forbids in an event loop.
            return await sync_to_async(self._dumps)(value)

    # -- one record --------------------------------------------------------------------------------------

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the value, or the default."""
        made = self._key(key, version)
        stored = self._store.get(made)
        if stored is None:
            return default
        try:
            return self._loads(stored)
        except Unreadable as error:
            # It is deleted, so that `add` can put another in its place.
            _complain_once(str(error))
            self._store.compare_and_set(made, stored, None)
            return default

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        made = self._key(key, version)
        stored = await self._store.aget(made)
        if stored is None:
            return default
        try:
            return self._loads(stored)
        except Unreadable as error:
            _complain_once(str(error))
            await self._store.acompare_and_set(made, stored, None)
            return default

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store a value, whatever was there."""
        made, stored = self._key(key, version), self._dumps(value)
        if self._limited:
            self._store.cull(self._max_entries, self._cull_frequency)
        self._store.set(made, stored, self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout)

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        made, stored = self._key(key, version), await self._adumps(value)
        if self._limited:
            await self._store.acull(self._max_entries, self._cull_frequency)
        await self._store.aset(made, stored, self.get_backend_timeout(timeout))

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store a value where there is none; tell whether there was none."""
        made, stored = self._key(key, version), self._dumps(value)
        if self._limited:
            self._store.cull(self._max_entries, self._cull_frequency)
        return self._store.add(made, stored, self.get_backend_timeout(timeout))

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made, stored = self._key(key, version), await self._adumps(value)
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

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> Any:
        """Add to a number, which keeps its timeout, and return the sum; ValueError if there is none."""
        made = self._key(key, version)
        if isinstance(delta, int):
            try:
                return _found(key, self._store.incr(made, delta))
            except (NotACounter, CounterOverflow):
                pass
        return _found(key, drive(self._increment(made, delta), self._store))

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> Any:
        made = self._key(key, version)
        if isinstance(delta, int):
            try:
                return _found(key, await self._store.aincr(made, delta))
            except (NotACounter, CounterOverflow):
                pass
        return _found(key, await adrive(self._increment(made, delta), self._store))

    def _increment(self, made: bytes, delta: Any) -> Flow[Any | None]:
        try:
            return (yield from increment(made, delta, self._loads, self._dumps))
        except Unreadable as error:
            _complain_once(str(error))
            return None

    async def adecr(self, key: Any, delta: int = 1, version: int | None = None) -> Any:
        return await self.aincr(key, -delta, version)

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Store a value under another version, with the time it has left, and return that version."""
        version = self.version if version is None else version
        source, target = self._key(key, version), self._key(key, version + delta)
        _found(key, drive(move(source, target), self._store) or None)
        return version + delta

    async def aincr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        version = self.version if version is None else version
        source, target = self._key(key, version), self._key(key, version + delta)
        _found(key, await adrive(move(source, target), self._store) or None)
        return version + delta

    async def adecr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await self.aincr_version(key, -delta, version)

    # -- many records ------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """Return the values of those keys that have one."""
        made = self._keys(keys, version)
        return self._read_many(made, self._store.get_many(made.values()))

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        made = self._keys(keys, version)
        return self._read_many(made, await self._store.aget_many(made.values()))

    def _read_many(self, made: Mapping[Any, bytes], found: Mapping[bytes, Value]) -> dict[Any, Any]:
        loads = self._loads
        try:
            return {key: loads(found[stored]) for key, stored in made.items() if stored in found}
        except Unreadable:
            values = {key: self._read(found.get(stored), self._missing_key) for key, stored in made.items()}
            return {key: value for key, value in values.items() if value is not self._missing_key}

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """Store many values; return the keys that could not be stored."""
        keys = self._keys(data, version)
        dumps = self._dumps
        rows = {keys[key]: dumps(value) for key, value in data.items()}
        if self._limited:
            self._store.cull(self._max_entries, self._cull_frequency)
        failed = self._store.set_many(rows, self.get_backend_timeout(timeout))
        return [key for key in data if keys[key] in failed] if failed else []

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        keys = self._keys(data, version)
        rows = {keys[key]: await self._adumps(value) for key, value in data.items()}
        if self._limited:
            await self._store.acull(self._max_entries, self._cull_frequency)
        failed = await self._store.aset_many(rows, self.get_backend_timeout(timeout))
        return [key for key in data if keys[key] in failed] if failed else []

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

    def stats(self) -> Stats:
        """Return entries, sizes and hits of the store, over all processes that share it."""
        return self._store.stats()

    async def astats(self) -> Stats:
        return await self._store.astats()

    def close(self, **kwargs: Any) -> None:
        """Nothing to do at the end of a request: database and connections stay open for the next one."""

    async def aclose(self, **kwargs: Any) -> None:
        """As `close`."""


_DJANGO_OPTIONS = ("MAX_ENTRIES", "CULL_FREQUENCY")


def _found(key: Any, result: Any) -> Any:
    if result is None:
        raise ValueError(f"Key '{key}' not found")
    return result


def _complain_once(complaint: str) -> None:
    if complaint not in _complaints and len(_complaints) < 1000:
        _complaints.add(complaint)
        logger.warning("a cached value was taken for a miss: %s", complaint)


def _signing_keys() -> list[bytes]:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [secret.encode() if isinstance(secret, str) else secret for secret in secrets if secret]


def _project_name() -> str:
    """Name the database of a project that names none: by its settings, and its directory to tell copies apart."""
    module = getattr(settings, "SETTINGS_MODULE", None) or "django"
    base = str(getattr(settings, "BASE_DIR", None) or Path.cwd())
    name = re.sub("[^A-Za-z0-9._-]", "-", module)[:80].lstrip("._-")
    return f"{name or 'django'}-{hashlib.sha256(base.encode()).hexdigest()[:12]}"
