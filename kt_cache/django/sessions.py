"""Django's session engine over the store of a cache: ``SESSION_ENGINE = "kt_cache.django.sessions"``.

The sessions are beside the cache that SESSION_CACHE_ALIAS names, as `kt_cache.sessions.options_of_sessions` says,
under keys that this cache makes. They are serialized by SESSION_SERIALIZER, and compressed and signed as the cache's
entry wants it. With ``KT_SESSION_MERGE = True`` requests of one session that overlap keep each other's changes;
without, the last one wins, as with Django's own engines.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeGuard, TypeVar

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured

from kt_cache.django.base import encode, signing_keys
from kt_cache.django.cache import get_cache
from kt_cache.django.entries import Entry, given_in, options_of
from kt_cache.flows import Flow, adrive, drive
from kt_cache.sessions import Data, Form, Record, Sessions, options_of_sessions, read_data
from kt_cache.stores import AsyncStore, Value, open_store
from kt_cache.values import Unreadable
from kt_core.errors import InvalidInput, Misconfigured

__all__ = [
    "CreateError",
    "SessionStore",
    "UpdateError",
    "alog_out_everywhere",
    "asessions_of",
    "log_out_everywhere",
    "sessions_of",
]

T = TypeVar("T")

_logger = logging.getLogger("django.security.SuspiciousSession")
# What could be a key of a session: of nothing else the store is asked.
_likely = re.compile("[!-~]{8,128}").fullmatch


class SessionStore(SessionBase):
    """A session in the store of a cache.

    An outage of the store is raised and leaves the session, and its cookie, as they are. A session that has been
    deleted meanwhile is not stored again: `UpdateError`.
    """

    cache_key_prefix = "kt_cache.django.sessions"

    # Django's, which its stubs leave out.
    _get_session: Callable[..., Data]
    _aget_session: Callable[..., Awaitable[Data]]
    _get_or_create_session_key: Callable[[], str]

    def __init__(self, session_key: str | None = None) -> None:
        self._place = _place(self.cache_key_prefix)
        self._record: Record | None = None  # as it was loaded or stored last
        super().__init__(session_key)

    @property
    def cache_key(self) -> str:
        return self.cache_key_prefix + self._get_or_create_session_key()

    async def acache_key(self) -> str:
        return self.cache_key

    # Every request loads, and most do nothing else: as a flow it would take a sixth longer.

    def load(self) -> Data:
        if (session := self.session_key) is None:
            return self._found(b"", None)
        key = self._place.sessions.key(session)
        return self._found(key, self._place.store.get(key))

    async def aload(self) -> Data:
        if (session := self.session_key) is None:
            return self._found(b"", None)
        key = self._place.sessions.key(session)
        return self._found(key, await self._place.store.aget(key))

    def _found(self, key: bytes, stored: Value | None) -> Data:
        self._record = None
        if stored is not None:
            try:
                record = self._place.sessions.read(key, stored)
                data = self._loads(record.data)
            except Unreadable:
                _logger.warning("Session data corrupted")
            else:
                self._record = record
                return data
        self._session_key = None
        return {}

    def exists(self, session_key: str | None) -> bool:
        return self._drive(self._exists(session_key))

    async def aexists(self, session_key: str | None) -> bool:
        return await self._adrive(self._exists(session_key))

    def _exists(self, session_key: str | None) -> Flow[bool]:
        return self._validate_session_key(session_key) and (yield from self._place.sessions.exists(session_key))

    def create(self) -> None:
        self._drive(self._create(self._get_session(no_load=True)))

    async def acreate(self) -> None:
        await self._adrive(self._create(await self._aget_session(no_load=True)))

    def _create(self, data: Data) -> Flow[None]:
        record = None
        while record is None:
            key = self._get_new_session_key()
            record = yield from self._place.sessions.create(key, data, self._form)
        self._session_key, self._record, self.modified = key, record, True

    def save(self, must_create: bool = False) -> None:
        if (key := self.session_key) is None:
            return self.create()
        return self._drive(self._save(key, self._get_session(no_load=must_create), must_create))

    async def asave(self, must_create: bool = False) -> None:
        if (key := self.session_key) is None:
            return await self.acreate()
        return await self._adrive(self._save(key, await self._aget_session(no_load=must_create), must_create))

    def _save(self, key: str, data: Data, must_create: bool) -> Flow[None]:
        if must_create:
            record = yield from self._place.sessions.create(key, data, self._form)
            if record is None:
                raise CreateError
        else:
            conflict = "merge" if getattr(settings, "KT_SESSION_MERGE", False) else "overwrite"
            known = self._record or (yield from self._known(key))
            record = known and (yield from self._place.sessions.save(key, known, data, self._form, conflict=conflict))
            if record is None:
                raise UpdateError
        self._record = record

    def _known(self, key: str) -> Flow[Record | None]:
        """Return the record of a session that is stored anew without having been read."""
        try:
            return (yield from self._place.sessions.load(key))
        except Unreadable:
            return None

    def delete(self, session_key: str | None = None) -> None:
        self._drive(self._delete(session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        await self._adrive(self._delete(session_key))

    def _delete(self, session_key: str | None) -> Flow[None]:
        key = session_key if session_key is not None else self.session_key
        if self._validate_session_key(key):
            yield from self._place.sessions.delete(key)

    def cycle_key(self) -> None:
        self._drive(self._cycle(self._get_session()))

    async def acycle_key(self) -> None:
        await self._adrive(self._cycle(await self._aget_session()))

    def _cycle(self, data: Data) -> Flow[None]:
        old = self.session_key
        if old is None:
            yield from self._create(data)
            return
        new = self._get_new_session_key()
        record = yield from self._place.sessions.cycle(old, new, data, self._form)
        if record is None:
            raise UpdateError
        self._session_key, self._record, self.modified = new, record, True

    @classmethod
    def clear_expired(cls) -> None:
        """Delete the expired sessions now; otherwise they go as their room is needed."""
        _place(cls.cache_key_prefix).store.vacuum()

    @classmethod
    async def aclear_expired(cls) -> None:
        await _place(cls.cache_key_prefix).store.avacuum()

    # -- what is kept, and where -------------------------------------------------------------------------

    @property
    def _form(self) -> Form:
        return Form(self.serializer().dumps, self._loads, _user, self._age)

    def _loads(self, content: bytes) -> Data:
        return read_data(lambda: self.serializer().loads(content))

    def _age(self, data: Data) -> float:
        return self.get_expiry_age(expiry=data.get("_session_expiry"))

    def _validate_session_key(self, key: str | None) -> TypeGuard[str]:
        return key is not None and _likely(key) is not None

    def _get_new_session_key(self) -> str:
        """Return a key that nobody can guess; nobody has it either, but `create` sees to that."""
        return secrets.token_hex(16)  # in characters that Django has for it, and a hundred times as quick

    async def _aget_new_session_key(self) -> str:
        return self._get_new_session_key()

    def _drive(self, flow: Flow[T]) -> T:
        return drive(flow, self._place.store)

    async def _adrive(self, flow: Flow[T]) -> T:
        return await adrive(flow, self._place.store, encode)


# -- all sessions of a user --------------------------------------------------------------------------------


def sessions_of(user: Any) -> list[str]:
    """Return the keys of all sessions of a user, who is a model's instance or an id."""
    place = _place()
    return drive(place.sessions.of_user(_id_of(user)), place.store)


