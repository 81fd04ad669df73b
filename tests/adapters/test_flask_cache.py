"""`KTCache` for Flask: Flask's conventions on every store, its settings, and bad days."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import cachelib
import flask
import flask_caching
import pytest
from cachelib.serializers import JSONSerializer
from markupsafe import Markup

from kt_cache.flask import KTCache
from kt_cache.flask.application import database_of
from kt_core.errors import ConnectionFailed, InvalidInput, KTError, Misconfigured
from tests.adapters.conftest import SERVERS
from tests.clock import Clock
from tests.fix_servers import TYRANT_KINDS, running

Make: TypeAlias = Callable[..., KTCache]


class Place(NamedTuple):
    """A location, and the clock of its records."""

    location: str
    clock: Clock


@pytest.fixture(params=["embedded", *SERVERS])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return a place without records, of each kind."""
    if request.param == "embedded":
        return Place(f"embedded://{tmp_path}/place?max_size=4MiB", Clock())
    location = request.getfixturevalue("locate")(request.param)
    KTCache(location).clear()
    if request.param in TYRANT_KINDS:
        return Place(location, Clock())
    return Place(location, request.getfixturevalue("clock_of")(request.param))


@pytest.fixture
def make(place: Place) -> Iterator[Make]:
    """Return a function that makes caches of that place."""

    class Clocked(KTCache):
        clock = staticmethod(place.clock)

    made = []

    def make(**options: Any) -> KTCache:
        made.append(Clocked(place.location, **options))
        return made[-1]

    yield make
    for cache in made:
        cache.store.close()


@pytest.fixture
def cache(make: Make) -> KTCache:
    """Return a cache with a prefix."""
    return make(key_prefix="shop:")


def flask_cache(**config: Any) -> KTCache:
    """Return what Flask-Caching makes of settings."""
    app = flask.Flask("shop")
    app.secret_key = config.pop("SECRET_KEY", None)
    cache = flask_caching.Cache(app, config={"CACHE_TYPE": "kt_cache.flask.KTCache", **config})
    made = app.extensions["cache"][cache]
    assert isinstance(made, KTCache)
    return made


class TestTimeouts:
    """Zero is for ever, None the default: the reverse of Django's."""

    @pytest.mark.parametrize("timeout", [0, timedelta()])
    def test_zero_never_expires(self, cache: KTCache, timeout: Any) -> None:
        cache.set("k", 1, timeout)
        assert cache.ttl("k") == math.inf

    @pytest.mark.parametrize("default", [100, 100.0, timedelta(seconds=100)])
    def test_none_is_the_default(self, make: Make, default: Any) -> None:
        cache = make(default_timeout=default)
        cache.set("k", 1)
        assert cache.ttl("k") == pytest.approx(100, abs=1)

    def test_a_default_of_zero_never_expires(self, make: Make) -> None:
        cache = make(default_timeout=0)
        cache.set_many({"k": 1})
        assert cache.ttl("k") == math.inf

    @pytest.mark.parametrize("timeout", [2, 1.5, timedelta(seconds=1.5)])
    def test_it_is_over_after_its_time(self, cache: KTCache, place: Place, timeout: Any) -> None:
        cache.set("k", 1, timeout)
        assert cache.get("k") == 1
        place.clock.advance(4)
        assert cache.get("k") is None

    @pytest.mark.parametrize("timeout", [-1, timedelta(seconds=-1)])
    def test_less_than_nothing_deletes(self, cache: KTCache, timeout: Any) -> None:
        cache.set("k", 1)
        assert cache.set("k", 2, timeout)
        assert not cache.has("k")

    def test_touch(self, cache: KTCache) -> None:
        cache.set("k", 1, 10)
        assert cache.touch("k", 100)
        assert cache.ttl("k") == pytest.approx(100, abs=1)
        assert not cache.touch("missing")


