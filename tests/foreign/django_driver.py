"""Run Django's own cache tests against one backend, and print what became of each as JSON.

    python -m tests.foreign.django_driver BACKEND LOCATION [PATTERN]

BACKEND is a dotted path; Django's LocMemCache shows whether the driver itself is right. LOCATION is that of a store
or server which nobody else uses meanwhile. PATTERN, as in "*.test_touch", chooses tests. Django's test module wants
settings, a database and an application of its own, hence a process of its own.
"""

from __future__ import annotations

import json
import sys
import time
import unittest
from collections.abc import Iterable
from typing import Any
from unittest import mock

import django
from django.conf import settings
from django.test import TestCase, override_settings
from django.test.runner import DiscoverRunner

from tests.foreign.sources import source_of

# The tests that Django has for any backend, and the one class among ours that runs them.
GENERIC = "BackendTests"

# The tests of what Django builds upon a cache; it runs them on its memory backend alone.
FRAMEWORK = (
    "CacheHEADTest",
    "CacheI18nTest",
    "CacheMiddlewareTest",
    "CacheUtils",
    "PrefixedCacheI18nTest",
    "PrefixedCacheUtils",
    "TestWithTemplateResponse",
)

# The tests that Django has for memcached which are true of every backend.
MEMCACHED = (
    "test_default_far_future_timeout",
    "test_default_never_expiring_timeout",
    "test_memcached_deletes_key_on_failed_set",
)

# The test that sleeps exactly as long as the timeout of what must then be gone. A server keeps whole seconds, and may
# show a record until the last of them is over.
TO_THE_SECOND = "test_cache_page_timeout"


class Outcomes(unittest.TestResult):
    """Remembers every test that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        super().startTest(test)
        self.ran.append(name_of(test))

    def report(self) -> dict[str, Any]:
        """Return the names of the tests that passed, and text for those that did not."""
        failed: dict[str, str] = {}
        for test, text in [*self.failures, *self.errors]:
            name = name_of(test)
            failed[name] = failed.get(name, "") + text
        skipped = {name_of(test): reason for test, reason in self.skipped}
        passed = [name for name in self.ran if name not in failed and name not in skipped]
        return {"django": django.__version__, "passed": passed, "skipped": skipped, "failed": failed}


def name_of(test: Any) -> str:
    """Return Class.method, also for a sub-test; for a failure outside any test, unittest's own words."""
    test = getattr(test, "test_case", test)
    return ".".join(test.id().rsplit(".", 2)[-2:])


def configure() -> None:
    """Set Django up as its test module expects to find it."""
    sys.path.append(str(source_of("Django") / "tests"))
    settings.configure(
        SECRET_KEY="for tests alone",
        USE_TZ=False,
        LANGUAGE_CODE="en",
        INSTALLED_APPS=["cache"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )
    django.setup()


def generic_tests(suite: Any, backend: str, location: str) -> type[unittest.TestCase]:
    """Return Django's tests for any backend, with all aliases in one store."""
    store = {"BACKEND": backend, "LOCATION": place(location, 0)}

    @override_settings(CACHES=suite.caches_setting_for_tests(**store))
    class Tests(suite.BaseCacheTests, TestCase):
        base_params = store

        def test_get_or_set_racing(self) -> None:
            # Django makes add() fail; the asynchronous twin adds with aadd(), so that has to fail as well.
            with mock.patch(f"{backend}.aadd", return_value=False):
                super().test_get_or_set_racing()
            assert "key" not in suite.cache, "something was stored although adding failed"

    for name in MEMCACHED:
        setattr(Tests, name, getattr(suite.BaseMemcachedTests, name))
    Tests.__qualname__ = GENERIC
    return Tests


def place(location: str, number: int) -> str:
    """Return the location of one of several stores: Kyoto Tycoon's servers have logical databases, others names."""
    servers, question, options = location.partition("?")
    if servers.startswith("tt://"):
        servers = f"tt://{servers.removeprefix('tt://').split(',')[number]}"
    elif number:
        servers += f"{'/' if servers.startswith('kt://') else '-'}{number}"
    return f"{servers}{question}{options}"


def framework_tests(suite: Any, name: str, backend: str, location: str) -> type[unittest.TestCase]:
    """Return one of Django's classes of tests, with every alias it defines in a store of ours."""
    original = getattr(suite, name)
    caches = {
        alias: {**options, "BACKEND": backend, "LOCATION": place(location, number)}
        for number, (alias, options) in enumerate(original._overridden_settings["CACHES"].items(), 1)
    }
    adapted = {}
    if location.startswith(("kt://", "aerospike://")) and hasattr(original, TO_THE_SECOND):
        adapted[TO_THE_SECOND] = with_a_second_more(getattr(original, TO_THE_SECOND))
    return override_settings(CACHES=caches)(type(name, (original,), adapted))


def with_a_second_more(test: Any) -> Any:
    """Return a test that sleeps a second longer each time it sleeps."""
    sleep = time.sleep

    def method(self: unittest.TestCase) -> None:
        with mock.patch("time.sleep", lambda seconds: sleep(seconds + 1)):
            test(self)

    return method


def run(backend: str, location: str, pattern: str = "*") -> dict[str, Any]:
    """Run the tests against the backend and return the report."""
    configure()
    from cache import tests as suite  # from Django's source, once it is configured

    classes = [generic_tests(suite, backend, location)]
    classes += [framework_tests(suite, name, backend, location) for name in FRAMEWORK]
    return run_all(classes, pattern)


def run_all(classes: Iterable[type[unittest.TestCase]], pattern: str) -> dict[str, Any]:
    """Run the tests of classes that a pattern fits, on the database that Django makes for tests; return the report."""
    loader = unittest.TestLoader()
    loader.testNamePatterns = [pattern]
    outcomes = Outcomes()
    runner = DiscoverRunner(verbosity=0, interactive=False)
    runner.setup_test_environment()
    databases = runner.setup_databases()
    try:
        unittest.TestSuite(map(loader.loadTestsFromTestCase, classes)).run(outcomes)
    finally:
        runner.teardown_databases(databases)
        runner.teardown_test_environment()
    return outcomes.report()


if __name__ == "__main__":
    json.dump(run(*sys.argv[1:]), sys.stdout, indent=1)
