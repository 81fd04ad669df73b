"""Django's sessions beside a cache, where Django's own tests do not look."""

from __future__ import annotations

import inspect
import pickle
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.management.commands import clearsessions
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.cache import InvalidCacheBackendError, caches
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from kt_cache.django import get_cache
from kt_cache.django import sessions as engine
from kt_cache.django.sessions import CreateError, SessionStore, UpdateError, log_out_everywhere, sessions_of
from kt_core.errors import InvalidInput, StoreFull
from tests.adapters.conftest import SERVERS
from tests.adapters.sessions import Call, User, again, awaited, embedded_sessions, sessions_at, stored, waiting
from tests.clock import Clock
from tests.fix_servers import PATIENTLY


@pytest.fixture(params=["embedded", *SERVERS])
def place(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep sessions beside a cache, for each kind of store."""
    if request.param == "embedded":
        with embedded_sessions(request.getfixturevalue("tmp_path")):
            yield
    else:
        with sessions_at(request.getfixturevalue("locate")(request.param)):
            get_cache().clear()
            yield


@pytest.fixture(params=[waiting, awaited])
def call(request: pytest.FixtureRequest) -> Any:
    """Return a function that calls a session's method, once as it is and once its awaited twin."""
    return request.param


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[None]:
    """Keep sessions beside an embedded cache."""
    with embedded_sessions(tmp_path):
        yield


# -- where they are ----------------------------------------------------------------------------------------


def test_beside_an_embedded_cache_is_a_durable_database(embedded: None, tmp_path: Path) -> None:
    session = stored(a=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "cache-sessions"]
    assert get_cache().get(session.cache_key) is None
    get_cache().clear()
    assert again(session)["a"] == 1


@pytest.mark.parametrize("where", ["OPTIONS", "LOCATION"])
def test_a_cache_that_says_how_it_keeps_records_keeps_sessions_too(tmp_path: Path, where: str) -> None:
    options = {"DURABILITY": "process"} if where == "OPTIONS" else {}
    query = "?durability=process" if where == "LOCATION" else ""
    with embedded_sessions(tmp_path, OPTIONS=options):
        entry = {**caches.settings["default"], "LOCATION": f"embedded://{tmp_path}/cache{query}"}
        with override_settings(CACHES={"default": entry}):
            session = stored(a=1)
            assert get_cache().get(session.cache_key) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize(
    "own",
    [
        {"KEY_PREFIX": "other"},
        {"VERSION": 2},
        {"KEY_FUNCTION": lambda key, prefix, version: f"{prefix}/{version}/{key}"},
    ],
    ids=["prefix", "version", "function"],
)
def test_keys_are_made_as_the_cache_makes_them(kyoto: Any, own: dict[str, Any]) -> None:
    with sessions_at(f"kt://{kyoto}{PATIENTLY}"):
        first = stored(a=1, _auth_user_id="7")
    with sessions_at(f"kt://{kyoto}{PATIENTLY}", **own):
        assert again(first).load() == {}
        second = stored(a=2, _auth_user_id="7")
        assert get_cache().get(second.cache_key) is not None
        assert sessions_of(7) == [second.session_key]
    with sessions_at(f"kt://{kyoto}{PATIENTLY}"):
        assert log_out_everywhere(7) == 1
    with sessions_at(f"kt://{kyoto}{PATIENTLY}", **own):
        assert log_out_everywhere(7) == 1


def test_the_alias_is_a_kt_cache() -> None:
    entry = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    with override_settings(CACHES={"default": entry}), pytest.raises(ImproperlyConfigured, match="LocMemCache"):
        SessionStore()


def test_an_alias_that_there_is_no_more_is_not_known(embedded: None) -> None:
    stored(a=1)
    with override_settings(SESSION_CACHE_ALIAS="other"), pytest.raises(InvalidCacheBackendError):
        SessionStore()
    with override_settings(CACHES={}), pytest.raises(InvalidCacheBackendError):
        SessionStore()


def test_a_database_that_cannot_be_is_improper_configuration(tmp_path: Path) -> None:
    (tmp_path / "cache-sessions").write_text("a file")
    with embedded_sessions(tmp_path), pytest.raises(ImproperlyConfigured, match="sessions beside CACHES"):
        SessionStore()


# -- keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", [None, "", "short", "x" * 129, "x" * 1240, "ключ-сессии", "new\nline0", "a space in it", "del\x7f-here"]
)
def test_what_cannot_be_a_key_is_not_asked_for(call: Call, key: str | None) -> None:
    with sessions_at("kt://127.0.0.1:1"):  # where nobody answers
        session = SessionStore(key)
        assert session.session_key is None
        assert call(session, "load") == {}
        assert call(session, "exists", key) is False
        call(session, "delete", key)


