"""Flask's sessions on the server, in any store: ``KTSessionInterface(app)``.

===========================  ===========================================================================================
SESSION_KT_LOCATION          A URL of `kt_core.locations`, or a list of them. Empty for an embedded database of the
                             application's own, which evicts nothing and outlives the machine's crash.
SESSION_KT_OPTIONS           Options of `kt_cache.options`, as compression and sign.
SESSION_KT_KEY_PREFIX        Before every key; ``session:``.
SESSION_KT_SERIALIZER        ``msgpack``, or ``json``: Flask's own, with its tags. Neither runs code.
SESSION_KT_SIGN_IDS          Whether the cookie's id is signed; False, since nobody can guess one.
SESSION_KT_ON_CONFLICT       When two requests of one session overlap: ``merge`` keeps the changes of both, ``refuse``
                             answers the second with 409, and ``overwrite`` lets it win.
SESSION_KT_USER_KEY          Where a session has its user's id, by which `sessions_of` finds it; Flask-Login's
                             ``_user_id``. When it changes, somebody has logged in, and the session gets another id.
===========================  ===========================================================================================

All else is as Flask says: its settings of the cookie, PERMANENT_SESSION_LIFETIME, which is how long a session lives
that is not used, and SESSION_REFRESH_EACH_REQUEST. An outage of the store is an error, and no logout.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from flask import Flask, Request, Response, current_app
from flask import session as _session
from flask.json.tag import TaggedJSONSerializer
from flask.sessions import SecureCookieSession, SessionInterface, SessionMixin
from itsdangerous import BadSignature, Signer

from kt_cache.flask.application import database_of, secret_keys_of
from kt_cache.flows import Flow, drive
from kt_cache.options import Options
from kt_cache.serializers import MessagePack, Serializer
from kt_cache.sessions import CONFLICTS, Data, Form, Record, SessionConflict, Sessions, options_of_sessions, read_data
from kt_cache.stores import AsyncStore, open_store
from kt_cache.values import Unreadable
from kt_core.errors import Misconfigured, choose

T = TypeVar("T")

_logger = logging.getLogger("kt_cache.sessions")
_likely = re.compile("[A-Za-z0-9_-]{43}").fullmatch
_ID_BYTES = 32
_YOUNG = 0.99  # of its lifetime: a session that has more of it left is not worth a write
_SALT = "kt_cache.flask.sessions"


class TaggedJson:
    """Flask's JSON, which keeps tuples, bytes, Markup, UUIDs and datetimes; as bytes."""

    _json = TaggedJSONSerializer()

    def dumps(self, value: object, /) -> bytes:
        """Return `value` as JSON."""
        return self._json.dumps(value).encode()

    def loads(self, data: bytes, /) -> Any:
        """Return the value of a JSON text."""
        return self._json.loads(data.decode())


_SERIALIZERS: dict[str, Serializer] = {"msgpack": MessagePack(), "json": TaggedJson()}

_DEFAULTS: dict[str, Any] = {
    "SESSION_KT_LOCATION": "",
    "SESSION_KT_OPTIONS": {},
    "SESSION_KT_KEY_PREFIX": "session:",
    "SESSION_KT_SERIALIZER": "msgpack",
    "SESSION_KT_SIGN_IDS": False,
    "SESSION_KT_ON_CONFLICT": "merge",
    "SESSION_KT_USER_KEY": "_user_id",
}


