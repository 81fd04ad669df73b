"""A Django cache's part that is not about records: its configuration, its keys, its store."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, default_key_func
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation

from kt_cache.django.migration import translate
from kt_cache.flows import Flow, adrive, drive
from kt_cache.options import Options
from kt_cache.reading import Values
from kt_cache.stores import open_store
from kt_core.errors import Misconfigured
from kt_core.locations import database_name, without_password

T = TypeVar("T")

# What Django's own check, a loop over all characters, has nothing to say about.
_unremarkable = re.compile(r"[^\x00-\x20\x7f]{0,250}").fullmatch
_remarkable = re.compile(r"[\x00-\x20\x7f]").search

DJANGO_OPTIONS = ("MAX_ENTRIES", "CULL_FREQUENCY")


class Base(BaseCache):
    """A cache that cannot do anything yet.

    ``CLOCK`` in a CACHES entry gives seconds since the epoch in the place of `time.time`, for tests.
    """

    def __init__(self, location: str | Sequence[str], params: dict[str, Any]) -> None:
        super().__init__(params)
        self.clock: Callable[[], float] = params.get("CLOCK", time.time)
        # As Django looks for them: in capitals among the options, in small letters beside them.
        self._limited = bool(
            set(DJANGO_OPTIONS) & set(params.get("OPTIONS", {})) or {"max_entries", "cull_frequency"} & set(params)
        )
        # What a subclass makes of keys is its own business.
        self._plain_keys = all(
            getattr(type(self), name) is getattr(BaseCache, name) for name in ("make_key", "validate_key")
        )
        try:
            self._options = read_options(location, params)
            codec = self._options.codec(signing_keys)
            self._store = open_store(self._options, clock=self.clock)
        except Misconfigured as error:
            shown = without_password(repr(location))
            raise ImproperlyConfigured(f"CACHES entry with LOCATION {shown}: {without_password(str(error))}") from error
        self._dumps = codec.dumps
        self._loads = codec.loads
        self._rekey = codec.rekey
        self._values = Values(codec, self.clock)

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
                with suppress(UnicodeEncodeError):  # surrogates, which are encoded one key at a time
                    return {key: text.encode() for key, text in made.items()}
            keys = made
        return {key: self._key(key, version) for key in keys}

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> float | None:
        """Return the seconds a record is to live: None for never, zero and less for not at all."""
        seconds: float | None = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return seconds

    def _drive(self, flow: Flow[T]) -> T:
        return drive(flow, self._store)

    async def _adrive(self, flow: Flow[T]) -> T:
        return await adrive(flow, self._store, encode)

    @property
    def _has_plain_keys(self) -> bool:
        """Whether keys are made as Django makes them, unless told otherwise."""
        return self.key_func is default_key_func and type(self).make_key is BaseCache.make_key


def read_options(location: str | Sequence[str], params: Mapping[str, Any]) -> Options:
    """Read a CACHES entry, of which `location` is the LOCATION, or `Misconfigured`.

    Options may have the names that other backends give them: see `kt_cache.django.migration`.
    """
    options = {name: value for name, value in params.get("OPTIONS", {}).items() if name not in DJANGO_OPTIONS}
    return Options.parse(location, translate(location, options), default_name=project_name())


async def encode(function: Callable[[], Any]) -> Any:
    """Return what a function returns that encodes a value, called in a thread if need be."""
    try:
        return function()
    except SynchronousOnlyOperation:
        # A lazy queryset is evaluated by being pickled, which Django forbids in an event loop.
        return await sync_to_async(function)()


def signing_keys() -> list[bytes]:
    """Return the project's secrets, the one to sign with first."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [secret.encode() if isinstance(secret, str) else secret for secret in secrets if secret]


def project_name() -> str:
    """Name the database of a project that names none, by its settings and its directory."""
    module = getattr(settings, "SETTINGS_MODULE", None) or "django"
    base = str(getattr(settings, "BASE_DIR", None) or Path.cwd())
    return database_name(module, base)