def test_keys_are_django_s_and_never_the_same(place: None, call: Call) -> None:
    keys = {stored(call).session_key for _ in range(20)}
    assert len(keys) == 20
    assert all(key is not None and len(key) == 32 and key.isalnum() and key.lower() == key for key in keys)


def test_a_key_that_nobody_has_is_not_taken_over(place: None, call: Call) -> None:
    session = SessionStore("somebody-elses-idea")
    assert call(session, "get", "a") is None
    assert session.session_key is None
    call(session, "save")
    assert session.session_key != "somebody-elses-idea"


# -- storing -----------------------------------------------------------------------------------------------


def test_a_session_is_stored_and_loaded(place: None, call: Call) -> None:
    session = stored(call, a=1, b=[1, {"c": None}])
    assert call(again(session), "load") == {"a": 1, "b": [1, {"c": None}]}
    assert call(session, "exists", session.session_key) is True
    assert session.modified
    call(session, "cycle_key")
    assert call(again(session), "load") == {"a": 1, "b": [1, {"c": None}]}
    call(session, "flush")
    assert session.session_key is None


def test_what_is_there_already_is_not_created(place: None, call: Call) -> None:
    session = stored(call, a=1)
    with pytest.raises(CreateError):
        call(again(session), "save", must_create=True)
    assert again(session)["a"] == 1


@pytest.mark.parametrize("prepare", [lambda session: session.keys(), lambda session: session.clear()])
def test_a_session_that_is_gone_is_not_stored(place: None, call: Call, prepare: Any) -> None:
    session = stored(call, a=1)
    other = again(session)
    prepare(other)
    call(session, "delete")
    with pytest.raises(UpdateError):
        call(other, "save")
    assert again(session).load() == {}


def test_a_session_is_replaced_unread(place: None, call: Call) -> None:
    session = stored(call, _auth_user_id="7", a=1)
    other = again(session)
    other.clear()
    call(other, "save")
    assert again(session).load() == {}
    assert sessions_of(7) == []


def test_a_user_s_session_that_was_ended_gets_no_new_key(place: None, call: Call) -> None:
    session = stored(call, _auth_user_id="7")
    log_out_everywhere(7)
    with pytest.raises(UpdateError):
        call(session, "cycle_key")
    assert sessions_of(7) == []


def test_a_session_that_was_never_stored_gets_a_key(place: None, call: Call) -> None:
    session = SessionStore()
    session["a"] = 1
    call(session, "cycle_key")
    assert again(session)["a"] == 1


def test_changes_deep_inside_are_stored_though_django_does_not_see_them(place: None, call: Call) -> None:
    session = again(stored(call, cart=[1]))
    call(session, "get", "cart").append(2)
    assert not session.modified
    call(session, "save")
    assert again(session)["cart"] == [1, 2]


@pytest.mark.parametrize("age", [-1, -(10**9)])
def test_a_session_whose_time_is_over_is_gone(place: None, call: Call, age: int) -> None:
    session = SessionStore()
    session.set_expiry(age)
    call(session, "save")
    assert again(session).load() == {}
    session = stored(call, a=1)
    session.set_expiry(age)
    call(session, "save")
    assert again(session).load() == {}


def test_a_session_lives_from_each_save_anew(tmp_path: Path, call: Call) -> None:
    clock = Clock()
    with embedded_sessions(tmp_path, CLOCK=clock), override_settings(SESSION_COOKIE_AGE=100):
        session = stored(call, _auth_user_id="7", a=1)
        for _ in range(5):
            clock.advance(99)
            session = again(session)
            call(session, "save")
        assert sessions_of(7) == [session.session_key]
        clock.advance(-3600)
        assert again(session)["a"] == 1
        clock.advance(3600 + 99)
        assert again(session)["a"] == 1
        clock.advance(1)
        assert again(session).load() == {}
        assert sessions_of(7) == []


def test_a_session_of_the_browser_s_length_is_kept_as_long_as_any(tmp_path: Path, call: Call) -> None:
    clock = Clock()
    with embedded_sessions(tmp_path, CLOCK=clock), override_settings(SESSION_COOKIE_AGE=100):
        session = SessionStore()
        session.set_expiry(0)
        call(session, "save")
        clock.advance(99)
        assert again(session).get_expire_at_browser_close()
        clock.advance(1)
        assert again(session).load() == {}