class KTSession(SecureCookieSession):
    """A session that is stored on the server under `sid`, its id, which is None until it is stored."""

    def __init__(
        self, sid: str | None = None, data: Data | None = None, record: Record | None = None, left: float = 0.0
    ) -> None:
        super().__init__(data)
        self.sid = sid
        self.record = record
        """As it was loaded."""
        self.left = left
        """The seconds that it had left then."""
        self.wants_new_id = False

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether it is not stored yet."""
        return self.record is None


class _Place(NamedTuple):
    """Where the sessions of an application are, and how they are kept."""

    store: AsyncStore
    sessions: Sessions
    form: Form
    conflict: str
    signer: Signer | None


class KTSessionInterface(SessionInterface):
    """Keeps an application's sessions on the server.

    ``KTSessionInterface(app)``, or `init_app` later; one may serve several applications.
    """

    session_class = KTSession

    def __init__(self, app: Flask | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the application's settings, and keep its sessions from now on; `Misconfigured` for what cannot be."""
        app.extensions["kt_cache.sessions"] = _open(app)
        app.session_interface = self

    def open_session(self, app: Flask, request: Request) -> KTSession:
        """Return the session that the request's cookie names, or a new one."""
        place = _place_of(app)
        sid = _sid(place, request.cookies.get(self.get_cookie_name(app)))
        if sid is not None:
            key = place.sessions.key(sid)
            found = place.store.get_with_ttl(key)
            try:
                if found is not None:
                    record = place.sessions.read(key, found[0])
                    return self.session_class(sid, place.form.loads(record.data), record, found[1])
            except Unreadable as error:
                _logger.warning("a session was begun anew, since it cannot be read: %s", error)
        return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Store what has changed, touch what has not, and send the cookie if it is due."""
        session = cast(KTSession, session)
        place = _place_of(app)
        if session.accessed:
            response.vary.add("Cookie")
        if not session:
            if session.record is not None:
                drive(place.sessions.delete(cast(str, session.sid)), place.store)
            if session.modified:
                self._delete_cookie(app, response)
            return
        try:
            is_kept = self._store(place, session)
        except SessionConflict as error:
            _logger.warning("a request was refused: %s", error)
            _refuse(response)
            return
        if not is_kept:  # somebody has ended it meanwhile
            self._delete_cookie(app, response)
        elif session.wants_new_id or self.should_set_cookie(app, session):
            self._set_cookie(app, session, response, _cookie(place, cast(str, session.sid)))

    def _store(self, place: _Place, session: KTSession) -> bool:
        data: Data = dict(session)
        known, form = session.record, place.form
        if known is not None and form.user(data).encode() not in (known.user, b""):
            session.wants_new_id = True
        if known is None:
            session.sid, session.record = drive(_created(place, data), place.store)
        elif session.wants_new_id:
            new = secrets.token_urlsafe(_ID_BYTES)
            session.record = drive(place.sessions.cycle(cast(str, session.sid), new, data, form), place.store)
            session.sid = new
        else:
            is_young = session.left >= _YOUNG * form.age(data)
            saving = place.sessions.save(
                cast(str, session.sid), known, data, form, conflict=place.conflict, is_young=is_young
            )
            session.record = drive(saving, place.store)
        return session.record is not None

    def _set_cookie(self, app: Flask, session: SessionMixin, response: Response, value: str) -> None:
        response.set_cookie(
            self.get_cookie_name(app), value, expires=self.get_expiration_time(app, session), **self._attributes(app)
        )
        response.vary.add("Cookie")

    def _delete_cookie(self, app: Flask, response: Response) -> None:
        response.delete_cookie(self.get_cookie_name(app), **self._attributes(app))
        response.vary.add("Cookie")

    def _attributes(self, app: Flask) -> dict[str, Any]:
        attributes = {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "samesite": self.get_cookie_samesite(app),
            "httponly": self.get_cookie_httponly(app),
        }
        if hasattr(self, "get_cookie_partitioned"):  # Flask 3.1
            attributes["partitioned"] = self.get_cookie_partitioned(app)
        return attributes


# -- for views ---------------------------------------------------------------------------------------------


def regenerate() -> None:
    """Give the present session another id at the end of the request, as when its rights change.

    When its user changes, that is done anyway.
    """
    _present().wants_new_id = True


def destroy() -> None:
    """Delete the present session at once, and its cookie with the response."""
    session, place = _present(), _place_of(current_app)
    if session.record is not None:
        drive(place.sessions.delete(cast(str, session.sid)), place.store)
    session.sid = session.record = None
    session.clear()
    session.modified = True


def sessions_of(user: object) -> list[str]:
    """Return the ids of all sessions of a user, of whom `user` is the id as the session has it."""
    place = _place_of(current_app)
    return drive(place.sessions.of_user(str(user)), place.store)


def log_out_everywhere(user: object, *, keep_present: bool = False) -> int:
    """Delete all sessions of a user, but for the present one if that is to be kept; return how many there were."""
    place = _place_of(current_app)
    return drive(place.sessions.end_all(str(user), _present().sid if keep_present else None), place.store)


def _present() -> KTSession:
    session = _session._get_current_object()  # type: ignore[attr-defined]
    if not isinstance(session, KTSession):
        raise Misconfigured("this application's sessions are not kept by kt_cache: make a KTSessionInterface(app)")
    return session


# -- what is kept, and where -------------------------------------------------------------------------------


def _open(app: Flask) -> _Place:
    given = {name: value for name, value in app.config.items() if name.startswith("SESSION_KT_")}
    for name in given:
        choose(_DEFAULTS, name, "setting")
    settings = _DEFAULTS | given
    options = settings["SESSION_KT_OPTIONS"] or {}
    if {"serializer", "accept"} & {str(name).lower() for name in options}:
        raise Misconfigured("SESSION_KT_OPTIONS: sessions are serialized as SESSION_KT_SERIALIZER says")
    parsed = Options.parse(settings["SESSION_KT_LOCATION"], options, default_name=database_of(app))
    store_options = options_of_sessions(parsed, {str(name).lower() for name in options})
    prefix = str(settings["SESSION_KT_KEY_PREFIX"])
    codec = store_options.codec(lambda: _secrets(app, "the option sign"))
    form = _form(app, settings["SESSION_KT_SERIALIZER"], settings["SESSION_KT_USER_KEY"])
    conflict = choose(CONFLICTS, settings["SESSION_KT_ON_CONFLICT"], "way to deal with conflicts")
    signer = None
    if settings["SESSION_KT_SIGN_IDS"]:
        signer = Signer(_secrets(app, "SESSION_KT_SIGN_IDS")[::-1], salt=_SALT)
    # Opened last: what is misconfigured leaves no database behind.
    return _Place(
        open_store(store_options), Sessions(codec, lambda sid: f"{prefix}{sid}".encode()), form, conflict, signer
    )


def _form(app: Flask, name: str, user_key: str) -> Form:
    serializer = choose(_SERIALIZERS, name, "serializer of sessions")

    def dumps(data: Data) -> bytes:
        try:
            return serializer.dumps(data)
        except (TypeError, ValueError) as error:
            raise _named(error, data, serializer.dumps) from error

    def loads(content: bytes) -> Data:
        return read_data(lambda: serializer.loads(content))

    def user(data: Data) -> str:
        return str(data.get(user_key) or "")

    def age(data: Data) -> float:
        return app.permanent_session_lifetime.total_seconds()

    return Form(dumps, loads, user, age)


def _named(error: Exception, data: Data, dumps: Callable[[object], bytes]) -> Exception:
    """Return the error with the name of the item that it is about."""
    for name, value in data.items():
        try:
            dumps({name: value})
        except (TypeError, ValueError):
            return type(error)(f"session[{name!r}] cannot be stored, and the session stays as it was: {error}")
    return error


def _place_of(app: Flask) -> _Place:
    return cast(_Place, app.extensions["kt_cache.sessions"])


def _created(place: _Place, data: Data) -> Flow[tuple[str, Record]]:
    while True:
        sid = secrets.token_urlsafe(_ID_BYTES)
        record = yield from place.sessions.create(sid, data, place.form)
        if record is not None:
            return sid, record


def _sid(place: _Place, cookie: str | None) -> str | None:
    """Return the id in a cookie, None for what cannot be one."""
    if cookie is not None and place.signer is not None:
        try:
            cookie = place.signer.unsign(cookie).decode()
        except (BadSignature, UnicodeError):
            return None
    return cookie if cookie is not None and _likely(cookie) else None


def _cookie(place: _Place, sid: str) -> str:
    return sid if place.signer is None else place.signer.sign(sid).decode()


def _secrets(app: Flask, purpose: str) -> list[bytes]:
    keys = [key.encode() if isinstance(key, str) else key for key in secret_keys_of(app)]
    if not keys:
        raise Misconfigured(f"{purpose} needs a secret key: set app.secret_key first")
    return keys


def _refuse(response: Response) -> None:
    response.status_code = 409
    response.content_type = "text/plain; charset=utf-8"
    response.set_data("Another request of this session was faster; nothing of this one was kept. Please try again.\n")