class TestValues:
    """What is stored and what comes back."""

    def test_none_is_stored_and_there(self, cache: KTCache) -> None:
        assert cache.set("k", None)
        assert cache.has("k")
        assert cache.get("k") is None

    def test_many_keep_order_holes_and_repetitions(self, cache: KTCache) -> None:
        assert cache.set_many({"a": 1, "b": [2]}) == ["a", "b"]
        assert cache.get_many("b", "x", "a", "b") == [[2], None, 1, [2]]
        assert cache.get_dict("a", "x") == {"a": 1, "x": None}

    @pytest.mark.parametrize("method", ["delete_many", "unlink"])
    def test_many_are_deleted_by_names_without_prefix(self, cache: KTCache, method: str) -> None:
        cache.set_many({"a": 1, "b": 2})
        assert getattr(cache, method)("a", "missing") == ["a", "missing"]
        assert cache.get_many("a", "b") == [None, 2]

    def test_counters_are_made_and_keep_their_timeout(self, cache: KTCache) -> None:
        assert cache.inc("n", 5) == 5
        assert cache.ttl("n") == pytest.approx(300, abs=1)
        cache.touch("n", 50)
        assert cache.dec("n", 7) == cache.get("n") == -2
        assert cache.ttl("n") == pytest.approx(50, abs=1)

    def test_numbers_beyond_counters(self, cache: KTCache) -> None:
        assert cache.inc("f", 1.5) == 1.5  # type: ignore[arg-type]
        assert cache.inc("f", 1.5) == cache.get("f") == 3.0  # type: ignore[arg-type]
        cache.set("big", 1 << 70)
        assert cache.inc("big") == (1 << 70) + 1
        cache.set("full", (1 << 63) - 1)
        assert cache.inc("full") == 1 << 63

    def test_what_is_no_number_cannot_be_counted(self, cache: KTCache) -> None:
        cache.set("k", "text")
        with pytest.raises(TypeError):
            cache.inc("k")
        assert cache.get("k") == "text"

    @pytest.mark.parametrize("serializer", ["msgpack", "json", JSONSerializer()])
    def test_other_serializers_run_no_code(self, make: Make, serializer: Any) -> None:
        cache = make(serializer=serializer)
        cache.set("k", {"a": [1, "b"]})
        assert cache.get_many("k") == [{"a": [1, "b"]}]
        make().set("pickled", {1, 2})
        assert cache.get("pickled") is None

    def test_markup_stays_safe(self, make: Make) -> None:
        cache = make(serializer="msgpack")
        cache.set("k", Markup("<b>"))
        assert isinstance(cache.get("k"), Markup)
        assert cache.get("k") == Markup("<b>")

    def test_the_serializer_can_be_replaced(self, cache: KTCache) -> None:
        cache.set("k", {1, 2})
        cache.serializer = JSONSerializer()
        assert isinstance(cache.serializer, JSONSerializer)
        assert cache.get("k") is None
        assert cache.set("k", [1])
        assert cache.get("k") == [1]

    def test_a_subclass_may_have_one_of_its_own(self, place: Place) -> None:
        class Own(KTCache):
            serializer = JSONSerializer()  # type: ignore[assignment]

        cache = Own(place.location)
        assert isinstance(cache.serializer, JSONSerializer)
        cache.set("k", (1, 2))
        assert cache.get("k") == [1, 2]


class TestPrefixes:
    """Keys of one cache among others in the same place."""

    def test_clear_leaves_others_alone(self, make: Make) -> None:
        mine, theirs = make(key_prefix="mine:"), make(key_prefix="theirs:")
        mine.set("k", 1)
        theirs.set("k", 2)
        assert mine.clear()
        assert (mine.get("k"), theirs.get("k")) == (None, 2)

    def test_without_a_prefix_all_is_cleared(self, make: Make) -> None:
        make(key_prefix="mine:").set("k", 1)
        assert make().clear()
        assert make(key_prefix="mine:").get("k") is None

    def test_a_function_is_called_each_time(self, make: Make) -> None:
        tenants = ["a:"]
        cache = make(key_prefix=lambda: tenants[-1])
        cache.set("k", 1)
        tenants.append("b:")
        assert cache.get("k") is None
        assert make(key_prefix="a:").get("k") == 1

    def test_keys_of_our_own_are_out_of_reach(self, make: Make) -> None:
        with pytest.raises(InvalidInput, match="NUL"):
            make().get("\0tag\0k")
        assert make(key_prefix="p").get("\0tag") is None

    def test_any_text_can_be_a_key(self, cache: KTCache) -> None:
        for key in ("", "ключ", "a b\n", "\ud800", "x" * 400):
            assert cache.set(key, key.encode("utf-8", "surrogatepass"))
            assert cache.get(key) == key.encode("utf-8", "surrogatepass")


