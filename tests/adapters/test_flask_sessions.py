"""Flask's sessions over every store: what survives, what is written when, and what happens on bad days."""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import flask
import flask_session
import pytest
from flask import session
from flask.testing import FlaskClient
from markupsafe import Markup
from werkzeug.test import TestResponse

from kt_cache.flask import KTCache
from kt_cache.flask.sessions import KTSessionInterface, destroy, log_out_everywhere, regenerate, sessions_of
from kt_core.errors import KTError, Misconfigured
from tests.adapters.conftest import SERVERS
from tests.fix_servers import running

Make: TypeAlias = Callable[..., flask.Flask]

VALUES = {
    "text": "ключ",
    "number": 5,
    "markup": Markup("<b>"),
    "time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "uuid": uuid.UUID(int=7),
    "bytes": b"\0\xff",
    "tuple": (1, "a"),
    "nested": {"list": [1, {"deep": None}]},
}


@pytest.fixture(params=["embedded", *SERVERS])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a location without records, of each kind."""
    if request.param == "embedded":
        return f"embedded://{tmp_path}/place?max_size=4MiB&durability=process"
    server: str = request.getfixturevalue("locate")(request.param)
    KTCache(server).clear()
    return server


@pytest.fixture
def make(location: str) -> Make:
    """Return a function that makes applications with sessions in that place."""

    def make(views: Iterable[Callable[[], Any]] = (), **config: Any) -> flask.Flask:
        return application(views, SESSION_KT_LOCATION=location, **config)

    return make


@pytest.fixture
def app(make: Make) -> flask.Flask:
    """Return an application as most are configured."""
    return make()


def application(views: Iterable[Callable[[], Any]] = (), **config: Any) -> flask.Flask:
    """Return an application whose pages do with the session what they are named after; `views` are more of them."""
    app = flask.Flask("shop")
    app.secret_key = "for tests alone"
    app.config.update(config)
    KTSessionInterface(app)

    for view in views:
        app.add_url_rule(f"/{view.__name__}", view_func=view)

    @app.get("/set/<name>/<value>")
    def set_value(name: str, value: str) -> str:
        session[name] = value
        return ""

    @app.get("/show")
    def show() -> dict[str, Any]:
        return {name: str(value) for name, value in session.items()}

    @app.get("/nothing")
    def nothing() -> str:
        return ""

    @app.get("/clear")
    def clear() -> str:
        session.clear()
        return ""

    @app.get("/destroy")
    def end() -> str:
        destroy()
        return str(len(session))

    @app.get("/regenerate")
    def again() -> str:
        regenerate()
        return ""

    return app


def cookie(client: FlaskClient) -> str | None:
    """Return the session's cookie."""
    found = client.get_cookie("session")
    return found.value if found is not None else None


def stored(app: flask.Flask) -> list[bytes]:
    """Return the keys of the sessions in the store."""
    keys: list[bytes] = app.extensions["kt_cache.sessions"].store.keys(b"session:")
    return keys