async def asessions_of(user: Any) -> list[str]:
    place = _place()
    return await adrive(place.sessions.of_user(_id_of(user)), place.store)


def log_out_everywhere(user: Any, *, keep: str | None = None) -> int:
    """Delete all sessions of a user, but for the one whose key is to be kept; return how many there were."""
    place = _place()
    return drive(place.sessions.end_all(_id_of(user), keep), place.store)


async def alog_out_everywhere(user: Any, *, keep: str | None = None) -> int:
    place = _place()
    return await adrive(place.sessions.end_all(_id_of(user), keep), place.store)


def _user(data: Data) -> str:
    return str(data.get(SESSION_KEY) or "")


def _id_of(user: Any) -> str:
    """Return a user's id as `django.contrib.auth.login` writes it into the session."""
    found = user._meta.pk.value_to_string(user) if hasattr(user, "_meta") else str(user)
    if getattr(user, "pk", user) is None:
        raise InvalidInput(f"{user!r} has no id, and so no sessions: pass a user that is stored")
    return found


# -- where sessions are ------------------------------------------------------------------------------------


class Place(NamedTuple):
    """The sessions beside the cache of an entry of CACHES."""

    entry: Entry
    store: AsyncStore
    sessions: Sessions


_places: dict[tuple[str, str], Place] = {}


def _place(prefix: str = SessionStore.cache_key_prefix) -> Place:
    """Return where the sessions of a prefix are. It is read from the settings once, and again when they change."""
    alias = settings.SESSION_CACHE_ALIAS
    place = _places.get((alias, prefix))
    if place is None or place.entry is not caches.settings.get(alias):
        place = _places[alias, prefix] = _open(alias, prefix)
    return place


def _open(alias: str, prefix: str) -> Place:
    cache = get_cache(alias)
    entry = caches.settings[alias]
    try:
        options = options_of_sessions(options_of(entry), given_in(entry))
        store = open_store(options, clock=cache.clock)
    except Misconfigured as error:
        raise ImproperlyConfigured(f"sessions beside CACHES[{alias!r}]: {error}") from error

    def key(session: str) -> bytes:
        return cache._key(prefix + session, None)

    return Place(entry, store, Sessions(options.codec(signing_keys), key, cache.clock))