# -- what cannot be kept, or read --------------------------------------------------------------------------


def test_what_json_cannot_keep_is_refused_and_nothing_lost(place: None, call: Call) -> None:
    session = again(stored(call, a=1))
    session["a"] = {1, 2}
    with pytest.raises(TypeError, match="not JSON serializable"):
        call(session, "save")
    assert again(session)["a"] == 1


def test_a_project_may_choose_pickle(place: None, call: Call) -> None:
    with override_settings(SESSION_SERIALIZER="tests.adapters.sessions.PickleSerializer"):
        assert again(stored(call, a={1, 2}))["a"] == {1, 2}


def test_a_full_database_says_so_and_loses_nothing(tmp_path: Path, call: Call) -> None:
    with embedded_sessions(tmp_path, OPTIONS={"max_size": 1 << 20}):
        session = stored(call, _auth_user_id="7", a=1)
        session["a"] = "x" * (1 << 20)
        with pytest.raises(StoreFull):
            call(session, "save")
        assert again(session).load() == {"_auth_user_id": "7", "a": 1}


def fill() -> list[SessionStore]:
    """Store sessions until there is room for no other one."""
    sessions: list[SessionStore] = []
    with suppress(StoreFull):
        while len(sessions) < 1000:
            sessions.append(stored(_auth_user_id="7", a="x" * 20_000))
    assert 10 < len(sessions) < 1000
    return sessions


def test_in_a_full_database_sessions_can_be_read_kept_and_ended(tmp_path: Path, call: Call) -> None:
    with embedded_sessions(tmp_path, OPTIONS={"max_size": 1 << 20}):
        sessions = fill()
        assert all(again(session).load() == dict(session.items()) for session in sessions)
        call(sessions[0], "flush")
        assert again(stored(call, a=1))["a"] == 1
        assert call(engine, "log_out_everywhere", 7) == len(sessions) - 1
        assert again(stored(call, a="x" * 50_000))["a"]


def test_in_a_full_database_expired_sessions_make_room(tmp_path: Path, call: Call) -> None:
    clock = Clock()
    with (
        embedded_sessions(tmp_path, OPTIONS={"max_size": 1 << 20}, CLOCK=clock),
        override_settings(SESSION_COOKIE_AGE=100),
    ):
        fill()
        clock.advance(100)
        assert again(stored(call, a="x" * 10_000))["a"]


class Bomb:
    """Does harm when it is unpickled."""

    exploded = False

    def __reduce__(self) -> Any:
        return setattr, (Bomb, "exploded", True)