class TestBetweenProcesses:
    """What cachelib has not."""

    def test_a_lock(self, make: Make) -> None:
        mine, theirs = make().lock("k"), make().lock("k", blocking=False)
        with mine:
            assert not theirs.acquire()
        assert theirs.acquire()

    def test_a_rate_limiter(self, cache: KTCache) -> None:
        limiter = cache.rate_limiter("login", 2, 60)
        assert [bool(limiter.hit("me")) for _ in range(3)] == [True, True, False]

    def test_stats(self, cache: KTCache) -> None:
        cache.set("k", 1)
        before = cache.stats()
        cache.get("k")
        after = cache.stats()
        assert after.hits - before.hits == 1
        assert cache.ping()


class TestSettings:
    """The settings of an application."""

    def test_settings(self, tmp_path: Path) -> None:
        cache = flask_cache(
            CACHE_KT_LOCATION=f"embedded://{tmp_path}/x",
            CACHE_KT_OPTIONS={"compression": "zlib", "max_size": "4MiB"},
            CACHE_KEY_PREFIX="p:",
            CACHE_DEFAULT_TIMEOUT=timedelta(seconds=50),
            CACHE_SERIALIZER=JSONSerializer,
        )
        cache.set("k", "v" * 5000)
        assert cache.store.keys() == [b"p:k"]
        assert cache.ttl("k") == pytest.approx(50, abs=1)
        assert isinstance(cache.serializer, JSONSerializer)
        stored = cache.store.get(b"p:k")
        assert isinstance(stored, bytes)
        assert len(stored) < 100

    def test_flask_caching_s_options_are_ours(self, tmp_path: Path) -> None:
        cache = flask_cache(
            CACHE_KT_LOCATION=f"embedded://{tmp_path}/x",
            CACHE_OPTIONS={"serializer": "json", "default_timeout": 7, "max_size": "4MiB"},
        )
        cache.set("k", (1,))
        assert cache.get("k") == [1]
        assert cache.ttl("k") == pytest.approx(7, abs=1)

    def test_sign_uses_the_application_s_key(self, tmp_path: Path) -> None:
        config = {
            "CACHE_KT_LOCATION": f"embedded://{tmp_path}/x",
            "CACHE_KT_OPTIONS": {"sign": True, "max_size": "4MiB"},
        }
        flask_cache(SECRET_KEY="a", **config).set("k", {1})
        assert flask_cache(SECRET_KEY="a", **config).get("k") == {1}
        assert flask_cache(SECRET_KEY="b", **config).get("k") is None

    def test_applications_share_by_default_no_database(self, tmp_path: Path) -> None:
        apps = [flask.Flask("one"), flask.Flask("other"), flask.Flask("one", root_path=str(tmp_path))]
        assert len({database_of(app) for app in apps}) == 3

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"CACHE_KT_LOCATOIN": "embedded://x"}, "did you mean 'CACHE_KT_LOCATION'"),
            ({"CACHE_KT_OPTIONS": {"compresion": "zlib"}}, "did you mean 'compression'"),
            ({"CACHE_OPTIONS": {"sgin": True}}, "did you mean 'sign'"),
            ({"CACHE_KT_OPTIONS": {"serializer": "pikle"}}, "did you mean 'pickle'"),
            ({"CACHE_KT_LOCATION": "kt://host:port"}, "port"),
            ({"CACHE_KT_OPTIONS": {"sign": True}}, "app.secret_key"),
            ({"CACHE_ARGS": ["embedded://x"]}, "CACHE_KT_LOCATION"),
        ],
    )
    def test_mistakes_say_what_to_write(self, config: dict[str, Any], words: str) -> None:
        with pytest.raises(Misconfigured, match=words):
            flask_cache(**config)

    def test_a_path_with_cachelib_in_it_says_what_it_needs(self) -> None:
        app = flask.Flask("shop")
        config = {"CACHE_TYPE": f"{__name__}.my_cachelib_cache", "CACHE_KT_LOCATION": "embedded://x"}
        with pytest.raises(Misconfigured, match="CACHE_ARGS"):
            flask_caching.Cache(app, config=config)

    def test_a_path_with_cachelib_in_it_works_with_arguments(self, tmp_path: Path) -> None:
        app = flask.Flask("shop")
        config = {"CACHE_TYPE": f"{__name__}.my_cachelib_cache", "CACHE_ARGS": [f"embedded://{tmp_path}/x"]}
        cache = flask_caching.Cache(app, config=config)
        with app.app_context():
            assert cache.set("k", 1)
            assert cache.get("k") == 1

    def test_it_is_a_cachelib_cache(self) -> None:
        assert issubclass(KTCache, cachelib.BaseCache)


