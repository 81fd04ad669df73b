"""Sessions in a store: one record each, and one more for each that has a user, to find all sessions of a user by.

A session's record is made of a format byte, the end of the other record (seconds since the epoch), the length of the
user's id, that id, and the session as its framework has serialized it; in the form that `kt_cache.values` describes,
serializer raw, and so compressed and signed if the project wants that.

The other one, the entry, has a key that begins with the user and ends with the session. It is written before the
session gets the user, and lives twice as long as the session is to. The session's record tells its end: so it is
written again only when it would not outlive the session by half its age, which is what an operation may take and
clocks may differ by. It is never shortened, and deleted only with the session. So every session of a user has its
entry, though an entry may be without its session: whoever lists them looks at the sessions, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

from kt_cache.flows import Encoded, Flow, call
from kt_cache.options import Options
from kt_cache.reserved import Kind, reserved
from kt_cache.stores.base import Value
from kt_cache.values import Codec, Unreadable
from kt_core.errors import KTError

Data: TypeAlias = "dict[str, Any]"

CONFLICTS = {name: name for name in ("overwrite", "merge", "refuse")}
"""What becomes of a session that others have changed since it was loaded.

``overwrite``: their changes are lost. ``merge``: they stay, but for the items that have changed here. ``refuse``: the
changes made here are, with `SessionConflict`.
"""

_HEAD = Struct(">BQI")
_FORMAT = 1
_LATEST = (1 << 63) - 1
# What an entry lives, and what it has left when it is written again, in ages of its session.
_LONG, _SHORT = 2.0, 1.5


def options_of_sessions(options: Options, given: Collection[str]) -> Options:
    """Return what sessions are kept with, beside a cache of these options, of which the project gave some by name.

    On servers they are where the cache is. What serves a cache would end sessions there: an outage is an error, no
    other server takes a dead one's place, and no replica, which lags behind, is read; of a cluster, which has to write
    all copies then, the master is read first. Beside an embedded database they have one of their own, which evicts
    nothing and outlives the machine's crash; unless `durability` or `eviction` is given: then the cache's own is as it
    is wanted.
    """
    return replace(options, store=options.store.for_sessions(given), serializer="raw", accept=(), on_error="raise")


class SessionConflict(KTError):
    """Somebody has changed the session since it was loaded; nothing was stored."""


class Record(NamedTuple):
    """A session as it is stored: whose it is (empty for nobody's), the end of the user's entry, and its bytes."""

    user: bytes
    entry_end: int
    data: bytes
    stored: Value


class Form(NamedTuple):
    """What a framework makes of a session: bytes and back, the id of its user ("" for nobody), its age in seconds."""

    dumps: Callable[[Data], bytes]
    loads: Callable[[bytes], Data]
    user: Callable[[Data], str]
    age: Callable[[Data], float]


def read_data(loads: Callable[[], object]) -> Data:
    """Return what a framework's serializer makes of a session's bytes; `Unreadable` if they are no session's."""
    try:
        data = loads()
    except Exception as error:  # nothing but damage makes these fail, each in its own way
        # Not what the error says: it may quote the session.
        raise Unreadable(f"damaged ({type(error).__name__}); delete the session") from error
    if not isinstance(data, dict):
        raise Unreadable("not a session")
    return data


class Sessions:
    """The sessions of a project. `key` gives the store's key for a session's id, and one of the project's for ""."""

    def __init__(self, codec: Codec, key: Callable[[str], bytes], clock: Callable[[], float] = time.time) -> None:
        self._codec = codec
        self.key = key
        self._clock = clock

    def load(self, session: str) -> Flow[Record | None]:
        """Return a session's record; None if there is none, `Unreadable` if it is not one of ours."""
        key = self.key(session)
        stored = yield call("get", key)
        return None if stored is None else self.read(key, stored)

    def read(self, key: bytes, stored: Value) -> Record:
        """Return the record that is stored under a key; `Unreadable` if it is not one of ours."""
        plain = self._codec.loads(stored, key)
        if isinstance(plain, bytes) and len(plain) >= _HEAD.size:
            kind, end, length = _HEAD.unpack_from(plain)
            start = _HEAD.size + length
            if kind == _FORMAT and start <= len(plain):
                return Record(plain[_HEAD.size : start], end, plain[start:], stored)
        raise Unreadable("not a session")

    def exists(self, session: str) -> Flow[bool]:
        """Tell whether there is a session, readable or not."""
        return (yield call("exists", self.key(session)))  # type: ignore[no-any-return]

    def create(self, session: str, data: Data, form: Form) -> Flow[Record | None]:
        """Store a new session and return its record; None if that id is taken. An age that is over stores nothing."""
        content, user, age = yield from _described(data, form)
        if age <= 0:
            return Record(user, 0, content, b"")
        key = self.key(session)
        end = yield from self._enter(session, user, age, 0)
        record = self._made(key, user, end, content)
        return record if (yield call("add", key, record.stored, age)) else None

    def save(
        self,
        session: str,
        known: Record,
        data: Data,
        form: Form,
        *,
        conflict: str = "overwrite",
        is_young: bool = False,
    ) -> Flow[Record | None]:
        """Store a session that was loaded as `known`, and return its record; None if it has been deleted meanwhile.

        Where nothing has changed, what is stored lives on: for its age from now, or if it `is_young` as it is. An age
        that is over deletes it. `conflict` is one of `CONFLICTS`; of a merged session `data` is updated to what is
        stored.
        """
        key = self.key(session)
        while True:
            content, user, age = yield from _described(data, form)
            is_same = (user, content) == (known.user, known.data)
            if is_same and is_young:
                return known
            if age <= 0:
                return known if (yield from self.delete(session)) else None
            if is_same:
                return (yield from self._refresh(session, known, age))
            end = yield from self._enter(session, user, age, known.entry_end if user == known.user else 0)
            record = self._made(key, user, end, content)
            if conflict == "overwrite":
                return record if (yield call("replace", key, record.stored, age)) else None
            if (yield call("compare_and_set", key, known.stored, record.stored, age)):
                return record
            theirs = yield from self.load(session)
            if theirs is None:
                return None
            if theirs.data != known.data:
                if conflict == "refuse":
                    raise SessionConflict("somebody has changed the session meanwhile")
                _merge(data, form.loads(known.data), form.loads(theirs.data))
            known = theirs

    def _refresh(self, session: str, known: Record, age: float) -> Flow[Record | None]:
        """Give a session its age anew, whatever it is by now, and return what is known of it then."""
        key = self.key(session)
        found: Record | None = known
        while found is not None:
            end = yield from self._enter(session, found.user, age, found.entry_end)
            record = found if end == found.entry_end else self._made(key, found.user, end, found.data)
            # As quick as a touch; but somebody else's record is not to outlive an entry that is not known here.
            if (yield call("compare_and_set", key, found.stored, record.stored, age)):
                return record if found is known else known
            found = yield from self.load(session)
        return None

    def delete(self, session: str) -> Flow[bool]:
        """Delete a session and its entry; tell whether there was one."""
        key = self.key(session)
        stored = yield call("pop", key)
        if stored is None:
            return False
        if user := self._user(key, stored):
            yield call("delete", self._entry(user, session))
        return True

    def cycle(self, old: str, new: str, data: Data, form: Form) -> Flow[Record | None]:
        """Store a session under a new id, delete the old one, and return the new record.

        None, and nothing is stored, if the new id is taken, or if it is a user's session and somebody has deleted it
        meanwhile: a session that has been logged out does not come back.
        """
        record = yield from self.create(new, data, form)
        if record is not None and not (yield from self.delete(old)) and record.user:
            yield from self.delete(new)
            return None
        return record

    def of_user(self, user: str) -> Flow[list[str]]:
        """Return the ids of all sessions of a user."""
        wanted = _encoded(user)
        prefix = self._entry(wanted, "")
        entries = yield call("keys", prefix)
        sessions = {self.key(session): session for entry in entries if (session := entry[len(prefix) :].decode())}
        found = yield call("get_many", list(sessions))
        return [sessions[key] for key, stored in found.items() if self._user(key, stored) == wanted]

    def end_all(self, user: str, keep: str | None = None) -> Flow[int]:
        """Delete all sessions of a user but one; return how many there were."""
        ended = 0
        for session in (yield from self.of_user(user)):
            if session != keep:
                ended += yield from self.delete(session)
        return ended

    # -- records and entries -----------------------------------------------------------------------------

    def _made(self, key: bytes, user: bytes, end: int, content: bytes) -> Record:
        stored = self._codec.dumps(_HEAD.pack(_FORMAT, end, len(user)) + user + content, key)
        return Record(user, end, content, stored)

    def _user(self, key: bytes, stored: Value) -> bytes:
        try:
            return self.read(key, stored).user
        except Unreadable:
            return b""

    def _entry(self, user: bytes, session: str) -> bytes:
        return reserved(Kind.SESSION, self.key("") + len(user).to_bytes(4, "big") + user + session.encode())

    def _enter(self, session: str, user: bytes, age: float, known_end: int) -> Flow[int]:
        """See to it that the user's entry does not end before the session will, and return its end; 0 for nobody's."""
        now = self._clock()
        if not user or known_end >= now + _SHORT * age:
            return known_end if user else 0
        entry = self._entry(user, session)
        end = min(int(now + _LONG * age), _LATEST)
        found: Value | None = known_end or None
        while not (yield call("compare_and_set", entry, found, end, _LONG * age)):
            found = yield call("get", entry)
            if isinstance(found, int) and found >= end:
                return found
        return end


def _described(data: Data, form: Form) -> Flow[tuple[bytes, bytes, float]]:
    content = yield Encoded(lambda: form.dumps(data))
    return content, _encoded(form.user(data)), form.age(data)


def _encoded(user: str) -> bytes:
    return user.encode("utf-8", "surrogatepass")


def _merge(mine: Data, base: Data, theirs: Data) -> None:
    """Make `mine` what they have, with the items over it that differ from the base."""
    changed = {name: value for name, value in mine.items() if name not in base or base[name] != value}
    for name in base.keys() - mine.keys():
        theirs.pop(name, None)
    mine.clear()
    mine.update(theirs | changed)