BAD = {
    "a pickle": pickle.dumps(Bomb()),
    "json": b"\x10{}",
    "not a session": b"\0" + b"\1" * 30,
    "damaged": b"\0\1" + bytes(12) + b'{"a": ',
    "no dictionary": b"\0\1" + bytes(12) + b"[1, 2, 3]",
    "a number": 5,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_what_is_no_session_is_an_empty_one(
    place: None, call: Call, caplog: pytest.LogCaptureFixture, bad: bytes | int
) -> None:
    session = stored(call, a=1)
    key = session.session_key
    engine._place().store.set(get_cache()._key(session.cache_key, None), bad, None)
    other = again(session)
    assert call(other, "get", "a") is None
    assert other.session_key is None
    assert [(record.name, record.message) for record in caplog.records] == [
        ("django.security.SuspiciousSession", "Session data corrupted")
    ]
    assert not Bomb.exploded
    call(other, "save")
    assert other.session_key != key


def test_a_session_that_cannot_be_read_is_not_replaced_unread(place: None, call: Call) -> None:
    session = stored(call, a=1)
    engine._place().store.set(get_cache()._key(session.cache_key, None), b"\0nonsense", None)
    session = again(session)
    session.clear()
    with pytest.raises(UpdateError):
        call(session, "save")


def test_signed_sessions_outlive_a_change_of_the_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with embedded_sessions(tmp_path, OPTIONS={"sign": True}):
        entry = caches.settings["default"]
        session = stored(a=1)

        def load_with(secret: str, *fallbacks: str) -> dict[str, Any]:
            with override_settings(SECRET_KEY=secret, SECRET_KEY_FALLBACKS=fallbacks, CACHES={"default": {**entry}}):
                return again(session).load()

        assert load_with("new", "for tests alone") == {"a": 1}
        assert load_with("new") == {}
        assert "Session data corrupted" in caplog.text


# -- requests ----------------------------------------------------------------------------------------------


def request_with(session: SessionBase | None, view: Any) -> HttpResponse:
    """Run a view with a session, as Django's middleware does."""
    request = RequestFactory().get("/")
    if session is not None:
        request.COOKIES["sessionid"] = session.session_key or ""

    def respond(request: HttpRequest) -> HttpResponse:
        view(request.session)
        return HttpResponse("")

    response = SessionMiddleware(respond)(request)
    assert isinstance(response, HttpResponse)
    return response


def test_a_request_s_session_has_a_cookie(place: None) -> None:
    response = request_with(None, lambda session: session.update({"a": 1}))
    assert SessionStore(response.cookies["sessionid"].value)["a"] == 1


def test_a_request_that_is_overtaken_by_a_logout_is_interrupted(place: None) -> None:
    session = stored(_auth_user_id="7")

    def view(own: SessionBase) -> None:
        own["a"] = 1
        log_out_everywhere(7)

    with pytest.raises(SessionInterrupted):
        request_with(session, view)
    assert again(session).load() == {}


@override_settings(SESSION_SAVE_EVERY_REQUEST=True)
def test_a_session_that_only_lives_on_keeps_what_others_have_stored(place: None) -> None:
    session = stored(a=1)

    def view(own: SessionBase) -> None:
        assert own["a"] == 1
        session["a"] = 2
        session.save()

    response = request_with(session, view)
    assert response.cookies["sessionid"].value == session.session_key
    assert again(session)["a"] == 2


@pytest.mark.parametrize(("merge", "expected"), [(False, {"a": 1, "b": 2}), (True, {"a": 2, "b": 2})])
def test_overlapping_requests_keep_each_other_s_changes_if_they_are_to(
    place: None, call: Call, merge: bool, expected: dict[str, int]
) -> None:
    session = stored(call, a=1, b=1)
    other = again(session)
    assert other["a"] == 1
    with override_settings(KT_SESSION_MERGE=merge):
        session["a"] = 2
        call(session, "save")
        other["b"] = 2
        call(other, "save")
    assert again(session).load() == expected == dict(other.items())


# -- all sessions of a user --------------------------------------------------------------------------------


def test_a_user_s_sessions_are_listed_and_ended(place: None, call: Call) -> None:
    mine = [stored(call, _auth_user_id="7") for _ in range(3)]
    stored(call, _auth_user_id="70")
    stored(call, a=1)
    assert sorted(call(engine, "sessions_of", 7)) == sorted(str(session.session_key) for session in mine)
    assert call(engine, "log_out_everywhere", "7", keep=mine[1].session_key) == 2
    assert call(engine, "sessions_of", "7") == [mine[1].session_key]
    assert call(engine, "log_out_everywhere", "7") == 1
    assert len(call(engine, "sessions_of", "70")) == 1


def test_a_user_may_be_given_as_such(place: None) -> None:
    user = User(id=uuid.UUID(int=7))
    session = stored(_auth_user_id=User._meta.pk.value_to_string(user))
    assert sessions_of(user) == sessions_of(user.pk) == [session.session_key]
    assert log_out_everywhere(user) == 1


@pytest.mark.parametrize("user", [None, User(id=None), SimpleNamespace(pk=None)], ids=["none", "new", "anonymous"])
def test_nobody_has_no_sessions(embedded: None, user: Any) -> None:
    with pytest.raises(InvalidInput, match="has no id"):
        sessions_of(user)


def test_expired_sessions_are_cleared(tmp_path: Path, call: Call) -> None:
    clock = Clock()
    with embedded_sessions(tmp_path, CLOCK=clock):
        session = stored(a=1)
        short = stored(a=2)
        short.set_expiry(10)
        short.save()
        store = engine._place().store
        clock.advance(10)
        assert store.stats().entries == 2
        call(SessionStore, "clear_expired")
        assert store.stats().entries == 1
        assert again(session)["a"] == 1


def test_sessions_are_cleared_as_django_s_command_does_it(place: None) -> None:
    session = stored(a=1)
    clearsessions.Command().handle()
    assert again(session)["a"] == 1


# -- the class ---------------------------------------------------------------------------------------------


def test_no_coroutine_takes_a_thread() -> None:
    coroutines = [name for name in vars(SessionBase) if name.startswith("a") and f"{name[1:]}" in vars(SessionBase)]
    hopping = [name for name in coroutines if "sync_to_async" in inspect.getsource(getattr(SessionBase, name))]
    assert len(hopping) == 6
    assert all(name in vars(SessionStore) for name in [*hopping, "acycle_key"])