class TestValues:
    """What is in a session."""

    @pytest.mark.parametrize("serializer", ["msgpack", "json"])
    def test_values_survive(self, make: Make, serializer: str) -> None:
        app = make(SESSION_KT_SERIALIZER=serializer)
        seen = {}

        @app.get("/store")
        def store() -> str:
            session.update(VALUES)
            flask.flash("well done", "good")
            return ""

        @app.get("/look")
        def look() -> str:
            seen.update(session)
            seen["flashed"] = flask.get_flashed_messages(with_categories=True)
            return ""

        client = app.test_client()
        client.get("/store")
        client.get("/look")
        assert seen["flashed"] == [("good", "well done")]
        for name, value in VALUES.items():
            assert seen[name] == value
            assert type(seen[name]) is type(value)

    def test_changes_within_values_are_kept(self, app: flask.Flask) -> None:
        @app.get("/append")
        def append() -> dict[str, Any]:
            session.setdefault("items", []).append(1)
            return dict(session)

        client = app.test_client()
        client.get("/append")
        client.get("/append")
        assert client.get("/append").json == {"items": [1, 1, 1]}

    @pytest.mark.parametrize("serializer", ["msgpack", "json"])
    def test_what_cannot_be_stored_is_named_and_the_old_session_stays(self, make: Make, serializer: str) -> None:
        app = make(SESSION_KT_SERIALIZER=serializer, PROPAGATE_EXCEPTIONS=True)

        @app.get("/bad")
        def bad() -> str:
            session["good"] = "new"
            session["bad"] = object()
            return ""

        client = app.test_client()
        client.get("/set/good/old")
        with pytest.raises(TypeError, match=r"session\['bad'\]"):
            client.get("/bad")
        assert client.get("/show").json == {"good": "old"}

    def test_views_may_be_async(self, app: flask.Flask) -> None:
        @app.get("/async")
        async def view() -> str:
            session["a"] = "1"
            return ""

        client = app.test_client()
        client.get("/async")
        assert client.get("/show").json == {"a": "1"}


class TestCookies:
    """When the cookie is sent, and what it says."""

    def test_nothing_is_stored_without_need(self, app: flask.Flask) -> None:
        client = app.test_client()
        for page in ("/nothing", "/show", "/clear"):
            client.get(page)
        assert stored(app) == []
        assert cookie(client) is None

    def test_ids_cannot_be_guessed_and_are_not_the_visitor_s_choice(self, app: flask.Flask) -> None:
        client = app.test_client()
        chosen = "x" * 43
        client.set_cookie("session", chosen)
        client.get("/set/a/1")
        assert cookie(client) != chosen
        assert re.fullmatch(r"[\w-]{43}", cookie(client) or "")

    def test_accessed_sessions_vary_by_cookie(self, app: flask.Flask) -> None:
        client = app.test_client()
        assert "Cookie" in client.get("/show").headers.get("Vary", "")
        assert "Cookie" not in client.get("/nothing").headers.get("Vary", "")

    def test_a_permanent_session_s_cookie_is_refreshed(self, app: flask.Flask) -> None:
        @app.get("/permanent")
        def permanent() -> str:
            session.permanent = True
            return ""

        client = app.test_client()
        assert "Expires" in client.get("/permanent").headers["Set-Cookie"]
        assert "Expires" in client.get("/nothing").headers["Set-Cookie"]
        app.config["SESSION_REFRESH_EACH_REQUEST"] = False
        assert "Set-Cookie" not in client.get("/nothing").headers

    def test_a_session_that_is_not_permanent_is_the_browser_s(self, app: flask.Flask) -> None:
        client = app.test_client()
        assert "Expires" not in client.get("/set/a/1").headers["Set-Cookie"]
        assert "Set-Cookie" not in client.get("/show").headers

    def test_the_cookie_s_settings(self, make: Make) -> None:
        app = make(
            SESSION_COOKIE_NAME="own",
            SESSION_COOKIE_PATH="/set",
            SESSION_COOKIE_SECURE=True,
            SESSION_COOKIE_SAMESITE="Lax",
            SESSION_COOKIE_HTTPONLY=True,
        )
        sent = app.test_client().get("/set/a/1").headers["Set-Cookie"]
        assert sent.startswith("own=")
        for part in ("Secure", "HttpOnly", "Path=/set", "SameSite=Lax"):
            assert part in sent

    def test_signed_ids(self, make: Make) -> None:
        app = make(SESSION_KT_SIGN_IDS=True)
        client = app.test_client()
        client.get("/set/a/1")
        signed = cookie(client)
        assert signed is not None
        assert client.get("/show").json == {"a": "1"}
        client.set_cookie("session", signed.partition(".")[0])
        assert client.get("/show").json == {}
        other = make(SESSION_KT_SIGN_IDS=True)
        other.secret_key = "another"
        KTSessionInterface(other)
        stranger = other.test_client()
        stranger.set_cookie("session", signed)
        assert stranger.get("/show").json == {}

    def test_a_new_secret_key_reads_what_the_old_one_signed(self, make: Make) -> None:
        app = make(SESSION_KT_SIGN_IDS=True)
        client = app.test_client()
        client.get("/set/a/1")
        rotated = make(SESSION_KT_SIGN_IDS=True, SECRET_KEY_FALLBACKS=["for tests alone"])
        rotated.secret_key = "new"
        KTSessionInterface(rotated)
        again = rotated.test_client()
        again.set_cookie("session", cookie(client) or "")
        assert again.get("/show").json == {"a": "1"}

    @pytest.mark.parametrize("signs", [False, True])
    @pytest.mark.parametrize("text", ["", "a", "x" * 1240, "x" * 4_000, "\x7f" * 43, "ключ", "a.b.c", "../../etc"])
    def test_a_forged_cookie_is_none(self, make: Make, text: str, signs: bool) -> None:
        app = make(SESSION_KT_SIGN_IDS=signs)
        client = app.test_client()
        client.set_cookie("session", text)
        assert client.get("/show").json == {}
        assert client.get("/set/a/1").status_code == 200
        assert client.get("/show").json == {"a": "1"}


