"""Tests with caches of their own: what a project's own test suite gets of `kt_cache.django.testing`."""

from __future__ import annotations

import math
import multiprocessing
import unittest
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from kt_cache.django import KTCache
from kt_cache.django.testing import Clock, IsolatedCachesMixin, isolated_caches
from tests.processes import python

KT = "kt_cache.django.KTCache"
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


class Loud(KTCache):
    """A cache of the project's own kind."""

    def shout(self, key: str) -> str:
        return str(self.get(key)).upper()


@pytest.fixture(autouse=True)
def place(tmp_path: Path) -> Iterator[Path]:
    """Set a project's CACHES up; its database is not to be made."""
    place = tmp_path / "place"
    entries: dict[str, Any] = {
        "default": {"BACKEND": KT, "LOCATION": f"embedded://{place}", "OPTIONS": {"serializer": "json"}},
        "same": {"BACKEND": KT, "LOCATION": f"embedded://{place}", "KEY_PREFIX": "same"},
        "second": {"BACKEND": KT, "LOCATION": f"embedded://{place}?database=1"},
        "server": {"BACKEND": f"{__name__}.Loud", "LOCATION": "kt://nowhere.invalid", "OPTIONS": {"sign": True}},
        "tyrant": {"BACKEND": KT, "LOCATION": "tt://nowhere.invalid"},
        "private": {"BACKEND": LOCMEM},
    }
    with override_settings(CACHES=entries):
        yield place
    assert not place.exists()


# -- the context -------------------------------------------------------------------------------------------


def test_caches_are_empty_at_the_start_and_gone_at_the_end() -> None:
    for value in ("one", "two"):
        with isolated_caches() as isolated:
            assert cache.get("key") is None
            cache.set("key", value)
            assert isolated["default"].get("key") == value
            where = Path(isolated["default"].stats().location)
            assert where.exists()
        assert not where.exists()


def test_settings_are_as_before_at_the_end_even_of_a_failure() -> None:
    before = caches.settings

    def fail() -> None:
        with isolated_caches():
            assert caches.settings != before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert caches.settings == before


def test_contexts_may_be_nested() -> None:
    with isolated_caches():
        cache.set("key", "outer")
        with isolated_caches():
            assert cache.get("key") is None
            cache.set("key", "inner")
        assert cache.get("key") == "outer"


def test_caches_that_shared_a_place_share_one() -> None:
    with isolated_caches() as isolated:
        isolated["default"].set("key", "value")
        assert isolated["same"].get(":1:key") is None
        assert isolated["same"].stats().entries == 1
        assert isolated["second"].stats().entries == 0
        assert isolated["server"].stats().entries == isolated["tyrant"].stats().entries == 0


def test_every_cache_is_what_it_was_but_for_its_place() -> None:
    with isolated_caches() as isolated:
        with pytest.raises(TypeError, match="json cannot keep"):
            isolated["default"].set("key", object())
        loud = isolated["server"]
        assert isinstance(loud, Loud)
        loud.set("key", "value")
        assert loud.shout("key") == "VALUE"
        assert loud._options.sign
        assert loud.stats().store == "embedded"


def test_other_backends_are_left_alone() -> None:
    caches["private"].set("key", "value")
    with isolated_caches() as isolated:
        assert list(isolated) == ["default", "same", "second", "server", "tyrant"]
        assert len(isolated) == 5
        assert caches["private"].get("key") == "value"
        with pytest.raises(KeyError, match="private"):
            isolated["private"]


def test_aliases_may_be_named_and_options_given() -> None:
    with isolated_caches("default", max_size="1MiB") as isolated:
        assert list(isolated) == ["default"]
        assert isolated["default"].stats().max_size < 2 << 20
        assert caches.settings["server"]["LOCATION"] == "kt://nowhere.invalid"


def test_an_alias_that_is_none_of_ours_is_told() -> None:
    with (
        pytest.raises(ImproperlyConfigured, match="'private' is no alias of a KTCache: CACHES has default, same"),
        isolated_caches("private"),
    ):
        pass


def test_sessions_are_isolated_too() -> None:
    with override_settings(SESSION_ENGINE="kt_cache.django.sessions"):
        engine = import_module("kt_cache.django.sessions")
        with isolated_caches() as isolated:
            session = engine.SessionStore()
            session["user"] = "one"
            session.set_expiry(60)
            session.save()
            assert engine.SessionStore(session.session_key)["user"] == "one"
            isolated.clock.advance(60)
            assert "user" not in engine.SessionStore(session.session_key)
        with isolated_caches():
            assert not engine.SessionStore().exists(session.session_key)


def _store(value: str) -> None:
    cache.set("key", value)


def test_forked_processes_have_the_tests_caches() -> None:
    with isolated_caches():
        child = multiprocessing.get_context("fork").Process(target=_store, args=["the child's"])
        child.start()
        child.join()
        assert cache.get("key") == "the child's"


