"""`KTCache`: a Flask-Caching backend, which is a cachelib store too, over any store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from flask_caching.backends.base import BaseCache

from kt_cache.changes import increment
from kt_cache.flask.application import database_of, secret_keys_of
from kt_cache.flows import Flow, drive
from kt_cache.options import Options
from kt_cache.reading import Problem, Values
from kt_cache.serializers import Serializer, resolve
from kt_cache.stores import Stats, Value, open_store
from kt_cache.values import Unreadable
from kt_core.errors import CounterOverflow, InvalidInput, Misconfigured, NotACounter, choose

if TYPE_CHECKING:
    from kt_cache.limits import RateLimiter
    from kt_cache.locks import Lock

T = TypeVar("T")
Timeout = int | float | timedelta | None

_SETTINGS = dict.fromkeys(("CACHE_KT_LOCATION", "CACHE_KT_OPTIONS"))


class KTCache(BaseCache):
    """A cache shared by all processes of the machine, or of several, with Flask's conventions.

    As ``CACHE_TYPE = "kt_cache.flask.KTCache"`` it is configured by ``CACHE_KT_LOCATION`` (a URL of
    `kt_core.locations`, or a list of them; empty for an embedded database of the application's own) and
    ``CACHE_KT_OPTIONS`` (those of `kt_cache.options`), besides ``CACHE_KEY_PREFIX``, ``CACHE_DEFAULT_TIMEOUT`` and
    ``CACHE_SERIALIZER``; ``CACHE_IGNORE_ERRORS`` is the option ``on_error="miss"``. By itself it is made like
    ``KTCache("embedded://shop", key_prefix="shop:", compression="zstd")``.

    Timeouts are seconds or a `timedelta`: None for `default_timeout`, 0 for never, less for not at all. `key_prefix`
    may be a function, which is then called each time. `secret_keys` are those to sign with (option ``sign``), the
    first one signs. Mistakes are `Misconfigured`.
    """

    clock = staticmethod(time.time)

    _own_serializer: Any = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "serializer" in vars(cls):  # cachelib's way to choose one
            cls._own_serializer = vars(cls)["serializer"]
            del cls.serializer

    def __init__(
        self,
        location: object = "",
        default_timeout: Timeout = 300,
        ignore_delete_many_errors: bool = True,
        key_prefix: str | Callable[[], str] | None = None,
        secret_keys: Iterable[str | bytes] = (),
        **options: Any,
    ) -> None:
        if not location:
            raise Misconfigured(
                "a KTCache that is made without its application needs a location, like 'embedded://name'"
                " (Flask-Caching makes those so whose CACHE_TYPE contains the word cachelib: give them CACHE_ARGS)"
            )
        if self._own_serializer is not None:
            options.setdefault("serializer", self._own_serializer)
        super().__init__(ignore_delete_many_errors=ignore_delete_many_errors)
        self.default_timeout: Any = 300 if default_timeout is None else default_timeout
        self.key_prefix = key_prefix or ""
        # All keys begin with it; None if that has to be asked for, or looked at.
        self._head = _encoded(key_prefix) if isinstance(key_prefix, str) and key_prefix[:1] not in ("", "\0") else None
        self._signing_keys = [key.encode() if isinstance(key, str) else key for key in secret_keys]
        self.options = Options.parse(location, options, default_name="")
        self.serializer = self.options.serializer
        # Opened last: what is misconfigured leaves no database behind.
        self.store = open_store(self.options, clock=self.clock)
        self._get = self.store.get

    @classmethod
    def factory(
        cls,
        app: Any = None,
        config: dict[str, Any] | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] = MappingProxyType({}),
        **options: Any,
    ) -> KTCache:
        """Make the cache of an application, as Flask-Caching asks for it.

        Where the path of the class contains the word cachelib, it calls this with CACHE_ARGS and options alone.
        """
        if config is None:
            return cls(app, **options)
        for name in config:
            if name.startswith("CACHE_KT_"):
                choose(_SETTINGS, name, "setting")
        if args:
            raise Misconfigured("CACHE_ARGS is of no use here: write the location as CACHE_KT_LOCATION")
        location = config.get("CACHE_KT_LOCATION") or f"embedded://{database_of(app)}"
        given = {
            "key_prefix": config.get("CACHE_KEY_PREFIX"),
            "secret_keys": secret_keys_of(app),
            **kwargs,
            **(config.get("CACHE_KT_OPTIONS") or {}),
        }
        if config.get("CACHE_IGNORE_ERRORS") and "on_error" not in str(location):
            given.setdefault("on_error", "miss")
        return cls(location, **given)

    @property
    def serializer(self) -> Serializer:
        """What values are written by; whatever is assigned is what `kt_cache.options` takes for a serializer."""
        return self._serializer

    @serializer.setter
    def serializer(self, serializer: str | Serializer | type[Serializer]) -> None:
        codec = replace(self.options, serializer=serializer).codec(self._secrets)
        self._serializer = serializer if not isinstance(serializer, str | type) else resolve(serializer)[1]
        self._dumps = codec.dumps
        self._loads = codec.loads
        self._values = Values(codec, self.clock)

    # -- one record --------------------------------------------------------------------------------------

    def get(self, key: str) -> Any:
        """Return the value, or None."""
        # As `to_stored`, for the sake of speed without a call.
        made = self.to_stored(key) if self._head is None else self._head + f"{key}".encode("utf-8", "surrogatepass")
        stored = self._get(made)
        if stored is None:
            return None
        try:
            return self._loads(stored, made)
        except Unreadable as error:
            return self._settled([Problem(made, stored, error)]).get(made)

    def set(self, key: str, value: Any, timeout: Timeout = None) -> bool:
        """Store a value, whatever was there; tell whether there was room for it."""
        made = self.to_stored(key)
        return self.store.set(made, self._dumps(value, made), _seconds(timeout, self.default_timeout))

    def add(self, key: str, value: Any, timeout: Timeout = None) -> bool:
        """Store a value where there is none; tell whether there was none."""
        made = self.to_stored(key)
        return self.store.add(made, self._dumps(value, made), _seconds(timeout, self.default_timeout))

    def delete(self, key: str) -> bool:
        """Delete a record; tell whether there was one."""
        return self.store.delete(self.to_stored(key))

    def has(self, key: str) -> bool:
        """Tell whether there is a record."""
        return self.store.exists(self.to_stored(key))

    def inc(self, key: str, delta: int = 1) -> Any:
        """Add to a number, which keeps its timeout, or make one with the default timeout; return the sum."""
        made = self.to_stored(key)
        if isinstance(delta, int):
            try:
                return self.store.incr(made, delta, initial=0, timeout=self._default())
            except (NotACounter, CounterOverflow):
                pass
        return self._drive(increment(self._values, made, delta, 0, self._default()))

    def dec(self, key: str, delta: int = 1) -> Any:
        """Subtract from a number; all else as `inc`."""
        return self.inc(key, -delta)

    # -- many records ------------------------------------------------------------------------------------

    def get_many(self, *keys: str) -> list[Any]:
        """Return the values in the order of the keys, None where there is none."""
        return list(map(self.get_dict(*keys).get, keys))

    def get_dict(self, *keys: str) -> dict[str, Any]:
        """Return the values by their keys, None where there is none."""
        made = self._keys(keys)
        found, problems = self._values.read(made, self.store.get_many(made.values()))
        values: dict[str, Any] = dict.fromkeys(keys) | found
        if problems:
            settled = self._settled(problems)
            values |= {key: settled[stored] for key, stored in made.items() if stored in settled}
        return values

    def set_many(self, mapping: Mapping[str, Any], timeout: Timeout = None) -> list[str]:
        """Store many values; return the keys of those that were stored."""
        made = self._keys(mapping)
        rows: dict[bytes, Value] = {made[key]: self._dumps(value, made[key]) for key, value in mapping.items()}
        failed = set(self.store.set_many(rows, _seconds(timeout, self.default_timeout)))
        return [key for key in mapping if made[key] not in failed]

    def delete_many(self, *keys: str) -> list[str]:
        """Delete many records; return the keys: none of them is there any more."""
        self.store.delete_many(self._keys(keys).values())
        return list(keys)

    def unlink(self, *keys: str) -> list[str]:
        """As `delete_many`."""
        return self.delete_many(*keys)

    def clear(self) -> bool:
        """Delete all records whose keys begin with the prefix; without one, all of the database."""
        prefix = self.prefix
        if prefix:
            self.store.clear_prefix(_encoded(prefix))
        else:
            self.store.clear()
        return True

    # -- what cachelib has not ---------------------------------------------------------------------------

    def ttl(self, key: str) -> float | None:
        """Return the seconds a record has left, infinity if it never expires; None if there is none."""
        return self.store.ttl(self.to_stored(key))

    def touch(self, key: str, timeout: Timeout = None) -> bool:
        """Give a record another timeout; tell whether there was one."""
        return self.store.touch(self.to_stored(key), _seconds(timeout, self.default_timeout))

    def lock(
        self,
        key: str,
        timeout: float | None = 60.0,
        sleep: float = 0.01,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        thread_local: bool = True,
    ) -> Lock:
        """Return a lock that all processes share; see `kt_cache.locks`. ``with cache.cache.lock("name"): ...``"""
        from kt_cache.locks import Lock, LockOptions

        options = LockOptions(timeout, sleep, blocking, blocking_timeout, thread_local)
        return Lock(self.store, self.to_stored(key), options, clock=self.clock)

    def rate_limiter(self, name: str, limit: int, period: float) -> RateLimiter:
        """Return what allows `limit` uses in `period` seconds: ``limiter.hit(request.remote_addr)`` is true or not."""
        from kt_cache.limits import RateLimiter

        return RateLimiter(self.store, self.to_stored(name), limit, period, clock=self.clock)

    def stats(self) -> Stats:
        """Return entries, sizes and hits of the store, over all processes that share it."""
        return self.store.stats()

    def ping(self) -> bool:
        """Tell whether the store answers."""
        return self.store.ping()

    # -- keys, timeouts, values --------------------------------------------------------------------------

    @property
    def prefix(self) -> str:
        """What all keys begin with, now."""
        prefix = self.key_prefix
        return prefix if isinstance(prefix, str) else prefix()

    def to_stored(self, key: str) -> bytes:
        """Return what the store knows a key by; `InvalidInput` if it is one of kt-cache's own."""
        made = f"{self.prefix}{key}"
        if made[:1] == "\0":
            raise InvalidInput(f"the key {made!r} begins with NUL, as only those of kt-cache itself do")
        return _encoded(made)

    def _keys(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {key: self.to_stored(key) for key in keys}

    def _default(self) -> float | None:
        return _seconds(None, self.default_timeout)

    def _settled(self, problems: list[Problem]) -> dict[bytes, Any]:
        found = self._drive(self._values.settle(problems))
        return {key: each.value for key, each in found.items() if each.is_fresh}

    def _drive(self, flow: Flow[T]) -> T:
        return drive(flow, self.store)

    def _secrets(self) -> list[bytes]:
        if not self._signing_keys:
            raise Misconfigured("sign needs a secret key: set app.secret_key before the cache, or give secret_keys")
        return self._signing_keys


def _seconds(timeout: Timeout, default: Timeout) -> float | None:
    """Return the seconds that a store lets a record live, None for ever."""
    if timeout is None:
        timeout = default
    if isinstance(timeout, timedelta):
        timeout = timeout.total_seconds()
    return timeout or None


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