class TestLifetime:
    """How long a session is there."""

    def test_it_is_that_of_the_application(self, make: Make) -> None:
        app = make(PERMANENT_SESSION_LIFETIME=timedelta(seconds=100))
        client = app.test_client()
        client.get("/set/a/1")
        store = app.extensions["kt_cache.sessions"].store
        (key,) = stored(app)
        assert store.ttl(key) == pytest.approx(100, abs=1.5)

    def test_a_request_refreshes_it_without_writing_the_session(self, make: Make) -> None:
        app = make(PERMANENT_SESSION_LIFETIME=timedelta(seconds=100))
        client = app.test_client()
        client.get("/set/a/1")
        store = app.extensions["kt_cache.sessions"].store
        (key,) = stored(app)
        before = store.get(key)
        store.touch(key, 50)
        client.get("/nothing")
        assert store.ttl(key) == pytest.approx(100, abs=1.5)
        assert store.get(key) == before

    def test_a_session_that_was_refreshed_just_now_is_left_alone(self, make: Make) -> None:
        app = make(PERMANENT_SESSION_LIFETIME=timedelta(seconds=1000))
        client = app.test_client()
        client.get("/set/a/1")
        store = app.extensions["kt_cache.sessions"].store
        (key,) = stored(app)
        store.touch(key, 995)
        client.get("/nothing")
        assert store.ttl(key) < 997

    def test_an_expired_one_is_begun_anew(self, app: flask.Flask) -> None:
        client = app.test_client()
        client.get("/set/a/1")
        before = cookie(client)
        app.extensions["kt_cache.sessions"].store.delete(*stored(app))
        assert client.get("/show").json == {}
        client.get("/set/b/2")
        assert cookie(client) != before
        assert client.get("/show").json == {"b": "2"}