# -- the clock ---------------------------------------------------------------------------------------------


def test_time_passes_when_the_test_says_so() -> None:
    with isolated_caches() as isolated:
        cache = isolated["default"]
        cache.set("key", "value", timeout=60)
        isolated.clock.advance(59)
        assert cache.get("key") == "value"
        isolated.clock.advance(1)
        assert cache.get("key") is None


def test_all_that_goes_by_time_goes_by_the_tests() -> None:
    with isolated_caches() as isolated:
        isolated.clock.freeze()
        cache = isolated["default"]
        limiter = cache.rate_limiter("login", 1, 60)
        assert limiter.hit("user")
        assert not limiter.hit("user")
        assert cache.get_or_set("key", lambda: 1, timeout=10, stale=60) == 1
        isolated.clock.advance(120)
        assert limiter.hit("user")
        assert cache.get_or_set("key", lambda: 2, timeout=10, stale=60) == 2


def test_a_clock_goes_on_until_it_is_frozen() -> None:
    clock = Clock()
    first = clock()
    while clock() == first:
        pass
    clock.freeze()
    assert clock() == clock()
    clock.advance(1.5)
    assert clock() == pytest.approx(first + 1.5, abs=60)


@pytest.mark.parametrize("at", [datetime(2030, 1, 1, tzinfo=UTC), 1_893_456_000])
def test_a_clock_may_be_set(at: datetime | float) -> None:
    clock = Clock()
    clock.freeze(at)
    assert clock() == 1_893_456_000
    assert math.isclose(clock(), 1_893_456_000)


# -- without pytest ----------------------------------------------------------------------------------------


def test_a_test_case_has_caches_of_its_own() -> None:
    class Tests(IsolatedCachesMixin):
        def test_one(self) -> None:
            assert cache.add("key", "value", timeout=60)
            self.kt_cache.clock.advance(60)
            assert cache.add("key", "value")

        test_two = test_one

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Tests).run(result)
    assert (result.testsRun, result.failures, result.errors) == (2, [], [])


def test_pytest_is_not_needed() -> None:
    code = "import sys, kt_cache.django.testing; print('pytest' in sys.modules)"
    assert python("-c", code, DJANGO_SETTINGS_MODULE="tests.settings") == "False\n"


# -- with pytest -------------------------------------------------------------------------------------------

_PROJECT = {
    "conftest.py": 'pytest_plugins = ["kt_cache.django.testing"]\n',
    "sample_settings.py": """
from pathlib import Path
SECRET_KEY = "sample"
PLACE = Path(__file__).with_name("place")
CACHES = {"default": {"BACKEND": "kt_cache.django.KTCache", "LOCATION": f"embedded://{PLACE}"}}
""",
    "test_asked.py": """
import pytest
from django.core.cache import cache

@pytest.mark.parametrize("number", range(20))
def test_its_own(kt_cache, number):
    assert cache.add("key", number, timeout=60)
    assert kt_cache["default"].stats().entries == 1
    kt_cache.clock.advance(60)
    assert cache.add("key", number)

@pytest.mark.parametrize("number", range(20))
@pytest.mark.kt_cache_isolated(max_size="2MiB")
def test_marked(number):
    assert cache.add("key", number)
    assert cache.stats().max_size < 3 << 20
""",
    "test_unasked.py": """
from pathlib import Path
import pytest, unittest
from django.core.cache import cache

def test_one():
    assert cache.add("key", "value")
    with Path(__file__).with_name("places").open("a") as places:
        places.write(cache.stats().location + "\\n")

class Test(unittest.TestCase):
    test_two = staticmethod(test_one)
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the directory of a project with tests."""
    project = tmp_path / "project"
    project.mkdir()
    for name, text in _PROJECT.items():
        (project / name).write_text(text)
    return project


def run_tests(project: Path, *arguments: str | Path) -> str:
    return python(
        *("-X", "dev", "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers"),
        *("-c", project / "pytest.ini", "--rootdir", project, *arguments),
        DJANGO_SETTINGS_MODULE="sample_settings",
        PYTHONPATH=str(project),
    )


@pytest.mark.parametrize("more", [["-p", "no:randomly"], ["-p", "no:randomly", "-n", "2"], ["-p", "no:django"]])
def test_a_project_has_it_as_a_plugin(project: Path, more: list[str]) -> None:
    (project / "pytest.ini").write_text("[pytest]\nkt_cache_isolated = true\n")
    assert "42 passed" in run_tests(project, *more, project)
    assert not (project / "place").exists()
    places = (project / "places").read_text().splitlines()
    assert len(set(places)) == 2
    assert not any(Path(place).exists() for place in places)


def test_a_plugin_isolates_only_where_it_is_asked_to(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\n")
    assert "1 passed" in run_tests(project, project / "test_unasked.py::test_one")
    assert (project / "places").read_text() == f"{project / 'place'}\n"