my_cachelib_cache = KTCache


class TestOutage:
    """A server that is down, at the start and during requests."""

    @pytest.fixture
    def address(self) -> Iterator[str]:
        """Return the address of a server that has been stopped."""
        with running("bundled") as address:
            pass
        return str(address)

    def test_it_is_raised(self, address: str) -> None:
        cache = flask_cache(CACHE_KT_LOCATION=f"kt://{address}", CACHE_KT_OPTIONS={"timeout": 0.2})
        with pytest.raises(KTError):
            cache.get("k")

    def test_the_site_stays_up_when_told_to(self, address: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING, "kt_cache")
        cache = flask_cache(CACHE_KT_LOCATION=f"kt://{address}", CACHE_IGNORE_ERRORS=True)
        assert cache.get("k") is None
        assert not cache.set("k", 1)
        assert not cache.add("k", 1)
        assert cache.set_many({"k": 1}) == []
        assert cache.get_many("k") == [None]
        assert cache.delete_many("k") == ["k"]
        assert not cache.has("k")
        assert cache.inc("k") is None
        assert cache.clear()
        assert len([record for record in caplog.records if record.name.startswith("kt_cache")]) == 1

    def test_an_option_goes_before_the_setting(self, address: str) -> None:
        cache = flask_cache(
            CACHE_KT_LOCATION=f"kt://{address}", CACHE_IGNORE_ERRORS=True, CACHE_KT_OPTIONS={"on_error": "raise"}
        )
        with pytest.raises(ConnectionFailed):
            cache.get("k")

    def test_views_are_computed(self, address: str) -> None:
        app = flask.Flask("shop")
        config = {"CACHE_TYPE": "kt_cache.flask.KTCache", "CACHE_KT_LOCATION": f"kt://{address}"}
        cache = flask_caching.Cache(app, config={**config, "CACHE_IGNORE_ERRORS": True})

        @app.get("/")
        @cache.cached()
        def view() -> str:
            return "made"

        assert app.test_client().get("/").text == "made"


class TestDecorators:
    """Views and functions over every store."""

    def test_responses_and_memoize(self, place: Place) -> None:
        app = flask.Flask("shop")
        cache = flask_caching.Cache(
            app, config={"CACHE_TYPE": "kt_cache.flask.KTCache", "CACHE_KT_LOCATION": place.location}
        )
        calls = []

        @app.get("/")
        @cache.cached(timeout=50)
        def view() -> flask.Response:
            calls.append("view")
            return flask.Response("x", headers={"X-Own": "1"}, status=201)

        @cache.memoize(50)
        def double(number: int) -> int:
            calls.append("double")
            return 2 * number

        client = app.test_client()
        first, second = client.get("/"), client.get("/")
        assert (second.status_code, second.headers["X-Own"], second.data) == (201, "1", first.data)
        with app.app_context():
            assert [double(2), double(2), double(3)] == [4, 4, 6]
            cache.delete_memoized(double, 2)
            assert double(2) == 4
        assert calls == ["view", "double", "double", "double"]