class TestEnds:
    """Sessions that end, and those that get another id."""

    @pytest.mark.parametrize("page", ["/clear", "/destroy"])
    def test_nothing_is_left(self, app: flask.Flask, page: str) -> None:
        client = app.test_client()
        client.get("/set/a/1")
        old = cookie(client) or ""
        client.get(page)
        assert cookie(client) is None
        assert stored(app) == []
        client.set_cookie("session", old)
        assert client.get("/show").json == {}

    def test_regenerate_keeps_what_is_in_it(self, app: flask.Flask) -> None:
        client = app.test_client()
        client.get("/set/a/1")
        old = cookie(client) or ""
        client.get("/regenerate")
        assert cookie(client) not in (None, old)
        assert client.get("/show").json == {"a": "1"}
        client.set_cookie("session", old)
        assert client.get("/show").json == {}

    def test_a_login_gives_another_id(self, app: flask.Flask) -> None:
        client = app.test_client()
        client.get("/set/basket/1")
        fixed = cookie(client) or ""
        client.get("/set/_user_id/7")
        assert cookie(client) != fixed
        assert client.get("/show").json == {"basket": "1", "_user_id": "7"}
        client.set_cookie("session", fixed)
        assert client.get("/show").json == {}

    def test_log_out_everywhere(self, make: Make) -> None:
        def everywhere() -> str:
            return str(log_out_everywhere(7, keep_present=True))

        app = make([everywhere])
        phone, desk, other = app.test_client(), app.test_client(), app.test_client()
        for client, user in ((phone, "7"), (desk, "7"), (other, "8")):
            client.get(f"/set/_user_id/{user}")

        with app.app_context():
            assert sorted(sessions_of("7")) == sorted([cookie(phone), cookie(desk)])  # type: ignore[type-var]
        assert desk.get("/everywhere").text == "1"
        assert phone.get("/show").json == {}
        assert desk.get("/show").json == {"_user_id": "7"}
        assert other.get("/show").json == {"_user_id": "8"}

    def test_a_request_under_way_does_not_bring_back_what_has_ended(self, make: Make) -> None:
        def slow() -> str:
            log_out_everywhere("7")
            session["late"] = "1"
            return ""

        app = make([slow])
        client = app.test_client()
        client.get("/set/_user_id/7")
        client.get("/slow")
        assert cookie(client) is None
        assert stored(app) == []


class TestConflicts:
    """Two requests of one session at once."""

    def overlap(self, make: Make, **config: Any) -> tuple[TestResponse, FlaskClient]:
        """Let a request set "b" while another one sets "a"; return the response of the first, and a client."""
        inside, done = threading.Event(), threading.Event()

        def slow() -> str:
            session["b"] = "2"
            del session["old"]
            inside.set()
            assert done.wait(10)
            return "kept"

        app = make([slow], **config)
        client, other = app.test_client(), app.test_client()
        client.get("/set/old/1")
        other.set_cookie("session", cookie(client) or "")
        responses = []
        thread = threading.Thread(target=lambda: responses.append(other.get("/slow")))
        thread.start()
        assert inside.wait(10)
        client.get("/set/a/1")
        done.set()
        thread.join(10)
        return responses[0], client

    def test_both_keep_their_changes(self, make: Make) -> None:
        response, client = self.overlap(make)
        assert response.text == "kept"
        assert client.get("/show").json == {"a": "1", "b": "2"}

    def test_the_second_is_refused(self, make: Make, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING, "kt_cache")
        response, client = self.overlap(make, SESSION_KT_ON_CONFLICT="refuse")
        assert response.status_code == 409
        assert "try again" in response.text
        assert client.get("/show").json == {"old": "1", "a": "1"}
        assert len(caplog.records) == 1

    def test_the_last_one_wins(self, make: Make) -> None:
        _, client = self.overlap(make, SESSION_KT_ON_CONFLICT="overwrite")
        assert client.get("/show").json == {"b": "2"}


