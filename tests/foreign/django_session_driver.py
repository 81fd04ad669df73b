"""Run Django's own session tests against one engine, and print what became of each as JSON.

    python -m tests.foreign.django_session_driver ENGINE LOCATION [PATTERN]

ENGINE is the dotted path of a session engine that keeps its sessions beside a cache; the others are those of
`tests.foreign.django_driver`.
"""

from __future__ import annotations

import json
import sys
import unittest
from types import SimpleNamespace
from typing import Any

import django
from django.conf import settings
from django.test import SimpleTestCase, override_settings
from django.utils.module_loading import import_string

from tests.foreign.django_driver import run_all
from tests.foreign.sources import source_of

# How a cache may keep sessions: where it likes to, in its own database, and so that only the project can write them.
WAYS: dict[str, dict[str, Any]] = {
    "Beside": {},
    "Within": {"durability": "process"},
    "Signed": {"sign": True, "compression": "zlib", "compress_min_length": 0},
}


def configure(engine: str) -> None:
    """Set Django up as its test module expects to find it."""
    sys.path.append(str(source_of("Django") / "tests"))
    settings.configure(
        SECRET_KEY="for tests alone",
        USE_TZ=False,
        INSTALLED_APPS=["django.contrib.sessions", "sessions_tests"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        SESSION_ENGINE=engine,
    )
    django.setup()


def entry(location: str, way: str) -> dict[str, Any]:
    """Return the entry of CACHES for a way to keep sessions; servers have no durability to choose."""
    options = {name: value for name, value in WAYS[way].items() if name != "durability" or "embedded" in location}
    # The ways would find each other's sessions, where they share a server.
    return {
        "BACKEND": "kt_cache.django.KTCache",
        "LOCATION": f"{location}-{way}" if "embedded" in location else location,
        "KEY_PREFIX": way,
        "OPTIONS": options,
    }


def store_tests(suite: Any, engine: str, location: str, way: str) -> list[type[unittest.TestCase]]:
    """Return Django's tests for any engine, for both of its notions of time."""
    backend = import_string(f"{engine}.SessionStore")
    caches = override_settings(CACHES={"default": entry(location, way)})
    kinds = []
    for suffix, aware in (("", False), ("WithTimeZone", True)):
        kind = type(f"{way}{suffix}", (suite.SessionTestsMixin, SimpleTestCase), {"backend": backend})
        kinds.append(caches(override_settings(USE_TZ=aware)(kind)))
    return kinds


def cache_tests(suite: Any, engine: str, location: str) -> type[unittest.TestCase]:
    """Return Django's tests for an engine that keeps its sessions in a cache, which look into that."""
    shared = entry(location, "Within")

    class InCache(suite.CacheSessionTests):  # type: ignore[misc]
        backend = import_string(f"{engine}.SessionStore")

        @override_settings(
            CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, "sessions": shared},
            SESSION_CACHE_ALIAS="sessions",
        )
        def test_non_default_cache(self) -> None:
            suite.CacheSessionTests.test_non_default_cache.__wrapped__(self)

    return override_settings(CACHES={"default": shared})(InCache)


def middleware_tests(suite: Any, engine: str, location: str) -> type[unittest.TestCase]:
    """Return Django's tests of what becomes of the cookie; one of them asks the database for what was stored."""
    backend = import_string(f"{engine}.SessionStore")
    suite.Session = SimpleNamespace(
        objects=SimpleNamespace(get=lambda session_key: SimpleNamespace(get_decoded=backend(session_key).load))
    )
    kind = type("Middleware", (suite.SessionMiddlewareTests,), {})
    return override_settings(CACHES={"default": entry(location, "Beside")})(kind)


def run(engine: str, location: str, pattern: str = "*") -> dict[str, Any]:
    """Run the tests against the engine and return the report."""
    configure(engine)
    from sessions_tests import tests as suite  # from Django's source, once it is configured

    classes = [kind for way in WAYS for kind in store_tests(suite, engine, location, way)]
    classes += [cache_tests(suite, engine, location), middleware_tests(suite, engine, location)]
    return run_all(classes, pattern)


if __name__ == "__main__":
    json.dump(run(*sys.argv[1:]), sys.stdout, indent=1)