class TestBadDays:
    """Damage, outages, and mistakes in the settings."""

    @pytest.mark.parametrize("signs", [False, True])
    def test_what_is_no_session_is_none(self, make: Make, signs: bool, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING, "kt_cache")
        app = make(SESSION_KT_OPTIONS={"sign": signs})
        client = app.test_client()
        store = app.extensions["kt_cache.sessions"].store
        bomb = b"\x80\x04cos\nsystem\n(S'false'\ntR."
        for damage in (bomb, b"", b"\x00", b"\x10nonsense", 5):
            client.get("/set/a/1")
            (key,) = stored(app)
            store.set(key, damage, None)
            assert client.get("/show").json == {}
            store.clear()
        assert caplog.records

    def test_sessions_cannot_be_exchanged_when_signed(self, make: Make) -> None:
        app = make(SESSION_KT_OPTIONS={"sign": True})
        mine, theirs = app.test_client(), app.test_client()
        mine.get("/set/me/1")
        (my_key,) = stored(app)
        theirs.get("/set/them/1")
        (their_key,) = set(stored(app)) - {my_key}
        store = app.extensions["kt_cache.sessions"].store
        store.set(my_key, store.get(their_key), None)
        assert mine.get("/show").json == {}

    def test_an_outage_is_an_error_and_no_logout(self) -> None:
        with running("bundled") as address:
            app = application(SESSION_KT_LOCATION=f"kt://{address}", SESSION_KT_OPTIONS={"on_error": "miss"})
            client = app.test_client()
            client.get("/set/a/1")
            kept = cookie(client)
            assert client.get("/show").json == {"a": "1"}
        response = client.get("/show")
        assert response.status_code == 500
        assert "Set-Cookie" not in response.headers
        assert cookie(client) == kept
        assert app.test_client().get("/nothing").status_code == 200
        app.config["PROPAGATE_EXCEPTIONS"] = True
        with pytest.raises(KTError):
            client.get("/show")

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"SESSION_KT_LOCATON": "embedded://x"}, "did you mean 'SESSION_KT_LOCATION'"),
            ({"SESSION_KT_SERIALIZER": "pickle"}, "choose one of 'msgpack', 'json'"),
            ({"SESSION_KT_ON_CONFLICT": "merg"}, "did you mean 'merge'"),
            ({"SESSION_KT_OPTIONS": {"sgin": True}}, "did you mean 'sign'"),
            ({"SESSION_KT_OPTIONS": {"serializer": "json"}}, "SESSION_KT_SERIALIZER"),
            ({"SESSION_KT_LOCATION": "redis://x"}, "redis"),
        ],
    )
    def test_mistakes_say_what_to_write(self, config: dict[str, Any], words: str, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match=words):
            application(**{"SESSION_KT_LOCATION": f"embedded://{tmp_path}/place", **config})
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("config", [{"SESSION_KT_SIGN_IDS": True}, {"SESSION_KT_OPTIONS": {"sign": True}}])
    def test_signing_needs_a_key(self, config: dict[str, Any], tmp_path: Path) -> None:
        app = flask.Flask("shop")
        app.config.update(SESSION_KT_LOCATION=f"embedded://{tmp_path}/x", **config)
        with pytest.raises(Misconfigured, match=r"app\.secret_key"):
            KTSessionInterface(app)

    def test_views_without_our_sessions_are_told_so(self) -> None:
        app = flask.Flask("shop")
        app.secret_key = "x"
        with app.test_request_context(), pytest.raises(Misconfigured, match="KTSessionInterface"):
            regenerate()


def test_an_embedded_place_of_its_own_keeps_every_session(tmp_path: Path) -> None:
    app = application(SESSION_KT_LOCATION=f"embedded://{tmp_path}/place?max_size=4MiB")
    app.test_client().get("/set/a/1")
    store = app.extensions["kt_cache.sessions"].store
    assert store.stats().location.endswith("place-sessions")


class TestFlaskSession:
    """Flask-Session's own interface over our cache, as ``SESSION_TYPE = "cachelib"``."""

    @pytest.fixture
    def client(self, location: str) -> FlaskClient:
        """Return a visitor of an application which is configured that way."""
        app = flask.Flask("shop")
        cache = KTCache(location, serializer="msgpack")
        app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)
        flask_session.Session(app)

        @app.get("/set/<value>")
        def set_value(value: str) -> str:
            session["k"] = value
            return ""

        @app.get("/get")
        def get() -> str:
            return str(session.get("k"))

        @app.get("/clear")
        def clear() -> str:
            session.clear()
            return ""

        return app.test_client()

    def test_it_works(self, client: FlaskClient) -> None:
        client.get("/set/v")
        assert client.get("/get").text == "v"
        client.get("/clear")
        assert client.get("/get").text == "None"
